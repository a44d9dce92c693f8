extension TokenizerDefinition {
    /// The most bytes of text that one token can stand for, so that longer texts certainly have more tokens.
    ///
    /// Nil where text can vanish: through a step that removes some, an added token that swallows white space, or
    /// characters that the vocabulary lacks.
    var maxTokenBytes: Int? {
        let isPlain = addedTokens.allSatisfy { token in
            // Normalizing may make a token's own text longer, though not an ASCII one's.
            !token.stripsLeft && !token.stripsRight && (!token.isNormalized || token.content.utf8.allSatisfy { $0 < 0x80 })
        }
        guard isPlain, coversAllText else { return nil }
        let added = addedTokens.map(\.content.utf8.count).max() ?? 0
        // A character that becomes the unknown token has at most four bytes.
        var bytes = max(vocabulary.longestText, added, 4)
        for step in normalizers {
            guard let shrinking = step.maxShrinking else { return nil }
            bytes *= shrinking
        }
        return preTokenizers.allSatisfy(\.keepsText) ? bytes : nil
    }

    /// Whether every byte that gets to the model becomes a token or a part of one.
    private var coversAllText: Bool {
        switch model {
        case .unigram(let model): return model.fallsBackToBytes && !vocabulary.fallbackIDs.contains(-1)
        case .bytePair(let model):
            guard model.continuingPrefix.isEmpty, model.endOfWordSuffix.isEmpty else { return false }
            if case .byteLevel? = preTokenizers.last { return ByteAlphabet.spellings.allSatisfy { vocabulary.id($0) != nil } }
            if model.fallsBackToBytes, !vocabulary.fallbackIDs.contains(-1) { return true }
            return model.unknown != nil && !model.fusesUnknown
        }
    }
}

extension NormalizerStep {
    /// How many times shorter the text can become, at most; nil for any number of times.
    fileprivate var maxShrinking: Int? {
        switch self {
        // A character has at most four bytes and gives at least one; compositions of several give a third at least.
        case .unicode, .lowercase: 4
        case .prepend, .byteLevel: 1
        case .replace(let pattern, let content):
            if case .literal(let text) = pattern.source, !content.isEmpty { max(1, (text.utf8.count + content.count - 1) / content.count) } else { nil }
        case .sentencePiece(let normalizer): normalizer.keepsText ? 1 : nil
        case .strip, .stripAccents, .precompiled, .machineTranslation, .bert: nil
        }
    }
}

extension PreTokenizerStep {
    fileprivate var keepsText: Bool {
        switch self {
        case .split(_, let behavior, _), .punctuation(let behavior): behavior != .removed
        case .byteLevel, .digits, .metaspace: true
        case .whitespaceSplit, .whitespace: false
        }
    }
}

extension Vocabulary {
    /// Bytes of the longest text.
    fileprivate var longestText: Int { zip(starts, starts.dropFirst()).map { Int($1 - $0) }.max() ?? 0 }
}
