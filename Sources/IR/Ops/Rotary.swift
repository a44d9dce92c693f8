package import Tensors

/// Angles of rotary position embedding: `angle[t, j] = positions[axes[j], t] · inv_freq[j]`, as cosine and sine.
///
/// `positions` is i32 `[A, T]`, `inv_freq` f32 `[D/2]`, `axes` has D/2 entries; results are f32 `[T, D/2]`. M-RoPE
/// (`Qwen2VLRotaryEmbedding`) and the vision tower's height and width rows differ only in `axes`.
package struct RotaryTable: Op {
    package var axes: [Int]

    package init(axes: [Int]) { self.axes = axes }

    package static let schema = OpSchema(
        "rotary_table", "`angle[t, j] = positions[axes[j], t] · inv_freq[j]`, as cosine and sine.", blank: RotaryTable(axes: []),
        operands: ["positions", "inv_freq"], attributes: [.init("axes", \.axes)], results: ["cos", "sin"], isFused: true)

    package func infer(_ operands: [TensorType]) throws(TypeError) -> [TensorType] {
        let (positions, frequencies) = (operands[0], operands[1])
        try TypeRules.element(positions, .i32, "positions")
        try TypeRules.rank(positions, 2, "positions")
        try TypeRules.element(frequencies, .f32, "inv_freq")
        try TypeRules.shape(frequencies, [.fixed(axes.count)], "inv_freq")
        guard let count = positions.shape[0].fixedValue else { throw TypeError("positions \(positions) have no fixed number of axes") }
        for axis in axes where axis < 0 || axis >= count { throw TypeError("axis \(axis) is not a row of \(positions)") }
        let table = TensorType(.f32, [positions.shape[1], .fixed(axes.count)])
        return [table, table]
    }
}

/// Rotates the halves of each head: `y₁ = x₁ cos − x₂ sin`, `y₂ = x₂ cos + x₁ sin` (`apply_rotary_pos_emb`).
///
/// `x` is `[T, H, D]`, `cos` and `sin` are f32 `[T, D/2]`.
package struct Rotary: Op {
    package init() {}

    package static let schema = OpSchema(
        "rotary", "`y₁ = x₁ cos − x₂ sin`, `y₂ = x₂ cos + x₁ sin` for the halves of each row of `x[T, H, D]`.", blank: Rotary(),
        operands: ["x", "cos", "sin"], isFused: true)

    package func infer(_ operands: [TensorType]) throws(TypeError) -> [TensorType] {
        let x = operands[0]
        try TypeRules.float(x, "x")
        try TypeRules.rank(x, 3, "x")
        guard let depth = x.shape[2].fixedValue, depth % 2 == 0 else { throw TypeError("rows of \(x) have no two halves") }
        for (name, table) in [("cos", operands[1]), ("sin", operands[2])] {
            try TypeRules.element(table, .f32, name)
            try TypeRules.shape(table, [x.shape[0], .fixed(depth / 2)], name)
        }
        return [x]
    }
}

extension OpWriter {
    package func rotaryTable(_ positions: Operand, _ inverseFrequencies: Operand, axes: [Int]) -> (cos: Operand, sin: Operand) {
        let results = write(RotaryTable(axes: axes), [positions, inverseFrequencies])
        return (results[0], results[1])
    }
    package func rotary(_ x: Operand, cos: Operand, sin: Operand) -> Operand { one(Rotary(), x, cos, sin) }
}

enum RotaryEmbeddings {
    static let ops: [any Op.Type] = [RotaryTable.self, Rotary.self]
}
