internal import Texts

/// A stretch of normalized text and its division into words.
struct Words: Sendable {
    var text: [UInt8]
    var ranges: [Range<Int>]
    /// Whether the first word starts where the whole input starts.
    var startsInput: Bool
    /// Whether the model is to see the bytes spelled in the byte alphabet; `text` itself holds the bytes.
    var isByteLevel = false

    init(_ text: [UInt8], startsInput: Bool) {
        self.text = text
        self.startsInput = startsInput
        ranges = text.isEmpty ? [] : [0..<text.count]
    }

    /// Throws when the text would become too long, and when a regular expression takes too many steps.
    mutating func apply(_ steps: [PreTokenizerStep], _ work: TokenizationWork) throws(TokenizationError) {
        for (index, step) in steps.enumerated() {
            work.enter(.preTokenizer, index)
            try work.charge(Self.unitsPerByte * text.count)
            if isByteLevel { spellBytes() }
            try apply(step, work)
            try work.checkLength(text.count)
        }
    }

    /// What a step costs a byte, in units of the budget.
    private static let unitsPerByte = 20

    private mutating func apply(_ step: PreTokenizerStep, _ work: TokenizationWork) throws(TokenizationError) {
        switch step {
        case .split(let pattern, let behavior, let invert): try split(behavior, invert: invert, at: pattern, work)
        case .byteLevel(let addPrefixSpace, let splitsWords):
            if addPrefixSpace {
                rewrite { word, _ in word.first == UInt8(ascii: " ") ? Array(word) : [UInt8(ascii: " ")] + word }
            }
            if splitsWords, let pattern = Self.gpt2Words { try split(.isolated, at: pattern, work) }
            isByteLevel = true
        case .digits(let individual):
            split(individual ? .isolated : .contiguous, onScalars: { $0.properties.generalCategory.isNumber })
        case .metaspace(let replacement, let scheme, let splits):
            try applyMetaspace(replacement, scheme, splits: splits, work)
        case .whitespaceSplit:
            split(.removed, onScalars: { $0.properties.isWhitespace })
        case .whitespace:
            if let pattern = Self.wordsOrSymbols { try split(.removed, invert: true, at: pattern, work) }
        case .punctuation(let behavior):
            split(behavior, onScalars: isPunctuation)
        }
    }

    /// The pattern of GPT-2, which HuggingFace's `ByteLevel` applies when `use_regex` is true.
    private static let gpt2Words = try? TextPattern(
        .expression(#"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"#))

    private static let wordsOrSymbols = try? TextPattern(
        .expression("[\(OnigurumaSyntax.wordMembers)\\x{200C}\\x{200D}]+|[^\(OnigurumaSyntax.wordMembers)\\x{200C}\\x{200D}\\s]+"))

    /// Punctuation by the Unicode 8 tables that HuggingFace's `Punctuation` uses, and all ASCII symbols.
    private func isPunctuation(_ scalar: Unicode.Scalar) -> Bool {
        if scalar.isASCII {
            switch scalar.value {
            case 0x21...0x2F, 0x3A...0x40, 0x5B...0x60, 0x7B...0x7E: return true
            default: return false
            }
        }
        return scalar.isOfUnicode8 && scalar.properties.generalCategory.isPunctuation
    }

    private mutating func applyMetaspace(
        _ replacement: [UInt8], _ scheme: PrependScheme, splits: Bool, _ work: TokenizationWork
    ) throws(TokenizationError) {
        rewrite { word, isFirst in
            var output: [UInt8] = []
            output.reserveCapacity(word.count + replacement.count)
            for byte in word {
                if byte == UInt8(ascii: " ") { output += replacement } else { output.append(byte) }
            }
            let isWanted = scheme == .always || (scheme == .first && isFirst)
            return isWanted && !output.starts(with: replacement) ? replacement + output : output
        }
        if splits, let pattern = try? TextPattern(.literal(String(decoding: replacement, as: UTF8.self))) {
            try split(.mergedWithNext, at: pattern, work)
        }
    }

    /// Replaces each word's text; `isFirst` tells whether the word starts the whole input.
    private mutating func rewrite(_ body: (_ word: ArraySlice<UInt8>, _ isFirst: Bool) -> [UInt8]) {
        var output: [UInt8] = []
        output.reserveCapacity(text.count + ranges.count)
        for index in ranges.indices {
            let start = output.count
            output += body(text[ranges[index]], startsInput && index == 0 && ranges[index].lowerBound == 0)
            ranges[index] = start..<output.count
        }
        text = output
        ranges.removeAll(where: \.isEmpty)
    }

    private mutating func spellBytes() {
        rewrite { word, _ in ByteAlphabet.spelled(word) }
        isByteLevel = false
    }

    private mutating func split(_ behavior: SplitBehavior, onScalars isDelimiter: (Unicode.Scalar) -> Bool) {
        split(behavior) { text, range in
            var found: [Range<Int>] = []
            var scalars = ScalarReader(slice: text.bytes[range])
            var position = range.lowerBound
            while let scalar = scalars.next() {
                if isDelimiter(scalar) { found.append(position..<scalars.position) }
                position = scalars.position
            }
            return found
        }
    }

    private mutating func split(
        _ behavior: SplitBehavior, invert: Bool = false, at pattern: TextPattern, _ work: TokenizationWork
    ) throws(TokenizationError) {
        try split(behavior, invert: invert) { (text, range) throws(TokenizationError) in try pattern.matches(in: text, range, work) }
    }

    private mutating func split<Failure: Error>(
        _ behavior: SplitBehavior, invert: Bool = false, _ find: (MatchableText, Range<Int>) throws(Failure) -> [Range<Int>]
    ) throws(Failure) {
        let matchable = MatchableText(text)
        var output: [Range<Int>] = []
        for range in ranges {
            var pieces: [(range: Range<Int>, isMatch: Bool)] = []
            var position = range.lowerBound
            for match in try find(matchable, range) {
                if position < match.lowerBound { pieces.append((position..<match.lowerBound, invert)) }
                pieces.append((match, !invert))
                position = match.upperBound
            }
            if position < range.upperBound { pieces.append((position..<range.upperBound, invert)) }
            output += behavior.divided(pieces)
        }
        ranges = output.filter { !$0.isEmpty }
    }
}

extension SplitBehavior {
    /// The words that remain of matches and the text between them.
    fileprivate func divided(_ pieces: [(range: Range<Int>, isMatch: Bool)]) -> [Range<Int>] {
        switch self {
        case .isolated: pieces.map(\.range)
        case .removed: pieces.filter { !$0.isMatch }.map(\.range)
        case .contiguous: joined(pieces) { $0 == $1 }
        case .mergedWithPrevious: joined(pieces) { $0 && !$1 }
        case .mergedWithNext: joined(pieces.reversed()) { $0 && !$1 }.reversed()
        }
    }

    /// Joins a piece to the one before it when `isJoined(is it a match, was the previous one)`; the first piece has a
    /// non-match before it, and nothing to be joined to.
    private func joined(
        _ pieces: [(range: Range<Int>, isMatch: Bool)], _ isJoined: (Bool, Bool) -> Bool
    ) -> [Range<Int>] {
        var output: [Range<Int>] = []
        var previous = false
        for piece in pieces {
            if isJoined(piece.isMatch, previous), let last = output.last {
                let lower = min(last.lowerBound, piece.range.lowerBound)
                output[output.count - 1] = lower..<max(last.upperBound, piece.range.upperBound)
            } else {
                output.append(piece.range)
            }
            previous = piece.isMatch
        }
        return output
    }
}
