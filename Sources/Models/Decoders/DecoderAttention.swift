import Foundation
import IR
import Tensors

/// What the attention of one layer needs beside its input.
struct LayerContext {
    var layer: Int
    /// The layer's number among those that attend, which its keys and values go by.
    var cache: Int
    var rotary: RotaryTables
    /// bool `[T, S]`
    var visible: Value
    /// i32 `[T]`
    var slots: Value
    var tokens: Dim
    /// f32 `[T, 1, 1]` that queries are multiplied by; nil for one.
    var growth: Value?
}

/// Keys and values of a layer with those of the call at hand, `[S, KVH, D]` each.
struct LayerCache {
    var keys: Value
    var values: Value
}

extension ModelTracer {
    /// Causal self-attention over a key-value cache: that of an earlier layer, or one of its own, which it adds to `caches`.
    ///
    /// New keys and values go to `slots` of the states `kv.<cache>.k` and `.v` first, so a token sees itself.
    func cachedAttention(
        _ x: Value, _ text: DecoderConfiguration, _ context: LayerContext, _ caches: inout [Int: LayerCache]
    ) -> Value {
        let layer = text.layers[context.layer]
        let shape = text.heads(of: layer)
        let rows = projections(x, text, layer, tokens: context.tokens)
        if let k = rows.k, let v = rows.v { caches[context.layer] = stored(k, v, text, shape, context) }
        var q = turned("q_norm", rows.q, shape, text, context)
        if let growth = context.growth { q = b.mul(q, growth) }
        guard let cache = caches[layer.source ?? context.layer] else { return q }
        var mixed = attention(
            q, cache.keys, cache.values, visible: context.visible, shape, magnitude: context.rotary.magnitude, divisor: text.scoreDivisor,
            cap: text.scoreCap, tokens: context.tokens)
        if let gate = rows.gate { mixed = b.mul(mixed, b.sigmoid(gate)) }
        return linear("o_proj", mixed, from: shape.queryWidth, to: text.width, bias: text.outputBias)
    }

    /// Queries or keys, normalized where the decoder does it, and turned.
    private func turned(
        _ name: String, _ x: Value, _ shape: AttentionShape, _ text: DecoderConfiguration, _ context: LayerContext
    ) -> Value {
        var x = x
        if text.normalizesHeads { x = rmsNorm(name, x, width: shape.headDim, eps: text.eps, addsOne: text.normsAddOne) }
        return rotate(x, context.rotary, headDim: shape.headDim)
    }

    /// The states of a layer with new keys and values.
    private func stored(
        _ k: Value, _ v: Value, _ text: DecoderConfiguration, _ shape: AttentionShape, _ context: LayerContext
    ) -> LayerCache {
        let type = TensorType(.f32, ["S", .fixed(shape.kvHeads), .fixed(shape.headDim)])
        let names = ["k", "v"].map { "kv.\(context.cache).\($0)" }
        let states = (b.state(names[0], type, .keys(layer: context.cache)), b.state(names[1], type, .values(layer: context.cache)))
        let turned = turned("k_norm", k, shape, text, context)
        let cache = LayerCache(
            keys: b.kvWrite(states.0, turned, context.slots),
            values: b.kvWrite(states.1, text.normalizesValues ? bareNorm(v, eps: text.eps) : v, context.slots))
        b.update(names[0], cache.keys)
        b.update(names[1], cache.values)
        return cache
    }

    /// Queries `[T, H, D]`, keys and values `[T, KVH, D]`, and what gates the result, `[T, H · D]`; no keys and values for a layer that
    /// sees those of another.
    private func projections(
        _ x: Value, _ text: DecoderConfiguration, _ layer: DecoderLayer, tokens: Dim
    ) -> (q: Value, k: Value?, v: Value?, gate: Value?) {
        let (shape, width) = (text.heads(of: layer), text.attended ?? text.width)
        let headDim = Dim.fixed(shape.headDim)
        let heads: Shape = [tokens, .fixed(shape.heads), headDim]
        let kvHeads: Shape = [tokens, .fixed(shape.kvHeads), headDim]
        let total = shape.queryWidth + 2 * shape.keyWidth
        switch text.projections {
        case .gated:
            let both = linear("q_proj", x, from: width, to: 2 * shape.queryWidth, bias: text.queryBias)
            let grouped = b.reshape(both, [tokens, .fixed(shape.heads), .fixed(2 * shape.headDim)])
            let q = b.slice(grouped, axis: 2, 0..<shape.headDim)
            let gate = b.reshape(b.slice(grouped, axis: 2, shape.headDim..<2 * shape.headDim), [tokens, .fixed(shape.queryWidth)])
            let k = b.reshape(linear("k_proj", x, from: width, to: shape.keyWidth, bias: text.queryBias), kvHeads)
            let v = b.reshape(linear("v_proj", x, from: width, to: shape.keyWidth, bias: text.queryBias), kvHeads)
            return (q, k, v, gate)
        case .separate:
            let q = b.reshape(linear("q_proj", x, from: width, to: shape.queryWidth, bias: text.queryBias), heads)
            guard layer.source == nil else { return (q, nil, nil, nil) }
            let k = b.reshape(linear("k_proj", x, from: width, to: shape.keyWidth, bias: text.queryBias), kvHeads)
            guard !layer.valuesAreKeys else { return (q, k, k, nil) }
            let v = b.reshape(linear("v_proj", x, from: width, to: shape.keyWidth, bias: text.queryBias), kvHeads)
            return (q, k, v, nil)
        case .rows:
            let all = linear("qkv_proj", x, from: width, to: total, bias: text.queryBias)
            let ends = [0, shape.queryWidth, shape.queryWidth + shape.keyWidth, total]
            let parts = (0..<3).map { b.slice(all, axis: 1, ends[$0]..<ends[$0 + 1]) }
            return (b.reshape(parts[0], heads), b.reshape(parts[1], kvHeads), b.reshape(parts[2], kvHeads), nil)
        case .groups:
            let group = shape.heads / shape.kvHeads
            let all = linear("qkv_proj", x, from: width, to: total, bias: text.queryBias)
            let grouped = b.reshape(all, [tokens, .fixed(shape.kvHeads), .fixed(group + 2), headDim])
            let q = b.reshape(b.slice(grouped, axis: 2, 0..<group), heads)
            let k = b.reshape(b.slice(grouped, axis: 2, group..<group + 1), kvHeads)
            let v = b.reshape(b.slice(grouped, axis: 2, group + 1..<group + 2), kvHeads)
            return (q, k, v, nil)
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
