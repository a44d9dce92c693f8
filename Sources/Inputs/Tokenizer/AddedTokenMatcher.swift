internal import Texts

/// Finds added tokens in a text: at each place the longest, from left to right, through a trie of bytes.
struct AddedTokenMatcher: Sendable {
    /// A stretch of the text, and the added token that it is, if it is one.
    struct Span: Equatable {
        var range: Range<Int>
        var id: Int32?
    }

    /// Each token's index into `tokens` by its text.
    private let trie: ByteTrie
    private let tokens: [AddedToken]
    private var isFirstByte = [Bool](repeating: false, count: 256)

    /// Of several tokens with the same text the first is found.
    init(_ patterns: [(text: [UInt8], token: AddedToken)]) {
        let patterns = patterns.filter { !$0.text.isEmpty }
        tokens = patterns.map(\.token)
        trie = ByteTrie(patterns.indices.reversed().map { (patterns[$0].text[...], Int32($0)) })
        for pattern in patterns { isFirstByte[Int(pattern.text[0])] = true }
    }

    var isEmpty: Bool { tokens.isEmpty }

    /// The text cut into spans, none of them empty, that cover it in order.
    ///
    /// A token that lies in the white space that the token before it took is none, as HuggingFace drops empty splits.
    func spans(in text: [UInt8], _ work: TokenizationWork) throws(TokenizationError) -> [Span] {
        guard !isEmpty else { return text.isEmpty ? [] : [Span(range: 0..<text.count, id: nil)] }
        var spans: [Span] = []
        var covered = 0
        var position = 0
        while position < text.count {
            guard isFirstByte[Int(text[position])], let (index, end) = try trie.longest(in: text[position...], work) else {
                position += 1
                continue
            }
            let token = tokens[Int(index)]
            let found = position..<end
            position = end
            if end <= covered { continue }
            if token.singleWord, !standsAlone(found, in: text) { continue }
            let stop = token.stripsRight ? WhiteSpace.end(after: text[end...]) : end
            let left = max(found.lowerBound, covered)
            let start = token.stripsLeft ? WhiteSpace.start(before: text[covered..<left]) : left
            guard start < stop else { continue }
            if covered < start { spans.append(Span(range: covered..<start, id: nil)) }
            spans.append(Span(range: start..<stop, id: token.id))
            covered = stop
        }
        if covered < text.count { spans.append(Span(range: covered..<text.count, id: nil)) }
        return spans
    }

    private func standsAlone(_ range: Range<Int>, in text: [UInt8]) -> Bool {
        var after = ScalarReader(slice: text[range.upperBound...])
        if let next = after.next(), isWordScalar(next) { return false }
        var previous = range.lowerBound - 1
        while previous > 0, text[previous] & 0xC0 == 0x80 { previous -= 1 }
        guard previous >= 0 else { return true }
        var before = ScalarReader(slice: text[previous..<range.lowerBound])
        return before.next().map { !isWordScalar($0) } ?? true
    }

    /// `\w` of UTS 18: letters, marks, decimal digits, connectors and joiners.
    private func isWordScalar(_ scalar: Unicode.Scalar) -> Bool {
        let properties = scalar.properties
        let category = properties.generalCategory
        return properties.isAlphabetic || category.isMark || category == .decimalNumber
            || category == .connectorPunctuation || properties.isJoinControl
    }
}
