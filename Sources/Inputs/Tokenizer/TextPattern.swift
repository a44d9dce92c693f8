/// What `Split` and `Replace` look for: a fixed text or a regular expression.
struct TextPattern: Sendable {
    enum Source: Equatable, Sendable {
        case literal(String)
        case expression(String)
    }

    let source: Source
    private let matcher: RegularExpression?
    private let literal: [UInt8]

    /// Throws the message of the regular expression compiler when it rejects the pattern.
    init(_ source: Source) throws(RegularExpression.CompileError) {
        self.source = source
        switch source {
        case .literal(let text):
            literal = Array(text.utf8)
            matcher = literal.isEmpty ? try RegularExpression("") : nil
        case .expression(let pattern):
            literal = []
            matcher = try RegularExpression(pattern)
        }
    }

    /// The ranges of all matches in `bytes[range]`, left to right, not overlapping; nothing outside the range is seen.
    func matches(in text: MatchableText, _ range: Range<Int>) -> [Range<Int>] {
        if let matcher { return matcher.matches(in: text, range) }
        var found: [Range<Int>] = []
        var position = range.lowerBound
        while position + literal.count <= range.upperBound {
            if text.bytes[position] == literal[0], text.bytes[position..<position + literal.count].elementsEqual(literal) {
                found.append(position..<position + literal.count)
                position += literal.count
            } else {
                position += 1
            }
        }
        return found
    }

    /// The text with every match replaced.
    func replacing(in bytes: [UInt8], with content: [UInt8]) -> [UInt8] {
        let ranges = matches(in: MatchableText(bytes), 0..<bytes.count)
        guard !ranges.isEmpty else { return bytes }
        var output: [UInt8] = []
        output.reserveCapacity(bytes.count)
        var position = 0
        for range in ranges {
            output += bytes[position..<range.lowerBound]
            output += content
            position = range.upperBound
        }
        output += bytes[position...]
        return output
    }
}

extension TextPattern {
    /// Whether only one fixed scalar matches.
    var isSingleScalar: Bool {
        if case .literal(let text) = source { text.unicodeScalars.count == 1 } else { false }
    }
}
