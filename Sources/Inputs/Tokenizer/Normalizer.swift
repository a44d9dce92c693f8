internal import Texts

extension NormalizerStep {
    /// The text after this step; the text must be valid UTF-8 and stays so.
    ///
    /// `startsInput` tells whether the whole input begins with it. Throws when the text would become too long, and when a regular
    /// expression takes too many steps.
    func applied(to text: [UInt8], startsInput: Bool, _ work: TokenizationWork) throws(TokenizationError) -> [UInt8] {
        try work.charge(text.count)
        let output =
            switch self {
            case .unicode(let form): try inParts(text, work) { UnicodeNormalization.normalized($0, form) }
            case .precompiled(let map): try map.replacing(in: text, work)
            case .machineTranslation: try inParts(text, work, translatable)
            case .bert(let cleaning): try inParts(text, work) { cleaned($0, cleaning) }
            case .sentencePiece(let normalizer): try normalizer.applied(to: text, startsInput: startsInput, work)
            case .lowercase: try inParts(text, work, lowercased)
            case .strip(let left, let right): stripped(text, left: left, right: right)
            case .stripAccents:
                try inParts(text, work) { part in
                    filtered(part) { !$0.properties.generalCategory.isMark || UnicodeNormalization.isTooYoung($0) }
                }
            case .replace(let pattern, let content): try pattern.replacing(in: text, with: content, work)
            case .prepend(let prefix): text.isEmpty ? text : prefix + text
            case .byteLevel: ByteAlphabet.spelled(text[...])
            }
        try work.checkLength(output.count)
        return output
    }

    /// Bytes of a part, at least, and what a byte costs, in units of the budget.
    private static let partBytes = 32 << 10
    private static let unitsPerByte = 50

    /// The text, step by step: parts end before an ASCII character, which no step joins to what precedes it.
    private func inParts(
        _ text: [UInt8], _ work: TokenizationWork, _ step: ([UInt8]) -> [UInt8]
    ) throws(TokenizationError) -> [UInt8] {
        var output: [UInt8] = []
        var start = 0
        while start < text.count {
            var end = min(start + Self.partBytes, text.count)
            while end < text.count, text[end] >= 0x80 { end += 1 }
            try work.charge(Self.unitsPerByte * (end - start))
            if start == 0, end == text.count { return step(text) }
            output += step(Array(text[start..<end]))
            try work.checkLength(output.count)
            start = end
        }
        return output
    }

    private func lowercased(_ text: [UInt8]) -> [UInt8] {
        var output: [UInt8] = []
        output.reserveCapacity(text.count)
        var scalars = ScalarReader(text)
        while let scalar = scalars.next() { output += scalar.properties.lowercaseMapping.utf8 }
        return output
    }

    /// Without control characters, and with odd spaces, marks of joining and direction and the replacement character made spaces.
    private func translatable(_ text: [UInt8]) -> [UInt8] {
        var output: [UInt8] = []
        output.reserveCapacity(text.count)
        var scalars = ScalarReader(text)
        while let scalar = scalars.next() {
            switch scalar.value {
            case 0x1...0x8, 0xB, 0xE...0x1F, 0x7F, 0x8F, 0x9F: continue
            case 0x9, 0xA, 0xC, 0xD, 0x1680, 0x200B...0x200F, 0x2028, 0x2029, 0x2581, 0xFEFF, 0xFFFD: output.append(UInt8(ascii: " "))
            default: output += UTF8.encode(scalar) ?? UTF8.encodedReplacementCharacter
            }
        }
        return output
    }

    private func cleaned(_ text: [UInt8], _ cleaning: BertCleaning) -> [UInt8] {
        var text = cleaning.cleaned(text)
        if cleaning.stripsAccents {
            text = filtered(UnicodeNormalization.normalized(text, .canonicalDecomposition)) { !BertCleaning.isAccent($0) }
        }
        return cleaning.lowercases ? lowercased(text) : text
    }

    private func filtered(_ text: [UInt8], _ isKept: (Unicode.Scalar) -> Bool) -> [UInt8] {
        var output: [UInt8] = []
        var scalars = ScalarReader(text)
        while let scalar = scalars.next() {
            if isKept(scalar) { output += String(scalar).utf8 }
        }
        return output
    }

    private func stripped(_ text: [UInt8], left: Bool, right: Bool) -> [UInt8] {
        let start = left ? WhiteSpace.end(after: text[...]) : 0
        let rest = text[start...]
        return Array(rest[..<(right ? WhiteSpace.start(before: rest) : rest.endIndex)])
    }
}

extension Unicode.Scalar {
    /// Whether Unicode 8 assigned it, whose tables HuggingFace's tokenizers has for punctuation and for BERT.
    var isOfUnicode8: Bool { properties.age.map { $0.major < 9 } ?? false }
}

extension Unicode.GeneralCategory {
    var isMark: Bool {
        switch self {
        case .nonspacingMark, .spacingMark, .enclosingMark: true
        default: false
        }
    }

    var isNumber: Bool {
        switch self {
        case .decimalNumber, .letterNumber, .otherNumber: true
        default: false
        }
    }

    var isPunctuation: Bool {
        switch self {
        case .connectorPunctuation, .dashPunctuation, .openPunctuation, .closePunctuation, .initialPunctuation,
            .finalPunctuation, .otherPunctuation:
            true
        default: false
        }
    }
}
