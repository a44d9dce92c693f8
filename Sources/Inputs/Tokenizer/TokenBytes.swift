extension Tokenizer {
    /// The bytes that a token stands for inside a text, which need not be whole characters; none for an id without a token.
    ///
    /// What decoding does at the beginning or the end of a text, such as dropping a space, is not done.
    package func bytes(of id: Int32) -> [UInt8] {
        guard var token = decodedToken(id, skipsSpecialTokens: false) else { return [] }
        for step in definition.decoders ?? [] { token = step.inside(token) }
        return token
    }
}

extension DecoderStep {
    fileprivate func inside(_ token: [UInt8]) -> [UInt8] {
        switch self {
        case .byteLevel: ByteAlphabet.bytes(spelledBy: token[...])
        case .byteFallback: DecoderStage.fallbackByte(token).map { [$0] } ?? token
        case .fuse, .strip: token
        case .replace(let pattern, let content): (try? pattern.replacing(in: token, with: content, .decoding(bytes: token.count))) ?? token
        case .metaspace(let replacement, _): LiteralSearch(replacement).replacing(in: token, with: [0x20])
        case .endOfWord(let suffix): LiteralSearch(suffix).replacing(in: token, with: [0x20])
        case .pieces: DecoderStage.fallbackByte(token).map { [$0] } ?? LiteralSearch(Array("▁".utf8)).replacing(in: token, with: [0x20])
        }
    }
}
