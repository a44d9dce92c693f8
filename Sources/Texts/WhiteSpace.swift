/// White space as the Unicode property White_Space defines it.
package enum WhiteSpace {
    /// Where the white space at the start of the text ends.
    package static func end(after text: ArraySlice<UInt8>) -> Int {
        guard let first = text.first, first >= 0x80 || isASCIISpace(first) else { return text.startIndex }
        var scalars = ScalarReader(slice: text)
        var end = text.startIndex
        while let scalar = scalars.next(), scalar.properties.isWhitespace { end = scalars.position }
        return end
    }

    package static func isASCIISpace(_ byte: UInt8) -> Bool {
        byte == 0x20 || (0x09...0x0D).contains(byte)
    }

    /// Where the white space at the end of the text starts.
    package static func start(before text: ArraySlice<UInt8>) -> Int {
        var start = text.endIndex
        while start > text.startIndex {
            var previous = start - 1
            while previous > text.startIndex, text[previous] & 0xC0 == 0x80 { previous -= 1 }
            var scalars = ScalarReader(slice: text[previous..<start])
            guard let scalar = scalars.next(), scalar.properties.isWhitespace else { return start }
            start = previous
        }
        return start
    }
}
