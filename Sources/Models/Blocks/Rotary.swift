import Foundation
import HuggingFace
import IR
import Tensors

/// The frequencies of a rotary embedding and the axis of the positions that each of them turns with.
struct RotaryFrequencies {
    /// One for each pair of a head's elements.
    var inverse: [Double]
    /// As many as frequencies.
    var axes: [Int]
    /// What queries and keys grow by when turned; attention scales its scores by the square instead.
    var magnitude = 1.0

    /// `θ^(−2i/d)` for `i < d/2`, rounded to f32.
    static func geometric(theta: Double, dimension: Int) -> [Double] {
        stride(from: 0, to: dimension, by: 2).map { Double(Float(1 / pow(theta, Double($0) / Double(dimension)))) }
    }

    /// M-RoPE: the frequencies in sections, each with the next of the axes time, height, width (`Qwen2VLRotaryEmbedding`).
    ///
    /// The rope types `default`, `linear` and `yarn` are known; others are refused.
    init(mrope rope: ConfigSection, headDim: Int, maxPositions: Int) throws(CheckpointError) {
        let theta = try rope.positive("rope_theta")
        inverse = Self.geometric(theta: theta, dimension: headDim)
        let type = try rope.string("rope_type") ?? "default"
        switch type {
        case "default": break
        case "linear":
            let factor = try rope.positive("factor")
            inverse = inverse.map { Double(Float($0 / factor)) }
        case "yarn":
            let yarn = try YarnScaling(rope, theta: theta, maxPositions: maxPositions)
            inverse = yarn.scale(inverse, dimension: headDim)
            magnitude = yarn.attentionFactor
        default:
            throw rope.error("rope_type", "is \"\(type)\"; the known types are: default, mrope, linear, yarn", .unsupported)
        }
        let given = try rope.ints("mrope_section")
        let sections = given ?? [16, 24, 24]
        guard given != nil || headDim == 128 else {
            throw rope.error("mrope_section", "is missing; its default \(sections) is for heads of 128, these have \(headDim)")
        }
        var total = 0
        for section in sections {
            guard (0...headDim).contains(section) else { throw rope.error("mrope_section", "is \(sections), which cannot be") }
            total += section
        }
        guard total == headDim / 2 else {
            throw rope.error("mrope_section", "is \(sections); expected numbers whose sum is half a head, \(headDim / 2)")
        }
        axes = sections.enumerated().flatMap { Array(repeating: $0.offset % 3, count: $0.element) }
    }

    /// Rows turn the first half of a head, columns the second (`VisionRotaryEmbedding`); `headDim` is a multiple of 4.
    init(rowsAndColumns theta: Double, headDim: Int) {
        let half = Self.geometric(theta: theta, dimension: headDim / 2)
        inverse = half + half
        axes = Array(repeating: 0, count: half.count) + Array(repeating: 1, count: half.count)
    }
}

/// Cosine and sine of every angle of every token, twice beside itself: `[T, 1, D]`.
struct RotaryTables {
    var cos: Value
    var sin: Value
    /// Of the frequencies.
    var magnitude: Double
}

extension ModelTracer {
    /// The tables for positions i32 `[A, T]`: `angle[t, j] = positions[axes[j], t] · inverse[j]`, halves repeated.
    func rotaryTables(_ positions: Value, _ frequencies: RotaryFrequencies, tokens: Dim) -> RotaryTables {
        let count = frequencies.inverse.count
        let axes = b.one(Constant(frequencies.axes.map(Double.init), TensorType(.i32, [.fixed(count)])))
        let positions = b.cast(b.transpose(b.gather(positions, axes), [1, 0]), to: .f32)
        let angles = b.mul(positions, b.constant(frequencies.inverse))
        func twice(_ half: Value) -> Value { b.reshape(b.concat([half, half], axis: 1), [tokens, 1, .fixed(2 * count)]) }
        return RotaryTables(cos: twice(b.cos(angles)), sin: twice(b.sin(angles)), magnitude: frequencies.magnitude)
    }

    /// `x · cos + rotate_half(x) · sin` for `x` `[T, H, D]` (`apply_rotary_pos_emb`).
    func rotate(_ x: Value, _ tables: RotaryTables, headDim: Int) -> Value {
        let first = b.slice(x, axis: 2, 0..<headDim / 2)
        let second = b.slice(x, axis: 2, headDim / 2..<headDim)
        let turned = b.concat([b.neg(second), first], axis: 2)
        return b.add(b.mul(x, tables.cos), b.mul(turned, tables.sin))
    }
}
