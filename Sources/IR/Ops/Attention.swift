package import Tensors

/// Attention of grouped heads: `y[t, h] = softmax_s(cap(scale · q[t, h] · k[s, h / (H / KVH)]) where visible[t, s]) · v[s, …]`,
/// where `cap(x) = softcap · tanh(x / softcap)`, or `x` when `softcap` is 0 (`attn_logit_softcapping` of `Gemma2Attention`).
///
/// `q` is `[T, H, D]`, `k` is `[S, KVH, D]` and `v` is `[S, KVH, E]` with KVH a divisor of H; `visible` is bool `[T, S]`, an input
/// whose mask says what it is. A row that sees nothing gives zeros. No matrix exists when a model runs.
package struct Attention: Op {
    package var scale: Double
    package var softcap: Double

    package init(scale: Double, softcap: Double = 0) {
        self.scale = scale
        self.softcap = softcap
    }

    package static let schema = OpSchema(
        "attention",
        "`y[t, h] = softmax_s(cap(scale · q[t, h] · k[s, h·KVH/H])) · v[s, h·KVH/H]` over the `s` with `visible[t, s]`; "
            + "`cap(x) = softcap · tanh(x / softcap)`, or `x` without.",
        blank: Attention(scale: 1), operands: ["q", "k", "v", "visible"],
        attributes: [.init("scale", \.scale), .init("softcap", \.softcap, isOptional: true)], isFused: true)

    package func infer(_ operands: [TensorType]) throws(TypeError) -> [TensorType] {
        let (q, k, v, visible) = (operands[0], operands[1], operands[2], operands[3])
        for (name, type) in [("q", q), ("k", k), ("v", v)] {
            try TypeRules.float(type, name)
            try TypeRules.rank(type, 3, name)
        }
        guard let heads = q.shape[1].fixedValue, let groups = k.shape[1].fixedValue, groups > 0, heads % groups == 0 else {
            throw TypeError("the heads of k \(k) do not divide those of q \(q)")
        }
        try TypeRules.same(k.shape[2], q.shape[2], "rows of k and q differ in length")
        try TypeRules.shape(v, [k.shape[0], k.shape[1], v.shape[2]], "v")
        try TypeRules.element(visible, .bool, "visible")
        try TypeRules.shape(visible, [q.shape[0], k.shape[0]], "visible")
        guard scale.isFinite else { throw TypeError("scale \(scale) is not finite") }
        guard softcap.isFinite, softcap >= 0 else { throw TypeError("softcap \(softcap) is not 0 or a positive number") }
        return [TensorType(q.element, [q.shape[0], q.shape[1], v.shape[2]])]
    }

    package func flops(_ operands: [TensorType], _ results: [TensorType], _ count: (Shape) -> Double) -> Double {
        2 * count(operands[3].shape) * count([operands[0].shape[1]]) * (count([operands[0].shape[2]]) + count([operands[2].shape[2]]))
    }
}

extension OpWriter {
    package func attention(_ q: Operand, _ k: Operand, _ v: Operand, visible: Operand, scale: Double, softcap: Double = 0) -> Operand {
        one(Attention(scale: scale, softcap: softcap), q, k, v, visible)
    }
}

enum AttentionOps {
    static let ops: [any Op.Type] = [Attention.self]
}
