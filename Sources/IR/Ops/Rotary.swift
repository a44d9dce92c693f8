package import Tensors

/// Angles of rotary position embedding: `angle[t, j] = positions[axes[j], t] · inv_freq[j]`, as cosine and sine.
///
/// `positions` is i32 `[A, T]`, `inv_freq` f32 `[D/2]`, `axes` has D/2 entries; results are f32 `[T, D/2]`. M-RoPE
/// (`Qwen2VLRotaryEmbedding`) and the vision tower's height and width rows differ only in `axes`.
///
/// With more than one set, `axes` and `inv_freq` are so many lists behind each other, and an angle is the sum over them: frequencies that
/// depend on a sequence's length, whose position stands on the axis of its set (the first Qwen, Phi-3).
package struct RotaryTable: Op {
    package var axes: [Int]
    /// How many lists `axes` is.
    package var sets: Int

    package init(axes: [Int], sets: Int = 1) {
        self.axes = axes
        self.sets = sets
    }

    package static let schema = OpSchema(
        "rotary_table", "`angle[t, j] = positions[axes[j], t] · inv_freq[j]`, as cosine and sine.", blank: RotaryTable(axes: []),
        operands: ["positions", "inv_freq"], attributes: [.init("axes", \.axes), .init("sets", \.sets, isOptional: true)],
        results: ["cos", "sin"], isFused: true)

    package func infer(_ operands: [TensorType]) throws(TypeError) -> [TensorType] {
        let (positions, frequencies) = (operands[0], operands[1])
        try TypeRules.element(positions, .i32, "positions")
        try TypeRules.rank(positions, 2, "positions")
        try TypeRules.element(frequencies, .f32, "inv_freq")
        try TypeRules.shape(frequencies, [.fixed(axes.count)], "inv_freq")
        guard let count = positions.shape[0].fixedValue else { throw TypeError("positions \(positions) have no fixed number of axes") }
        for axis in axes where axis < 0 || axis >= count { throw TypeError("axis \(axis) is not a row of \(positions)") }
        guard sets > 0, axes.count % sets == 0 else { throw TypeError("\(axes.count) axes are not \(sets) sets of equal length") }
        let table = TensorType(.f32, [positions.shape[1], .fixed(axes.count / sets)])
        return [table, table]
    }
}

/// Rotates the halves of each part of each head: `y₁ = x₁ cos − x₂ sin`, `y₂ = x₂ cos + x₁ sin` (`apply_rotary_pos_emb`).
///
/// `x` is `[T, H, D]`, `cos` and `sin` are f32 `[T, D/2]`, part after part. A head is one part, or two of axes (Gemma 4's tower), or as
/// many as pairs, which are neighbours then (GLM).
package struct Rotary: Op {
    /// How many equal parts of a head turn by themselves.
    package var parts: Int

    package init(parts: Int = 1) { self.parts = parts }

    package static let schema = OpSchema(
        "rotary", "`y₁ = x₁ cos − x₂ sin`, `y₂ = x₂ cos + x₁ sin` for the halves of each part of a row of `x[T, H, D]`.",
        blank: Rotary(), operands: ["x", "cos", "sin"], attributes: [.init("parts", \.parts, isOptional: true)], isFused: true)

    package func infer(_ operands: [TensorType]) throws(TypeError) -> [TensorType] {
        let x = operands[0]
        try TypeRules.float(x, "x")
        try TypeRules.rank(x, 3, "x")
        guard let depth = x.shape[2].fixedValue, parts > 0, depth % (2 * parts) == 0 else {
            throw TypeError("rows of \(x) have no two halves in \(parts) parts")
        }
        for (name, table) in [("cos", operands[1]), ("sin", operands[2])] {
            try TypeRules.element(table, .f32, name)
            try TypeRules.shape(table, [x.shape[0], .fixed(depth / 2)], name)
        }
        return [x]
    }
}

extension OpWriter {
    package func rotaryTable(
        _ positions: Operand, _ inverseFrequencies: Operand, axes: [Int], sets: Int = 1
    ) -> (cos: Operand, sin: Operand) {
        let results = write(RotaryTable(axes: axes, sets: sets), [positions, inverseFrequencies])
        return (results[0], results[1])
    }
    package func rotary(_ x: Operand, cos: Operand, sin: Operand, parts: Int = 1) -> Operand { one(Rotary(parts: parts), x, cos, sin) }
}

enum RotaryEmbeddings {
    static let ops: [any Op.Type] = [RotaryTable.self, Rotary.self]
}
