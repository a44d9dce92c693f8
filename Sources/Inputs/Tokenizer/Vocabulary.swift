/// Token texts by id and ids by token text, in flat arrays.
struct Vocabulary: Sendable {
    /// The texts of ids 0, 1, … one after the other; an unused id has an empty text.
    private(set) var bytes: [UInt8] = []
    /// Where the text of each id starts in `bytes`, and one more entry for the end.
    private(set) var starts: [UInt32] = [0]
    /// How many ids have a text.
    private(set) var count = 0
    /// Open addressing by hash of the text: the id plus one, or zero.
    private var slots: [UInt32] = [0]

    /// The largest id that a vocabulary may hold.
    static let maximumID = 1 << 24

    init() {}

    /// Takes the texts in order of id, empty for unused ids; nil when `starts` does not ascend from zero to the end of `bytes`.
    init?(bytes: [UInt8], starts: [UInt32]) {
        guard starts.first == 0, starts.last.map(Int.init) == bytes.count, starts.count <= Self.maximumID + 2,
            zip(starts, starts.dropFirst()).allSatisfy({ $0 <= $1 })
        else { return nil }
        self.bytes = bytes
        self.starts = starts
        fillSlots()
    }

    /// Takes texts with their ids; nil when an id is out of range or given twice.
    init?(tokens: [(text: String, id: Int)]) {
        let size = (tokens.map(\.id).max() ?? -1) + 1
        guard tokens.allSatisfy({ $0.id >= 0 && $0.id <= Self.maximumID }) else { return nil }
        var order = [Int](repeating: -1, count: size)
        for (index, token) in tokens.enumerated() {
            guard order[token.id] < 0 else { return nil }
            order[token.id] = index
        }
        starts.reserveCapacity(size + 1)
        for index in order {
            if index >= 0 { bytes += tokens[index].text.utf8 }
            guard bytes.count < Int(UInt32.max) else { return nil }
            starts.append(UInt32(bytes.count))
        }
        fillSlots()
    }

    /// One more than the largest id.
    var idLimit: Int { starts.count - 1 }

    private mutating func fillSlots() {
        var capacity = 16
        while capacity < idLimit * 2 { capacity *= 2 }
        slots = [UInt32](repeating: 0, count: capacity)
        for id in 0..<idLimit where starts[id] < starts[id + 1] {
            count += 1
            let range = Int(starts[id])..<Int(starts[id + 1])
            var slot = bytes.withUnsafeBufferPointer { Self.hash($0.extracting(range)) } & (capacity - 1)
            while slots[slot] != 0 { slot = (slot + 1) & (capacity - 1) }
            slots[slot] = UInt32(id + 1)
        }
    }

    /// The text of an id, or nil when the id is unused.
    func text(_ id: Int32) -> ArraySlice<UInt8>? {
        guard id >= 0, Int(id) < idLimit else { return nil }
        let range = Int(starts[Int(id)])..<Int(starts[Int(id) + 1])
        return range.isEmpty ? nil : bytes[range]
    }

    /// The id of a text; of two ids with the same text the lower one.
    func id(_ text: UnsafeBufferPointer<UInt8>) -> Int32? {
        let mask = slots.count - 1
        var slot = Self.hash(text) & mask
        while slots[slot] != 0 {
            let id = Int(slots[slot]) - 1
            let start = Int(starts[id])
            if Int(starts[id + 1]) - start == text.count {
                let isSame = bytes.withUnsafeBufferPointer { all in
                    var index = 0
                    while index < text.count, all[start + index] == text[index] { index += 1 }
                    return index == text.count
                }
                if isSame { return Int32(id) }
            }
            slot = (slot + 1) & mask
        }
        return nil
    }

    func id(_ text: some Collection<UInt8>) -> Int32? {
        if let id = text.withContiguousStorageIfAvailable({ id($0) }) { return id }
        return Array(text).withUnsafeBufferPointer { id($0) }
    }

    /// The id of `<0xNN>` for each byte, or -1.
    var fallbackIDs: [Int32] {
        (0..<256).map { byte in
            let digits = String(byte, radix: 16, uppercase: true)
            return id(Array("<0x\(digits.count < 2 ? "0" : "")\(digits)>".utf8)) ?? -1
        }
    }

    /// FNV-1a with a final mix.
    static func hash(_ text: UnsafeBufferPointer<UInt8>) -> Int {
        var hash: UInt64 = 0xCBF2_9CE4_8422_2325
        for byte in text { hash = (hash ^ UInt64(byte)) &* 0x100_0000_01B3 }
        hash ^= hash >> 32
        return Int(truncatingIfNeeded: hash & 0x7FFF_FFFF_FFFF_FFFF)
    }
}
