import Foundation
import IR
import Tensors

/// Cross-attention of learned queries to the patches of a tile (`Resampler` of MiniCPM-V and Qwen-VL).
struct Resampler {
    /// Queries of each tile.
    var queries: Int
    /// Width of the patches.
    var inputs: Int
    var width: Int
    var eps = 1e-6

    /// Heads are of 128 elements.
    var attention: AttentionShape { AttentionShape(heads: max(width / 128, 1), kvHeads: max(width / 128, 1), headDim: width / max(width / 128, 1)) }
}

extension ModelTracer {
    /// Patches as keys and values, `[K, W]`.
    func resamplerKeys(_ x: Value, _ resampler: Resampler) -> Value {
        let projected = resampler.inputs == resampler.width && !has("kv_proj.weight")
            ? x : linear("kv_proj", x, from: resampler.inputs, to: resampler.width, bias: false)
        return layerNorm("ln_kv", projected, width: resampler.width, eps: resampler.eps)
    }

    /// The learned queries, `[Q, W]`.
    func resamplerQueries(_ resampler: Resampler) -> Value {
        layerNorm("ln_q", parameter("query", [.fixed(resampler.queries), .fixed(resampler.width)]), width: resampler.width, eps: resampler.eps)
    }

    /// `torch.nn.MultiheadAttention` of queries `[M, W]` to keys and values `[K, W]`, with the places added where they matter.
    func resample(
        _ queries: Value, keys: Value, values: Value, _ resampler: Resampler, rows: Dim, keyRows: Dim, _ mask: SegmentMask = .queries
    ) -> Value {
        let visible = segmentInput(mask, queries: rows, keys: keyRows)
        let (shape, width) = (resampler.attention, resampler.width)
        let weight = parameter("in_proj_weight", [.fixed(3 * width), .fixed(width)])
        let bias = parameter("in_proj_bias", [.fixed(3 * width)])
        func part(_ index: Int, _ x: Value, _ rows: Dim) -> Value {
            let range = index * width..<(index + 1) * width
            let y = b.add(b.matmul(x, b.slice(weight, axis: 0, range), transposeB: true), b.slice(bias, axis: 0, range))
            return b.reshape(y, [rows, .fixed(shape.heads), .fixed(shape.headDim)])
        }
        let mixed = attention(
            part(0, queries, rows), part(1, keys, keyRows), part(2, values, keyRows), visible: visible, shape, tokens: rows)
        return linear("out_proj", mixed, from: width, to: width, bias: true)
    }

    /// Sines and cosines of the columns, then of the rows, of places i32 `[2, K]`: f32 `[K, W]` (`get_2d_sincos_pos_embed`).
    func wavePositions(_ places: Value, width: Int) -> Value {
        let quarter = width / 4
        let frequencies = (0..<quarter).map { Double(Float(1 / pow(10_000, Double($0) / Double(quarter)))) }
        func waves(_ axis: Int) -> [Value] {
            let axes = b.one(Constant(Array(repeating: Double(axis), count: quarter), TensorType(.i32, [.fixed(quarter)])))
            let angles = b.mul(b.cast(b.transpose(b.gather(places, axes), [1, 0]), to: .f32), b.constant(frequencies))
            return [b.sin(angles), b.cos(angles)]
        }
        return b.concat(waves(1) + waves(0), axis: 1)
    }
}
