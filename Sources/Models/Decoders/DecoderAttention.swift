import Foundation
import IR
import Tensors

/// What the attention of one layer needs beside its input.
struct LayerContext {
    var layer: Int
    var rotary: RotaryTables
    /// bool `[T, S]`
    var visible: Value
    /// i32 `[T]`
    var slots: Value
    var tokens: Dim
    /// f32 `[T, 1, 1]` that queries are multiplied by; nil for one.
    var growth: Value?
}

extension ModelTracer {
    /// Causal self-attention over a key-value cache.
    ///
    /// New keys and values go to `slots` of the states `kv.<layer>.k` and `.v` first, so a token sees itself.
    func cachedAttention(_ x: Value, _ text: DecoderConfiguration, _ context: LayerContext) -> Value {
        let shape = text.attention
        var (q, k, v) = projections(x, text, tokens: context.tokens)
        if text.normalizesHeads {
            q = rmsNorm("q_norm", q, width: shape.headDim, eps: text.eps, addsOne: text.normsAddOne)
            k = rmsNorm("k_norm", k, width: shape.headDim, eps: text.eps, addsOne: text.normsAddOne)
        }
        let cache = TensorType(.f32, ["S", .fixed(shape.kvHeads), .fixed(shape.headDim)])
        let names = ["k", "v"].map { "kv.\(context.layer).\($0)" }
        let states = (
            b.state(names[0], cache, .keys(layer: context.layer)), b.state(names[1], cache, .values(layer: context.layer))
        )
        let keys = b.kvWrite(states.0, rotate(k, context.rotary, headDim: shape.headDim), context.slots)
        let values = b.kvWrite(states.1, v, context.slots)
        b.update(names[0], keys)
        b.update(names[1], values)
        q = rotate(q, context.rotary, headDim: shape.headDim)
        if let growth = context.growth { q = b.mul(q, growth) }
        let mixed = attention(
            q, keys, values, visible: context.visible, shape, magnitude: context.rotary.magnitude, divisor: text.scoreDivisor,
            cap: text.scoreCap, tokens: context.tokens)
        return linear("o_proj", mixed, from: shape.queryWidth, to: text.width, bias: text.outputBias)
    }

    /// Queries `[T, H, D]`, keys and values `[T, KVH, D]`.
    private func projections(_ x: Value, _ text: DecoderConfiguration, tokens: Dim) -> (Value, Value, Value) {
        let (shape, width) = (text.attention, text.width)
        let headDim = Dim.fixed(shape.headDim)
        let heads: Shape = [tokens, .fixed(shape.heads), headDim]
        let kvHeads: Shape = [tokens, .fixed(shape.kvHeads), headDim]
        let total = shape.queryWidth + 2 * shape.keyWidth
        switch text.projections {
        case .separate:
            let q = b.reshape(linear("q_proj", x, from: width, to: shape.queryWidth, bias: text.queryBias), heads)
            let k = b.reshape(linear("k_proj", x, from: width, to: shape.keyWidth, bias: text.queryBias), kvHeads)
            let v = b.reshape(linear("v_proj", x, from: width, to: shape.keyWidth, bias: text.queryBias), kvHeads)
            return (q, k, v)
        case .rows:
            let all = linear("qkv_proj", x, from: width, to: total, bias: text.queryBias)
            let ends = [0, shape.queryWidth, shape.queryWidth + shape.keyWidth, total]
            let parts = (0..<3).map { b.slice(all, axis: 1, ends[$0]..<ends[$0 + 1]) }
            return (b.reshape(parts[0], heads), b.reshape(parts[1], kvHeads), b.reshape(parts[2], kvHeads))
        case .groups:
            let group = shape.heads / shape.kvHeads
            let all = linear("qkv_proj", x, from: width, to: total, bias: text.queryBias)
            let grouped = b.reshape(all, [tokens, .fixed(shape.kvHeads), .fixed(group + 2), headDim])
            let q = b.reshape(b.slice(grouped, axis: 2, 0..<group), heads)
            let k = b.reshape(b.slice(grouped, axis: 2, group..<group + 1), kvHeads)
            let v = b.reshape(b.slice(grouped, axis: 2, group + 1..<group + 2), kvHeads)
            return (q, k, v)
        }
    }

    /// `max(1, log(position + 1) / log(base))` of every token, f32 `[T, 1, 1]` (`use_logn_attn` of the first Qwen).
    func queryGrowth(_ positions: Value, _ text: DecoderConfiguration, tokens: Dim) -> Value? {
        guard let base = text.logarithmBase else { return nil }
        let table = (1...text.maxPositions).map { $0 > base ? log(Double($0)) / log(Double(base)) : 1 }
        let ones = b.literal(1, TensorType(.f32, [.fixed(text.positionAxes), 1]))
        let sums = b.matmul(b.cast(b.transpose(positions, [1, 0]), to: .f32), ones)
        let index = b.reshape(b.cast(sums, to: .i32), [tokens])
        return b.reshape(b.gather(b.constant(table), index), [tokens, 1, 1])
    }
}
