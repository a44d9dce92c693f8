import IR
import Tensors

/// The extents of grouped attention; `kvHeads` divides `heads`.
struct AttentionShape: Hashable {
    var heads: Int
    var kvHeads: Int
    var headDim: Int

    var queryWidth: Int { heads * headDim }
    var keyWidth: Int { kvHeads * headDim }
}

extension ModelTracer {
    /// `softmax(magnitude² / divisor · q · kᵀ where visible) · v` with keys repeated for their group (`eager_attention_forward`).
    ///
    /// `q` is `[T, H, D]`, `k` and `v` are `[S, KVH, D]`, `visible` is bool `[T, S]`; the result is `[T, H · D]`. The divisor is
    /// `√D` unless given; with a cap `c`, scores `x` become `c · tanh(x / c)`.
    func attention(
        _ q: Value, _ k: Value, _ v: Value, visible: Value, _ shape: AttentionShape, magnitude: Double = 1, divisor: Double? = nil,
        cap: Double? = nil, tokens: Dim
    ) -> Value {
        let group = shape.heads / shape.kvHeads
        func byHead(_ x: Value) -> Value { b.transpose(x, [1, 0, 2]) }
        func repeated(_ x: Value) -> Value { group == 1 ? x : b.repeat(x, axis: 1, count: group) }
        let scores = b.matmul(byHead(q), byHead(repeated(k)), transposeB: true)
        let scaled = b.mul(scores, b.literal(magnitude * magnitude / (divisor ?? Double(shape.headDim).squareRoot())))
        let weights = b.softmax(b.where(visible, capped(scaled, cap), b.literal(-.infinity)))
        let sums = b.matmul(weights, byHead(repeated(v)))
        return b.reshape(byHead(sums), [tokens, .fixed(shape.queryWidth)])
    }

    /// `c · tanh(x / c)`; `x` where there is no cap.
    func capped(_ x: Value, _ cap: Double?) -> Value {
        guard let cap else { return x }
        return b.mul(b.tanh(b.mul(x, b.literal(1 / cap))), b.literal(cap))
    }
}
