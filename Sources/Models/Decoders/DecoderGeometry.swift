import HuggingFace

extension ModelGeometry {
    /// That of a decoder with images of such patches, merged by squares of such a side.
    package init(_ text: DecoderConfiguration, patchSize: Int, mergeSize: Int) {
        self.init(
            layers: text.layers.count, heads: text.attention.heads, kvHeads: text.attention.kvHeads, headDim: text.attention.headDim,
            hiddenSize: text.width, vocabularySize: text.vocabulary, maxPositions: text.maxPositions, positionAxes: text.positionAxes,
            patchSize: patchSize, mergeSize: mergeSize)
    }
}

extension DecoderConfiguration {
    /// The checkpoint without a head that is tied to the embedding and equal to it.
    func effective(_ checkpoint: Checkpoint, _ rewrites: [NameRewrite]) -> Checkpoint {
        guard isTied else { return checkpoint }
        func source(_ name: String) -> String? {
            checkpoint.types.keys.first { source in (rewrites.lazy.compactMap { $0.canonical(source) }.first ?? source) == name }
        }
        guard let head = source("lm_head.weight"), let embedding = source("model.embed_tokens.weight") else { return checkpoint }
        return checkpoint.dropping(head, ifEqualTo: embedding)
    }
}
