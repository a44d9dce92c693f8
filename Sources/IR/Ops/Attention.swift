package import Tensors

/// Attention of grouped heads: `y[t, h] = softmax_s(scale · q[t, h] · k[s, h / (H / KVH)] where visible[t, s]) · v[s, …]`.
///
/// `q` is `[T, H, D]`, `k` and `v` are `[S, KVH, D]` with KVH a divisor of H, `visible` is bool `[T, S]`; a row that sees
/// nothing gives zeros. The runtime keeps `visible` as block tables or sequence bounds, never as a matrix.
package struct Attention: Op {
    package var scale: Double

    package init(scale: Double) { self.scale = scale }

    package static let schema = OpSchema(
        "attention", "`y[t, h] = softmax_s(scale · q[t, h] · k[s, h·KVH/H]) · v[s, h·KVH/H]` over the `s` with `visible[t, s]`.",
        blank: Attention(scale: 1), operands: ["q", "k", "v", "visible"], attributes: [.init("scale", \.scale)], isFused: true)

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
        return [TensorType(q.element, [q.shape[0], q.shape[1], v.shape[2]])]
    }

    package func flops(_ operands: [TensorType], _ results: [TensorType], _ count: (Shape) -> Double) -> Double {
        2 * count(operands[3].shape) * count([operands[0].shape[1]]) * (count([operands[0].shape[2]]) + count([operands[2].shape[2]]))
    }
}

extension OpWriter {
    package func attention(_ q: Operand, _ k: Operand, _ v: Operand, visible: Operand, scale: Double) -> Operand {
        one(Attention(scale: scale), q, k, v, visible)
    }
}

enum AttentionOps {
    static let ops: [any Op.Type] = [Attention.self]
}
