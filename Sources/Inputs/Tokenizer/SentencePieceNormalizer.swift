internal import Texts

/// What sentencepiece's `Normalizer` does to a text: replacements, spaces taken away, a space put before, and spaces spelled `▁`.
struct SentencePieceNormalizer: Sendable {
    /// Before which texts a space is put.
    enum Prefix: UInt8, Sendable {
        case none, everyText
        /// Only the text that the whole input begins with.
        case input
    }

    var map: CharacterMap?
    var prefix = Prefix.none
    /// Whether spaces at both ends go, and all but the first where several follow each other.
    var removesSpaces = false
    /// Texts that are left as they are: the symbols that the user defined.
    let symbols: [[UInt8]]
    private let trie: ByteTrie?

    init(map: CharacterMap?, prefix: Prefix, removesSpaces: Bool, symbols: [[UInt8]]) {
        self.map = map
        self.prefix = prefix
        self.removesSpaces = removesSpaces
        self.symbols = symbols
        trie = symbols.isEmpty ? nil : ByteTrie(symbols.map { ($0[...], 0) })
    }

    /// Whether no byte of a text vanishes.
    var keepsText: Bool { map == nil && !removesSpaces }

    private static let space = UInt8(ascii: " ")
    private static let mark = Array("▁".utf8)

    /// What a character costs, in units of the budget.
    private static let unitsPerCharacter = 60

    func applied(to text: [UInt8], startsInput: Bool, _ work: TokenizationWork) throws(TokenizationError) -> [UInt8] {
        var rest = text[...]
        while removesSpaces, !rest.isEmpty {
            let (piece, length) = try next(in: rest, work)
            guard piece.elementsEqual([Self.space]) else { break }
            rest = rest.dropFirst(length)
        }
        if rest.isEmpty { return [] }
        var output: [UInt8] = []
        output.reserveCapacity(rest.count + rest.count / 2)
        if prefix == .everyText || prefix == .input && startsInput { output += Self.mark }
        var followsSpace = removesSpaces
        while !rest.isEmpty {
            var (piece, length) = try next(in: rest, work)
            rest = rest.dropFirst(length)
            if followsSpace { piece = piece.drop { $0 == Self.space } }
            for byte in piece { if byte == Self.space { output += Self.mark } else { output.append(byte) } }
            if removesSpaces, let last = piece.last { followsSpace = last == Self.space }
            try work.checkLength(output.count)
        }
        while removesSpaces, output.count >= Self.mark.count, output.suffix(Self.mark.count) == Self.mark[...] {
            output.removeLast(Self.mark.count)
        }
        return output
    }

    /// What the beginning of a text, which is not empty, becomes, and how many bytes of it.
    private func next(in text: ArraySlice<UInt8>, _ work: TokenizationWork) throws(TokenizationError) -> (piece: ArraySlice<UInt8>, length: Int) {
        try work.charge(Self.unitsPerCharacter)
        if let end = try trie?.longest(in: text, work)?.end { return (text[..<end], end - text.startIndex) }
        if let match = map?.longestMatch(in: text) { return (match.replacement, match.length) }
        var scalars = ScalarReader(slice: text)
        _ = scalars.next()
        return (text[..<scalars.position], scalars.position - text.startIndex)
    }
}
