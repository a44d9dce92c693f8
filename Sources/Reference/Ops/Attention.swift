internal import Glibc
package import IR

extension Attention: Evaluable {
    package func evaluate(_ call: Call) -> [Tensor] {
        let (q, k, v, visible) = (call[0].floats, call[1].floats, call[2].floats, call[3].ints)
        let (heads, depth) = (call[0].shape[1], call[0].shape[2])
        let (slots, groups, width) = (call[1].shape[0], call[1].shape[1], call[2].shape[2])
        var result = Array(repeating: Float(0), count: call.shape.reduce(1, *))
        for t in 0..<call.shape[0] {
            let seen = (0..<slots).filter { visible[t * slots + $0] != 0 }
            guard !seen.isEmpty else { continue }
            for h in 0..<heads {
                let group = h / (heads / groups)
                let scores = seen.map { s in
                    var sum: Float = 0
                    for d in 0..<depth { sum += q[(t * heads + h) * depth + d] * k[(s * groups + group) * depth + d] }
                    return softcap == 0 ? sum * Float(scale) : Float(softcap) * tanhf(sum * Float(scale) / Float(softcap))
                }
                let largest = scores.reduce(-Float.infinity, Swift.max)
                guard largest > -.infinity else { continue }
                let weights = scores.map { expf($0 - largest) }
                let total = Float(weights.reduce(0.0) { $0 + Double($1) })
                let base = (t * heads + h) * width
                for (s, weight) in zip(seen, weights) {
                    for d in 0..<width { result[base + d] += weight / total * v[(s * groups + group) * width + d] }
                }
            }
        }
        return call.result(result)
    }
}
