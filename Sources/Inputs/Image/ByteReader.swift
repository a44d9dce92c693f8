/// Reads fields from bytes, big-endian where not said otherwise; every read past the end gives nil.
struct ByteReader {
    private let bytes: ArraySlice<UInt8>
    private var index: Int

    init(_ bytes: ArraySlice<UInt8>) {
        self.bytes = bytes
        self.index = bytes.startIndex
    }

    init(_ bytes: [UInt8], at offset: Int) {
        self.bytes = bytes[...]
        self.index = min(offset, bytes.count)
    }

    mutating func byte() -> UInt8? {
        guard index < bytes.endIndex else { return nil }
        defer { index += 1 }
        return bytes[index]
    }

    mutating func uint16() -> Int? {
        guard let field = take(2) else { return nil }
        return field.reduce(0) { $0 << 8 | Int($1) }
    }

    mutating func uint32() -> Int? {
        guard let field = take(4) else { return nil }
        return field.reduce(0) { $0 << 8 | Int($1) }
    }

    /// A little-endian field of up to seven bytes.
    mutating func little(_ count: Int) -> Int? {
        guard let field = take(count) else { return nil }
        return field.reversed().reduce(0) { $0 << 8 | Int($1) }
    }

    mutating func take(_ count: Int) -> ArraySlice<UInt8>? {
        guard count >= 0, count <= bytes.endIndex - index else { return nil }
        defer { index += count }
        return bytes[index..<index + count]
    }

    @discardableResult
    mutating func skip(_ count: Int) -> Bool { take(count) != nil }

    /// The code behind the next run of 0xFF, as JPEG decoders find it: junk before it is passed over.
    mutating func nextMarker() -> UInt8? {
        while let value = byte() {
            guard value == 0xFF else { continue }
            var code = byte()
            while code == 0xFF { code = byte() }
            guard let code else { return nil }
            if code != 0 { return code }
        }
        return nil
    }
}
