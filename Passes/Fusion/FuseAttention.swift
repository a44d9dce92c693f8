package import IR
import Tensors

/// Finds masked attention with keys repeated for grouped heads (`eager_attention_forward`).
///
///     %s = where %visible, (mul (matmul q, kᵀ), scale), −inf
///     %y = transpose (matmul (softmax %s), v)     →      %y = attention q, k, v, %visible {scale = …}
package let fuseAttention = Pass("fuse-attention", .fused) { editor throws(PassError) in
    try editor.apply([attention(grouped: true), attention(grouped: false)])
}

private func attention(grouped: Bool) -> Rule {
    Rule(grouped ? "grouped-attention" : "attention") { p in
        func heads(_ name: String) -> PatternValue {
            let x = p.value(name)
            let spread = grouped ? p.shared(p.some(Repeat.self, x, named: "repeated.\(name)")) : x
            return p.shared(p.transpose(spread, [1, 0, 2]))
        }
        let q = p.shared(p.transpose(p.value("q"), [1, 0, 2]))
        let scores = p.mul(p.matmul(q, heads("k"), transposeB: true), p.shared(p.literal(named: "scale")))
        let masked = p.where(p.value("visible"), scores, p.shared(p.literal(named: "hidden")))
        return p.transpose(p.matmul(p.softmax(masked), heads("v")), [1, 0, 2])
    } rewrite: { m, e throws(Refusal) in
        try m.require(m.number("hidden") == -.infinity, "hidden scores are not −inf", at: "hidden")
        try m.require(m.type("visible").shape.rank == 2, "the mask is not a matrix", at: "visible")
        if grouped {
            guard let heads = m.type("q").shape.dims.dropFirst().first?.fixedValue,
                let groups = m.type("k").shape.dims.dropFirst().first?.fixedValue, groups > 0, heads % groups == 0
            else { throw Refusal("the heads are not numbers that divide", at: m["k"]) }
            for name in ["repeated.k", "repeated.v"] {
                let wanted = Repeat(axis: 1, count: heads / groups)
                try m.require(m.op(name, as: Repeat.self) == wanted, "repeated otherwise than by group", at: name)
            }
        }
        return e.attention(m["q"], m["k"], m["v"], visible: m["visible"], scale: try m.number("scale"))
    }
}
