extension TokenizerDefinition {
    /// A rank file of tiktoken: lines of a token's bytes in base64 and its id, which is its rank as well.
    ///
    /// The text is brought into NFC, split as the published tokenizers of this layout split it, and merged by rank; `specials`,
    /// found in the normalized text, have the ids behind the last rank. Throws for lines of another kind, and where the
    /// ranks leave an id or a byte out.
    init(ranks bytes: [UInt8], name: String, specials: [String]) throws(TokenizerError) {
        var tokens: [(text: String, id: Int)] = []
        for (number, line) in bytes.split(separator: UInt8(ascii: "\n"), omittingEmptySubsequences: false).enumerated() {
            let parts = line.split { $0 == UInt8(ascii: " ") || $0 == UInt8(ascii: "\r") }
            if parts.isEmpty { continue }
            guard parts.count == 2, let token = Base64.decode(parts[0]), !token.isEmpty,
                let rank = Int(String(decoding: parts[1], as: UTF8.self)), rank >= 0
            else { throw .malformed("line \(number + 1) of \(name)", "expected a token in base64 and its rank") }
            tokens.append((String(decoding: ByteAlphabet.spelled(token[...]), as: UTF8.self), rank))
        }
        guard let vocabulary = Vocabulary(tokens: tokens), vocabulary.idLimit == tokens.count,
            ByteAlphabet.spellings.allSatisfy({ vocabulary.id($0) != nil })
        else { throw .malformed(name, "the ranks are not those from 0 on, each once, with one for every byte") }
        try vocabulary.checkDivisions(name)
        self.vocabulary = vocabulary
        normalizers = [.unicode(.canonicalComposition)]
        do {
            let pattern = try TextPattern(.expression(Self.rankPattern))
            preTokenizers = [.split(pattern, .isolated, invert: false), .byteLevel(addPrefixSpace: false, splitsWords: false)]
        } catch {
            throw .unsupported(name, error.message)
        }
        model = .bytePair(BytePairModel(ranks: vocabulary))
        decoders = [.byteLevel]
        addedTokens = specials.enumerated().map { index, content in
            AddedToken(id: Int32(tokens.count + index), content: content, isNormalized: true, isSpecial: true)
        }
    }

    private static let rankPattern =
        #"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"#
}

extension BytePairModel {
    /// Any two tokens that are a third one together may be merged, by the rank of that.
    fileprivate init(ranks vocabulary: Vocabulary) {
        ignoresMerges = true
        for id in 0..<Int32(vocabulary.idLimit) {
            for (left, right) in vocabulary.divisions(of: id) {
                merges.append(Merge(left: left, right: right, result: id))
                ranks.append(id)
            }
        }
    }
}
