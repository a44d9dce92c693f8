/// Characters that languages rarely tell apart are of one kind, so that what may follow is known for all of them at once.
enum CharacterKind {
    /// At most 62, so that a set of kinds is one number; the higher bit of those left over marks texts that hold other things than characters.
    static let ranges: [[ClosedRange<UInt32>]] = {
        var kinds: [[ClosedRange<UInt32>]] = [
            [0x61...0x66], [0x67...0x7A], [0x41...0x46], [0x47...0x5A], [0x30...0x39], [0x09...0x09], [0x0A...0x0A], [0x0D...0x0D],
            [0x00...0x08, 0x0B...0x0C, 0x0E...0x1F, 0x7F...0x7F],
        ]
        // Signs are told apart more often than not.
        for sign in UInt32(0x20)...0x7E where !kinds.contains(where: { $0.contains { $0.contains(sign) } }) { kinds.append([sign...sign]) }
        kinds += [
            [0x80...0x9F], [0xA0...0xA0], [0xC0...0x24F], [0x370...0x3FF], [0x400...0x52F], [0x590...0x5FF], [0x600...0x6FF],
            [0x1680...0x1680, 0x2000...0x200A, 0x2028...0x2029, 0x202F...0x202F, 0x205F...0x205F, 0x3000...0x3000, 0xFEFF...0xFEFF],
            [0x3040...0x30FF], [0x4E00...0x9FFF], [0xAC00...0xD7A3],
        ]
        let named = kinds.flatMap { $0 }
        for length in [0x80...0x7FF, 0x800...0xD7FF, 0xE000...0xFFFF, 0x10000...0x10FFFF] as [ClosedRange<UInt32>] {
            let others = ScalarSet(named).inverted.ranges.filter { $0.overlaps(length) }.map { $0.clamped(to: length) }
            if length.lowerBound == 0xE000 { kinds[kinds.count - 1] += others } else { kinds.append(others) }
        }
        precondition(kinds.count <= 62)
        return kinds
    }()

    /// Of each kind the runs of bytes that spell its characters.
    static let sequences: [[[UTF8Ranges.Bytes]]] = ranges.map { $0.flatMap { UTF8Ranges.sequences($0) } }

    /// Says of a text that it holds bytes which are no character's.
    static let none: UInt64 = 1 << 63

    private static let ascii: [UInt64] = (UInt32(0)..<0x80).map { set(ofScalar: $0) }

    /// The set of the kind of a scalar alone.
    static func set(of scalar: UInt32) -> UInt64 { scalar < 0x80 ? ascii[Int(scalar)] : set(ofScalar: scalar) }

    private static func set(ofScalar scalar: UInt32) -> UInt64 {
        var (low, high) = (0, places.count)
        while low < high {
            let middle = (low + high) / 2
            if places[middle].range.upperBound < scalar { low = middle + 1 } else { high = middle }
        }
        guard low < places.count, places[low].range.contains(scalar) else { return none }
        return 1 << UInt64(places[low].kind)
    }

    /// The ranges with their kinds, in order.
    private static let places = ranges.enumerated().flatMap { kind, ranges in ranges.map { (range: $0, kind: kind) } }.sorted {
        $0.range.lowerBound < $1.range.lowerBound
    }
}

/// A character of UTF-8 as far as its bytes have come.
struct PartialCharacter {
    /// Bytes that it still lacks; 255 where no character begins so.
    private(set) var lacking: UInt8 = 0
    private var bits: UInt32 = 0
    private var length: UInt8 = 0

    static let wrong: UInt8 = 255

    var isWrong: Bool { lacking == Self.wrong }

    /// The first of the scalars that begin so.
    var first: UInt32 { max(bits << (6 * UInt32(lacking)), length == 3 ? 0x800 : length == 4 ? 0x10000 : 0) }

    /// The same behind one more byte, which begins another character where this one is whole.
    func followed(by byte: UInt8) -> PartialCharacter {
        var next = self
        switch (lacking, byte) {
        case (Self.wrong, _): break
        case (0, 0x00...0x7F): (next.lacking, next.bits, next.length) = (0, UInt32(byte), 1)
        case (0, 0xC2...0xDF): (next.lacking, next.bits, next.length) = (1, UInt32(byte & 0x1F), 2)
        case (0, 0xE0...0xEF): (next.lacking, next.bits, next.length) = (2, UInt32(byte & 0x0F), 3)
        case (0, 0xF0...0xF4): (next.lacking, next.bits, next.length) = (3, UInt32(byte & 0x07), 4)
        case (1...3, 0x80...0xBF):
            (next.lacking, next.bits) = (lacking - 1, bits << 6 | UInt32(byte & 0x3F))
            let (low, high) = (next.bits << (6 * UInt32(next.lacking)), next.bits << (6 * UInt32(next.lacking)) | (1 << (6 * UInt32(next.lacking)) - 1))
            let isSpelledSo = length == 2 || length == 3 && high >= 0x800 && !(0xD800...0xDFFF).contains(low) || length == 4 && high >= 0x10000 && low <= 0x10FFFF
            if !isSpelledSo { next.lacking = Self.wrong }
        default: next.lacking = Self.wrong
        }
        return next
    }
}
