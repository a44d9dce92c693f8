/// What `Split` and `Replace` look for: a fixed text or a regular expression.
struct TextPattern: Sendable {
    enum Source: Equatable, Sendable {
        case literal(String)
        case expression(String)
    }

    private enum Matcher: Sendable {
        case literal(LiteralSearch)
        case expression(RegularExpression)
    }

    let source: Source
    private let matcher: Matcher

    /// Throws the message of the regular expression compiler when it rejects the pattern.
    init(_ source: Source) throws(RegularExpression.CompileError) {
        self.source = source
        matcher =
            switch source {
            case .literal(""): .expression(try RegularExpression(""))
            case .literal(let text): .literal(LiteralSearch(text.utf8))
            case .expression(let pattern): .expression(try RegularExpression(pattern))
            }
    }

    /// The ranges of all matches in `bytes[range]`, left to right, not overlapping; nothing outside the range is seen.
    ///
    /// Throws when a regular expression takes too many steps.
    func matches(in text: MatchableText, _ range: Range<Int>, _ work: TokenizationWork) throws(TokenizationError) -> [Range<Int>] {
        switch matcher {
        case .literal(let literal): literal.matches(in: text.bytes, range)
        case .expression(let expression): try expression.matches(in: text, range, work)
        }
    }

    /// The text with every match replaced; its length is checked before it is made.
    func replacing(in bytes: [UInt8], with content: [UInt8], _ work: TokenizationWork) throws(TokenizationError) -> [UInt8] {
        let ranges = try matches(in: MatchableText(bytes), 0..<bytes.count, work)
        let (added, overflows) = ranges.count.multipliedReportingOverflow(by: content.count)
        try work.checkLength(overflows ? .max : bytes.count - ranges.reduce(0) { $0 + $1.count } + added)
        return bytes.replacing(ranges, with: content)
    }
}

extension TextPattern {
    /// Whether only one fixed scalar matches.
    var isSingleScalar: Bool {
        if case .literal(let text) = source { text.unicodeScalars.count == 1 } else { false }
    }
}
