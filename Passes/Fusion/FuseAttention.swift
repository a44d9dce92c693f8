package import IR
import Tensors

/// Finds masked attention with keys repeated for grouped heads, its scores capped or not (`eager_attention_forward`).
///
///     %s = where %visible, (mul (matmul q, kᵀ), scale), −inf
///     %y = transpose (matmul (softmax %s), v)     →      %y = attention q, k, v, %visible {scale = …}
package let fuseAttention = Pass("fuse-attention", .fused) { editor throws(PassError) in
    try editor.apply([
        attention("grouped-attention", grouped: true, capped: false), attention("attention", grouped: false, capped: false),
        attention("grouped-capped-attention", grouped: true, capped: true), attention("capped-attention", grouped: false, capped: true),
    ])
}

/// - Parameter capped: whether scores go through `mul (tanh (mul scores, 1 / c)), c`.
private func attention(_ name: String, grouped: Bool, capped: Bool) -> Rule {
    Rule(name) { p in
        func heads(_ name: String) -> PatternValue {
            let x = p.value(name)
            let spread = grouped ? p.shared(p.some(Repeat.self, x, named: "repeated.\(name)")) : x
            return p.shared(p.transpose(spread, [1, 0, 2]))
        }
        let q = p.shared(p.transpose(p.value("q"), [1, 0, 2]))
        var scores = p.mul(p.matmul(q, heads("k"), transposeB: true), p.shared(p.literal(named: "scale")))
        if capped {
            let inner = p.tanh(p.mul(scores, p.shared(p.literal(named: "inverse"))))
            scores = p.mul(inner, p.shared(p.literal(named: "softcap")))
        }
        let masked = p.where(p.value("visible"), scores, p.shared(p.literal(named: "hidden")))
        return p.transpose(p.matmul(p.softmax(masked), heads("v")), [1, 0, 2])
    } rewrite: { m, e throws(Refusal) in
        try checkScores(m)
        let heads = try headCount("q", m), groups = try headCount("k", m)
        try m.require(try headCount("v", m) == groups, "keys and values differ in heads", at: "v")
        if grouped {
            for name in ["repeated.k", "repeated.v"] {
                let repeated = try m.op(name, as: Repeat.self)
                try m.require(repeated.axis == 1, "repeated otherwise than head by head", at: name)
                try m.require(groups * repeated.count == heads, "the groups do not fill the heads", at: name)
            }
        }
        return e.attention(
            m["q"], m["k"], m["v"], visible: m["visible"], scale: try m.number("scale"), softcap: capped ? try softcap(m) : 0)
    }
}

/// Refuses scores that are masked or scaled in another way than attention does it.
private func checkScores(_ m: Match) throws(Refusal) {
    try m.require(try m.number("hidden") == -.infinity, "hidden scores are not −inf", at: "hidden")
    try m.require(try m.number("scale").isFinite, "the scale is not finite", at: "scale")
    let visible: Shape = [m.type("q").shape[0], m.type("k").shape[0]]
    try m.require(m.type("visible").shape == visible, "the mask is not one row for each query", at: "visible")
    try m.require(m.graph.mask(of: m["visible"]) != nil, "the mask is not an input that says what it is", at: "visible")
    try m.require(
        m.graph.type(of: m.root.result).shape.dims.prefix(2) == m.type("q").shape.dims.prefix(2),
        "the mask or the scale stretches the scores")
}

/// The bound of capped scores, which are divided by it before the tangent and multiplied by it behind.
private func softcap(_ m: Match) throws(Refusal) -> Double {
    let (inverse, softcap) = (try m.number("inverse"), try m.number("softcap"))
    try m.require(softcap.isFinite && softcap > 0, "the cap is not a positive number", at: "softcap")
    try m.require(Swift.abs(inverse * softcap - 1) < 1e-6, "scores are capped at another number than they are divided by", at: "inverse")
    return softcap
}

private func headCount(_ name: String, _ m: Match) throws(Refusal) -> Int {
    guard let count = m.type(name).shape[1].fixedValue, count > 0 else {
        throw Refusal("\(name) has no number of heads", at: m[name])
    }
    return count
}
