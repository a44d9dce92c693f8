internal import Glibc
package import IR

extension RotaryTable: Evaluable {
    package func evaluate(_ call: Call) -> [Tensor] {
        let (positions, frequencies) = (call[0].ints, call[1].floats)
        let tokens = call[0].shape[1]
        var angles: [Float] = []
        for t in 0..<tokens {
            for (j, axis) in axes.enumerated() { angles.append(Float(positions[axis * tokens + t]) * frequencies[j]) }
        }
        return call.result(angles.map { cosf($0) }) + call.result(angles.map { sinf($0) })
    }
}

extension Rotary: Evaluable {
    package func evaluate(_ call: Call) -> [Tensor] {
        let (x, cos, sin) = (call[0].floats, call[1].floats, call[2].floats)
        let (tokens, heads, depth) = (call.shape[0], call.shape[1], call.shape[2])
        let half = depth / 2
        var y = x
        for t in 0..<tokens {
            for h in 0..<heads {
                let base = (t * heads + h) * depth
                for j in 0..<half {
                    let (c, s) = (cos[t * half + j], sin[t * half + j])
                    let (first, second) = (x[base + j], x[base + half + j])
                    y[base + j] = first * c - second * s
                    y[base + half + j] = second * c + first * s
                }
            }
        }
        return call.result(y)
    }
}
