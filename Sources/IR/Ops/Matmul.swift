package import Tensors

/// The matrix product over the last two axes, `a · b` or `a · bᵀ`; leading axes broadcast as in numpy.
package struct Matmul: Op {
    /// Whether `b` is `[…, N, K]`, as HuggingFace keeps linear weights, instead of `[…, K, N]`.
    package var transposeB: Bool

    package init(transposeB: Bool = false) { self.transposeB = transposeB }

    package static let schema = OpSchema(
        "matmul", "The matrix product over the last two axes, `a · b` or `a · bᵀ`; leading axes broadcast as in numpy.",
        blank: Matmul(), operands: ["a", "b"], attributes: [.init("transpose_b", \.transposeB)])

    package func infer(_ operands: [TensorType]) throws(TypeError) -> [TensorType] {
        let (a, b) = (operands[0], operands[1])
        try TypeRules.float(a, "a")
        try TypeRules.element(b, a.element, "b")
        try TypeRules.minimumRank(a, 2, "a")
        try TypeRules.minimumRank(b, 2, "b")
        let (rows, inner) = (a.shape[a.shape.rank - 2], a.shape[a.shape.rank - 1])
        let (second, last) = (b.shape[b.shape.rank - 2], b.shape[b.shape.rank - 1])
        try TypeRules.same(inner, transposeB ? last : second, "inner extents of \(a) and \(b) differ")
        let batch = try TypeRules.broadcast(Shape(a.shape.dims.dropLast(2)), Shape(b.shape.dims.dropLast(2)))
        return [TensorType(a.element, Shape(batch.dims + [rows, transposeB ? second : last]))]
    }

    package func flops(_ operands: [TensorType], _ results: [TensorType], _ count: (Shape) -> Double) -> Double {
        2 * count(results[0].shape) * count([operands[0].shape.dims.last ?? 1])
    }
}

extension OpWriter {
    package func matmul(_ a: Operand, _ b: Operand, transposeB: Bool = false) -> Operand { one(Matmul(transposeB: transposeB), a, b) }
}

enum MatrixProducts {
    static let ops: [any Op.Type] = [Matmul.self]
}
