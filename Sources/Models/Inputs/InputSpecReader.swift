package import HuggingFace
package import Plan

extension ModelDirectory {
    /// What every family's requests have in common: the vocabulary, what ends an answer, how it is sampled, the special tokens.
    package func inputs(vocabulary: Int, positions: PositionScheme, _ config: ModelConfig) throws(CheckpointError) -> InputSpec {
        InputSpec(
            positions: positions, vocabularySize: vocabulary,
            endTokenIDs: config.generation.eosTokenIDs.map { Int32(clamping: $0) }, generation: GenerationDefaults(config.generation),
            specialTokens: try specialTokens())
    }
}

extension ConfigSection {
    /// The token that stands for an image; `standard` is the class default.
    package func imageToken(vocabulary: Int, or standard: Int? = nil) throws(CheckpointError) -> Int32 {
        let key = has("image_token_index") && !has("image_token_id") ? "image_token_index" : "image_token_id"
        return try token(key, vocabulary: vocabulary, or: standard)
    }

    /// The token under a key; `standard` is the class default.
    func token(_ key: String, vocabulary: Int, or standard: Int? = nil) throws(CheckpointError) -> Int32 {
        if let standard, !has(key), standard < vocabulary { return Int32(clamping: standard) }
        return Int32(clamping: try size(key, in: 0...vocabulary - 1))
    }
}

extension GenerationDefaults {
    fileprivate init(_ config: GenerationConfig) {
        self.init(
            doSample: config.doSample, temperature: config.temperature, topP: config.topP, topK: config.topK, minP: config.minP,
            repetitionPenalty: config.repetitionPenalty, maxNewTokens: config.maxNewTokens)
    }
}
