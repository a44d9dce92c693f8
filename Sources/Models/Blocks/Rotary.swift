import Foundation
import HuggingFace
import IR
import Plan
import Tensors

/// The frequencies of a rotary embedding and the axis of the positions that each of them turns with.
struct RotaryFrequencies {
    /// One for each pair of the elements of a head that turn.
    var inverse: [Double]
    /// As many as frequencies.
    var axes: [Int]
    /// What queries and keys grow by when turned; attention scales its scores by the square instead.
    var magnitude = 1.0
    /// How many equal parts of a head turn by themselves, half against half, each with its share of the frequencies; as many as there are
    /// frequencies where neighbouring elements turn together.
    var parts = 1
    /// Other frequencies for sequences of other lengths. The positions have an axis for `inverse` and one for each of these: a
    /// sequence's position stands on the axis of its length, zero on the others.
    var alternatives: [[Double]] = []
    /// Which set of frequencies is for which sequences; nil where there is one.
    var lengths: LengthAxes?

    /// Rows of the `positions` input.
    var positionAxes: Int { alternatives.isEmpty ? (axes.max() ?? 0) + 1 : alternatives.count + 1 }

    init(inverse: [Double], axes: [Int]? = nil) {
        self.inverse = inverse
        self.axes = axes ?? Array(repeating: 0, count: inverse.count)
    }

    /// `θ^(−2i/d)` for `i < d/2`, rounded to f32.
    static func geometric(theta: Double, dimension: Int) -> [Double] {
        stride(from: 0, to: dimension, by: 2).map { Double(Float(1 / pow(theta, Double($0) / Double(dimension)))) }
    }

    /// Rows turn the first half of a head, columns the second (`VisionRotaryEmbedding`); `headDim` is a multiple of 4.
    init(rowsAndColumns theta: Double, headDim: Int) {
        let half = Self.geometric(theta: theta, dimension: headDim / 2)
        self.init(inverse: half + half, axes: Array(repeating: 0, count: half.count) + Array(repeating: 1, count: half.count))
    }

    /// Of a head's frequencies those of even index turn with rows, those of odd index with columns (`PixtralRotaryEmbedding`).
    init(alternating theta: Double, headDim: Int) {
        let all = Self.geometric(theta: theta, dimension: headDim)
        let half = all.count / 2
        let sorted = stride(from: 0, to: all.count, by: 2).map { all[$0] } + stride(from: 1, to: all.count, by: 2).map { all[$0] }
        self.init(inverse: sorted, axes: all.indices.map { $0 < half ? 0 : 1 })
    }
}

/// Cosine and sine of every angle of every token, twice beside itself: `[T, 1, R]`.
struct RotaryTables {
    var cos: Value
    var sin: Value
    /// Of the frequencies.
    var magnitude: Double
    /// How many elements of a head turn, `R`; the others stay.
    var dimension: Int
    /// Of the frequencies.
    var parts: Int
}

extension ModelTracer {
    /// The tables for positions i32 `[A, T]`: `angle[t, j] = positions[axes[j], t] · inverse[j]`, halves repeated.
    func rotaryTables(_ positions: Value, _ frequencies: RotaryFrequencies, tokens: Dim) -> RotaryTables {
        let count = frequencies.inverse.count
        let angles: Value
        if frequencies.alternatives.isEmpty {
            let axes = b.one(Constant(frequencies.axes.map(Double.init), TensorType(.i32, [.fixed(count)])))
            let positions = b.cast(b.transpose(b.gather(positions, axes), [1, 0]), to: .f32)
            angles = b.mul(positions, b.constant(frequencies.inverse))
        } else {
            let sets = [frequencies.inverse] + frequencies.alternatives
            let table = b.one(Constant(sets.flatMap { $0 }, TensorType(.f32, [.fixed(sets.count), .fixed(count)])))
            angles = b.matmul(b.cast(b.transpose(positions, [1, 0]), to: .f32), table)
        }
        func twice(_ half: Value) -> Value { b.reshape(b.concat([half, half], axis: 1), [tokens, 1, .fixed(2 * count)]) }
        return RotaryTables(
            cos: twice(b.cos(angles)), sin: twice(b.sin(angles)), magnitude: frequencies.magnitude, dimension: 2 * count,
            parts: frequencies.parts)
    }

    /// `x · cos + rotate_half(x) · sin` for `x` `[T, H, D]`, of the first elements of each head (`apply_rotary_pos_emb`).
    func rotate(_ x: Value, _ tables: RotaryTables, headDim: Int) -> Value {
        let turning = tables.dimension
        let part = turning == headDim ? x : b.slice(x, axis: 2, 0..<turning)
        let result = tables.parts == 1 ? turned(part, tables) : turnedInParts(part, tables)
        return turning == headDim ? result : b.concat([result, b.slice(x, axis: 2, turning..<headDim)], axis: 2)
    }

    private func turned(_ x: Value, _ tables: RotaryTables) -> Value {
        let half = tables.dimension / 2
        let swapped = b.concat([b.neg(b.slice(x, axis: 2, half..<2 * half)), b.slice(x, axis: 2, 0..<half)], axis: 2)
        return b.add(b.mul(x, tables.cos), b.mul(swapped, tables.sin))
    }

    /// Parts of a head that turn by themselves: their halves are brought together before and back behind.
    private func turnedInParts(_ x: Value, _ tables: RotaryTables) -> Value {
        let whole = x.type.shape
        // What stands for a value after an error has no heads.
        guard whole.rank == 3 else { return x }
        let (tokens, heads, parts) = (whole[0], whole[1], Dim.fixed(tables.parts))
        let half = Dim.fixed(tables.dimension / 2 / tables.parts)
        let cut = b.reshape(x, [tokens, heads, parts, 2, half])
        let y = turned(b.reshape(b.transpose(cut, [0, 1, 3, 2, 4]), whole), tables)
        return b.reshape(b.transpose(b.reshape(y, [tokens, heads, 2, parts, half]), [0, 1, 3, 2, 4]), whole)
    }
}
