/// The texts of a vocabulary's tokens, as trees of bytes.
package struct TokenTrie: Sendable {
    /// Longest token that a guided text is made of, in bytes: what a longer one spells shorter ones spell as well.
    package static let maxBytes = 48
    /// Most bytes of each tree's texts, which are longer than the tree's before: what is possible over a tree depends on no byte farther away.
    static let reaches = [4, 8, 16, maxBytes]

    let vocabularySize: Int
    /// By token.
    let texts: [UInt8]
    let textStarts: [Int32]
    /// Tokens by their texts.
    let order: [Int32]
    /// One for each of `reaches`.
    let trees: [TokenTree]

    /// - Parameter text: the bytes of a token; nil or empty for one that spells no text, such as a special token.
    package init(vocabularySize: Int, text: (Int32) -> [UInt8]?) {
        var (texts, textStarts): ([UInt8], [Int32]) = ([], [0])
        var order: [Int32] = []
        textStarts.reserveCapacity(vocabularySize + 1)
        for token in 0..<Int32(vocabularySize) {
            let bytes = text(token) ?? []
            if !bytes.isEmpty, bytes.count <= Self.maxBytes {
                texts += bytes
                order.append(token)
            }
            textStarts.append(Int32(texts.count))
        }
        func slice(_ token: Int32) -> ArraySlice<UInt8> { texts[Int(textStarts[Int(token)])..<Int(textStarts[Int(token) + 1])] }
        /// The first bytes of a text and how many of these there are: a number that comes before another one where the text does, if they differ.
        func beginning(_ token: Int32) -> UInt64 {
            let text = slice(token).prefix(7)
            let bytes = text.reduce(UInt64(0)) { $0 << 8 | UInt64($1) }
            return bytes << (8 * UInt64(8 - text.count)) | UInt64(text.count)
        }
        var keys = order.map { (beginning: beginning($0), token: $0) }
        keys.sort { left, right in
            guard left.beginning == right.beginning else { return left.beginning < right.beginning }
            let (first, second) = (slice(left.token).dropFirst(7), slice(right.token).dropFirst(7))
            return first.elementsEqual(second) ? left.token < right.token : first.lexicographicallyPrecedes(second)
        }
        self.init(vocabularySize: vocabularySize, texts: texts, textStarts: textStarts, order: keys.map(\.token))
    }

    /// - Parameter order: all tokens with texts, by these.
    init(vocabularySize: Int, texts: [UInt8], textStarts: [Int32], order: [Int32]) {
        (self.vocabularySize, self.texts, self.textStarts, self.order) = (vocabularySize, texts, textStarts, order)
        func text(_ token: Int32) -> ArraySlice<UInt8> { texts[Int(textStarts[Int(token)])..<Int(textStarts[Int(token) + 1])] }
        trees = Self.reaches.enumerated().map { index, most in
            let least = index == 0 ? 1 : Self.reaches[index - 1] + 1
            return TokenTree(order.filter { (least...most).contains(text($0).count) }, text: text)
        }
    }

    /// The bytes of a token; none for one that spells no text.
    func text(of token: Int32) -> ArraySlice<UInt8> {
        guard token >= 0, Int(token) < vocabularySize else { return [] }
        return texts[Int(textStarts[Int(token)])..<Int(textStarts[Int(token) + 1])]
    }
}
