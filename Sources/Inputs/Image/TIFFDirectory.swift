/// The first directory of a TIFF structure, as Pillow's `ImageFileDirectory_v2` reads it.
struct TIFFDirectory {
    private let bytes: [UInt8]
    private let isLittle: Bool
    /// Whether counts and places have eight bytes (BigTIFF).
    private let isBig: Bool

    /// How a structure starts: both orders, with the mark's bytes exchanged too, and BigTIFF.
    static let marks: [(bytes: [UInt8], isLittle: Bool, isBig: Bool)] = [
        ([0x49, 0x49, 0x2A, 0], true, false), ([0x49, 0x49, 0, 0x2A], true, false), ([0x4D, 0x4D, 0, 0x2A], false, false),
        ([0x4D, 0x4D, 0x2A, 0], false, false), ([0x49, 0x49, 0x2B, 0], true, true), ([0x4D, 0x4D, 0, 0x2B], false, true),
    ]

    /// Bytes that each of the field types takes.
    private static let unitBytes = [
        1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4, 16: 8,
    ]

    /// The data of one entry.
    private struct Entry {
        var type: Int
        var place: Int
        var size: Int
    }

    /// Nil when the bytes do not start with a mark.
    init?(_ bytes: [UInt8]) {
        guard let mark = Self.marks.first(where: { bytes.starts(with: $0.bytes) }) else { return nil }
        self.bytes = bytes
        isLittle = mark.isLittle
        isBig = mark.isBig
    }

    /// The unsigned number in those bytes; nil past the end.
    private func number(at offset: Int, count: Int) -> UInt64? {
        guard offset >= 0, offset <= bytes.count - count else { return nil }
        let field = bytes[offset..<offset + count]
        return isLittle
            ? field.reversed().reduce(0) { $0 << 8 | UInt64($1) } : field.reduce(0) { $0 << 8 | UInt64($1) }
    }

    /// The same as `Int`, the largest where it is larger.
    private func integer(at offset: Int, count: Int) -> Int? { number(at: offset, count: count).map { Int(clamping: $0) } }

    /// The first number of the first entry of that tag which has data; zero where it is no whole number.
    func value(of tag: Int) -> Int? {
        entry(of: tag).map { first(of: $0.type, at: $0.place) ?? 0 }
    }

    /// The data of the first entry of that tag which has any.
    func data(of tag: Int) -> ArraySlice<UInt8>? {
        entry(of: tag).map { bytes[$0.place..<$0.place + $0.size] }
    }

    /// Entries of an unknown type or without data are passed over, and so are those whose data, together with all before
    /// them, would be more than there is. An entry that is cut off, or whose data lies outside, ends the directory.
    private func entry(of wanted: Int) -> Entry? {
        let room = isBig ? 8 : 4
        let countBytes = isBig ? 8 : 2
        let entryBytes = 4 + 2 * room
        guard let directory = integer(at: isBig ? 8 : 4, count: room), let entries = integer(at: directory, count: countBytes)
        else { return nil }
        var seen: Set<Int> = []
        var outsideBytes = 0
        for number in 0..<min(entries, bytes.count / entryBytes + 1) {
            let offset = directory + countBytes + entryBytes * number
            guard let tag = integer(at: offset, count: 2), let type = integer(at: offset + 2, count: 2),
                let count = integer(at: offset + 4, count: room), let place = integer(at: offset + 4 + room, count: room)
            else { return nil }
            guard !seen.contains(tag), let unit = Self.unitBytes[type], count > 0 else { continue }
            let size = min(count, 1 << 40) * unit
            if size > room {
                outsideBytes += size
                guard outsideBytes <= bytes.count else { continue }
                guard place <= bytes.count - size else { return nil }
            }
            if tag == wanted { return Entry(type: type, place: size > room ? place : offset + 4 + room, size: size) }
            seen.insert(tag)
        }
        return nil
    }

    /// The number at `offset`; nil for text, for bytes, which Pillow keeps as such, and for what is not whole.
    private func first(of type: Int, at offset: Int) -> Int? {
        func float(_ bits: Int) -> Double? {
            number(at: offset, count: bits).map {
                bits == 4 ? Double(Float(bitPattern: UInt32(truncatingIfNeeded: $0))) : Double(bitPattern: $0)
            }
        }
        switch type {
        case 3: return integer(at: offset, count: 2)
        case 4, 13: return integer(at: offset, count: 4)
        case 6: return number(at: offset, count: 1).map { Int(Int8(truncatingIfNeeded: $0)) }
        case 8: return number(at: offset, count: 2).map { Int(Int16(truncatingIfNeeded: $0)) }
        case 9: return number(at: offset, count: 4).map { Int(Int32(truncatingIfNeeded: $0)) }
        case 16: return number(at: offset, count: 8).map { Int(clamping: $0) }
        case 11: return float(4).flatMap { Int(exactly: $0) }
        case 12: return float(8).flatMap { Int(exactly: $0) }
        case 5, 10:
            guard var over = integer(at: offset, count: 4), var under = integer(at: offset + 4, count: 4) else { return nil }
            if type == 10 { (over, under) = (Int(Int32(truncatingIfNeeded: over)), Int(Int32(truncatingIfNeeded: under))) }
            return under != 0 && over % under == 0 ? over / under : nil
        default: return nil
        }
    }
}
