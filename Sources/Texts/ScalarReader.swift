/// Reads Unicode scalars from valid UTF-8; what is not valid reads as U+FFFD, byte by byte.
package struct ScalarReader {
    private let bytes: ArraySlice<UInt8>
    package private(set) var position: Int

    package init(_ bytes: some Sequence<UInt8>) {
        self.init(slice: Array(bytes)[...])
    }

    package init(slice: ArraySlice<UInt8>) {
        bytes = slice
        position = slice.startIndex
    }

    package mutating func next() -> Unicode.Scalar? {
        guard position < bytes.endIndex else { return nil }
        let first = bytes[position]
        position += 1
        if first < 0x80 { return Unicode.Scalar(first) }
        let (extra, bits): (Int, UInt32) =
            switch first {
            case 0xC2...0xDF: (1, UInt32(first & 0x1F))
            case 0xE0...0xEF: (2, UInt32(first & 0x0F))
            case 0xF0...0xF4: (3, UInt32(first & 0x07))
            default: (0, 0xD800)
            }
        guard extra > 0, position + extra <= bytes.endIndex else { return "\u{FFFD}" }
        var value = bits
        for index in position..<position + extra {
            guard bytes[index] & 0xC0 == 0x80 else { return "\u{FFFD}" }
            value = value << 6 | UInt32(bytes[index] & 0x3F)
        }
        guard let scalar = Unicode.Scalar(value) else { return "\u{FFFD}" }
        position += extra
        return scalar
    }
}
