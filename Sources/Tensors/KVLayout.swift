/// Geometry of the paged KV cache: what one token keeps, independent of how many blocks exist.
package struct KVLayout: Sendable, Hashable, Codable {
    /// What one layer keeps of a token: so many keys, and as many values.
    package struct Layer: Sendable, Hashable, Codable {
        package var heads: Int
        package var headDim: Int

        package init(heads: Int, headDim: Int) {
            self.heads = heads
            self.headDim = headDim
        }

        /// Elements of all keys of a token.
        package var width: Int { heads * headDim }
    }

    /// By the number that attention over a cache gives.
    package var layers: [Layer]
    /// `f32` or `bf16`.
    package var element: DType

    package init(layers: [Layer], element: DType) {
        self.layers = layers
        self.element = element
    }

    /// So many layers that are alike.
    package init(layers: Int, heads: Int, headDim: Int, element: DType) {
        self.init(layers: Array(repeating: Layer(heads: heads, headDim: headDim), count: layers), element: element)
    }

    /// Bytes of K and V that one token takes in a layer.
    package func tokenBytes(_ layer: Layer) -> Int { 2 * layer.width * element.byteCount }

    /// Bytes of K and V that one token takes over all layers.
    package var tokenBytes: Int { layers.reduce(0) { $0 + tokenBytes($1) } }

    /// Bytes of one block of `size` tokens over all layers.
    package func blockBytes(size: Int) -> Int { tokenBytes * size }
}
