/// Geometry of the paged KV cache: what one token keeps, independent of how many blocks exist.
package struct KVLayout: Sendable, Hashable, Codable {
    package var layers: Int
    package var heads: Int
    package var headDim: Int
    /// `f32` or `bf16`.
    package var element: DType

    package init(layers: Int, heads: Int, headDim: Int, element: DType) {
        self.layers = layers
        self.heads = heads
        self.headDim = headDim
        self.element = element
    }

    /// Bytes of K and V that one token takes over all layers.
    package var tokenBytes: Int { 2 * layers * heads * headDim * element.byteCount }

    /// Bytes of one block of `size` tokens over all layers.
    package func blockBytes(size: Int) -> Int { tokenBytes * size }
}
