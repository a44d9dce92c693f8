internal import Glibc
package import IR

extension RotaryTable: Evaluable {
    package func evaluate(_ call: Call) -> [Tensor] {
        let (positions, frequencies) = (call[0].ints, call[1].floats)
        let tokens = call[0].shape[1]
        var angles: [Float] = []
        let count = axes.count / sets
        for t in 0..<tokens {
            for j in 0..<count {
                let parts = stride(from: j, to: axes.count, by: count)
                angles.append(parts.reduce(0) { $0 + Float(positions[axes[$1] * tokens + t]) * frequencies[$1] })
            }
        }
        return call.result(angles.map { cosf($0) }) + call.result(angles.map { sinf($0) })
    }
}

extension Rotary: Evaluable {
    package func evaluate(_ call: Call) -> [Tensor] {
        let (x, cos, sin) = (call[0].floats, call[1].floats, call[2].floats)
        let (tokens, heads, depth) = (call.shape[0], call.shape[1], call.shape[2])
        let (half, inside) = (depth / 2, depth / 2 / parts)
        var y = x
        for t in 0..<tokens {
            for h in 0..<heads {
                for j in 0..<half {
                    let (c, s) = (cos[t * half + j], sin[t * half + j])
                    let base = (t * heads + h) * depth + j / inside * 2 * inside + j % inside
                    let (first, second) = (x[base], x[base + inside])
                    y[base] = first * c - second * s
                    y[base + inside] = second * c + first * s
                }
            }
        }
        return call.result(y)
    }
}
