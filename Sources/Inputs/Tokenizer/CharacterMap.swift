internal import Texts

/// The replacements that sentencepiece compiles from a normalization rule (`precompiled_charsmap`): a double array of the texts
/// that are replaced, after the layout of Darts-clone, and what replaces them, one after the other with a zero byte behind each.
struct CharacterMap: Sendable {
    /// As the file has it.
    let bytes: [UInt8]
    private let units: [UInt32]
    /// Where the replacements begin in `bytes`.
    private let start: Int

    /// Nil for bytes that are no such map: the number of bytes of the array, the array, and replacements that are UTF-8.
    init?(_ bytes: [UInt8]) {
        func number(_ position: Int) -> UInt32 { (0..<4).reduce(0) { $0 | UInt32(bytes[position + $1]) << (8 * $1) } }
        guard bytes.count >= 4 else { return nil }
        let size = Int(number(0))
        guard size > 0, size % 4 == 0, size <= bytes.count - 4, String(validating: bytes[(4 + size)...], as: UTF8.self) != nil else { return nil }
        self.bytes = bytes
        units = (0..<size / 4).map { number(4 + 4 * $0) }
        start = 4 + size
    }

    /// Bits of a unit: the label of the edge into it, whether a text ends behind it, and how far its children are.
    private static func offset(_ unit: UInt32) -> Int { Int(unit >> 10) << Int((unit & 1 << 9) >> 6) }

    /// Calls `found` with the length and replacement of each text of the map that `text` begins with, the shortest first, until it
    /// returns false. A zero byte ends every text.
    private func search(_ text: ArraySlice<UInt8>, _ found: (Int, ArraySlice<UInt8>) -> Bool) {
        var node = Self.offset(units[0])
        for (length, byte) in text.enumerated() {
            node ^= Int(byte)
            guard byte != 0, node < units.count, units[node] & 0x8000_00FF == UInt32(byte) else { return }
            let unit = units[node]
            node ^= Self.offset(unit)
            guard unit & 1 << 8 != 0 else { continue }
            guard node < units.count, let replacement = replacement(Int(units[node] & 0x7FFF_FFFF)), found(length + 1, replacement) else { return }
        }
    }

    /// The replacement that begins at an offset; nil where none can begin.
    private func replacement(_ offset: Int) -> ArraySlice<UInt8>? {
        let position = start + offset
        guard position <= bytes.count else { return nil }
        if position < bytes.count, bytes[position] & 0xC0 == 0x80 { return nil }
        return bytes[position...].prefix { $0 != 0 }
    }

    /// What replaces the shortest text of the map that `text` begins with.
    func shortestMatch(in text: ArraySlice<UInt8>) -> ArraySlice<UInt8>? {
        var match: ArraySlice<UInt8>?
        search(text) { _, replacement in
            match = replacement
            return false
        }
        return match
    }

    /// The longest text of the map that `text` begins with: its bytes, and what replaces it.
    func longestMatch(in text: ArraySlice<UInt8>) -> (length: Int, replacement: ArraySlice<UInt8>)? {
        var match: (length: Int, replacement: ArraySlice<UInt8>)?
        search(text) { length, replacement in
            match = (length, replacement)
            return true
        }
        return match
    }

    /// What a character costs, in units of the budget.
    private static let unitsPerCharacter = 200

    /// The text as HuggingFace's `Precompiled` changes it: a grapheme cluster of less than six bytes that begins with a text of the
    /// map is replaced whole, the scalars of others one by one.
    func replacing(in text: [UInt8], _ work: TokenizationWork) throws(TokenizationError) -> [UInt8] {
        var output: [UInt8] = []
        output.reserveCapacity(text.count)
        var position = 0
        for character in String(decoding: text, as: UTF8.self) {
            let cluster = text[position..<position + character.utf8.count]
            position += cluster.count
            try work.charge(Self.unitsPerCharacter)
            if cluster.count < 6, let replacement = shortestMatch(in: cluster) {
                output += replacement
            } else {
                var scalars = ScalarReader(slice: cluster)
                var start = cluster.startIndex
                while scalars.next() != nil {
                    let scalar = cluster[start..<scalars.position]
                    output += shortestMatch(in: scalar) ?? scalar
                    start = scalars.position
                    try work.checkLength(output.count)
                }
            }
            try work.checkLength(output.count)
        }
        return output
    }
}
