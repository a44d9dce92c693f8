import IR
import Tensors

/// The extents of grouped attention; `kvHeads` divides `heads`.
struct AttentionShape {
    var heads: Int
    var kvHeads: Int
    var headDim: Int

    var queryWidth: Int { heads * headDim }
    var keyWidth: Int { kvHeads * headDim }
}

extension ModelTracer {
    /// `softmax(magnitude² / √D · q · kᵀ where visible) · v` with keys repeated for their group (`eager_attention_forward`).
    ///
    /// `q` is `[T, H, D]`, `k` and `v` are `[S, KVH, D]`, `visible` is bool `[T, S]`; the result is `[T, H · D]`.
    func attention(_ q: Value, _ k: Value, _ v: Value, visible: Value, _ shape: AttentionShape, magnitude: Double, tokens: Dim) -> Value {
        let group = shape.heads / shape.kvHeads
        func byHead(_ x: Value) -> Value { b.transpose(x, [1, 0, 2]) }
        func repeated(_ x: Value) -> Value { group == 1 ? x : b.repeat(x, axis: 1, count: group) }
        let scores = b.matmul(byHead(q), byHead(repeated(k)), transposeB: true)
        let scaled = b.mul(scores, b.literal(magnitude * magnitude / Double(shape.headDim).squareRoot()))
        let weights = b.softmax(b.where(visible, scaled, b.literal(-.infinity)))
        let sums = b.matmul(weights, byHead(repeated(v)))
        return b.reshape(byHead(sums), [tokens, .fixed(shape.queryWidth)])
    }

    /// Causal self-attention over a key-value cache, biases on q, k and v only (`Qwen2VLAttention`).
    ///
    /// New keys and values go to `slots` of the states `kv.<layer>.k` and `.v` first, so a token sees itself.
    func cachedAttention(
        _ x: Value, layer: Int, width: Int, _ shape: AttentionShape, _ rotary: RotaryTables, _ context: CacheContext
    ) -> Value {
        let heads: Shape = [context.tokens, .fixed(shape.heads), .fixed(shape.headDim)]
        let kvHeads: Shape = [context.tokens, .fixed(shape.kvHeads), .fixed(shape.headDim)]
        let q = b.reshape(linear("q_proj", x, from: width, to: shape.queryWidth, bias: true), heads)
        let k = b.reshape(linear("k_proj", x, from: width, to: shape.keyWidth, bias: true), kvHeads)
        let v = b.reshape(linear("v_proj", x, from: width, to: shape.keyWidth, bias: true), kvHeads)
        let cache = TensorType(.f32, ["S", .fixed(shape.kvHeads), .fixed(shape.headDim)])
        let keys = b.kvWrite(b.state("kv.\(layer).k", cache, .keys(layer: layer)), rotate(k, rotary, headDim: shape.headDim), context.slots)
        let values = b.kvWrite(b.state("kv.\(layer).v", cache, .values(layer: layer)), v, context.slots)
        b.update("kv.\(layer).k", keys)
        b.update("kv.\(layer).v", values)
        let mixed = attention(
            rotate(q, rotary, headDim: shape.headDim), keys, values, visible: context.visible, shape,
            magnitude: rotary.magnitude, tokens: context.tokens)
        return linear("o_proj", mixed, from: shape.queryWidth, to: width, bias: false)
    }
}

/// Where the tokens of a call go in the cache, and what each of them sees of it.
struct CacheContext {
    var tokens: Dim
    /// i32 `[T]`
    var slots: Value
    /// bool `[T, S]`
    var visible: Value
}
