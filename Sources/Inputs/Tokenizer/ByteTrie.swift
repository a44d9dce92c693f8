/// Texts in a trie of bytes, to find those that another text begins with.
struct ByteTrie: Sendable {
    /// The node of the empty text.
    static let root: Int32 = 0

    /// Open addressing by edge, which is 256 times a node plus a byte; an empty slot has the key `UInt64.max`.
    private var keys = [UInt64](repeating: .max, count: 16)
    private var children = [Int32](repeating: 0, count: 16)
    /// What belongs to the text that ends at each node, or -1.
    private var values: [Int32] = [-1]

    /// Takes texts with a value of zero or more; of those for the same text the last one. Empty texts are passed over.
    init(_ texts: some Sequence<(ArraySlice<UInt8>, Int32)>) {
        for (text, value) in texts where !text.isEmpty { insert(text, value) }
    }

    private mutating func insert(_ text: ArraySlice<UInt8>, _ value: Int32) {
        var node = Self.root
        for byte in text {
            if let child = child(of: node, byte) {
                node = child
                continue
            }
            if values.count * 3 > keys.count * 2 { grow() }
            let key = Self.key(node, byte)
            let slot = slot(of: key)
            node = Int32(values.count)
            keys[slot] = key
            children[slot] = node
            values.append(-1)
        }
        values[Int(node)] = value
    }

    private mutating func grow() {
        let (oldKeys, oldChildren) = (keys, children)
        keys = [UInt64](repeating: .max, count: oldKeys.count * 2)
        children = [Int32](repeating: 0, count: keys.count)
        for (key, child) in zip(oldKeys, oldChildren) where key != .max {
            let slot = slot(of: key)
            keys[slot] = key
            children[slot] = child
        }
    }

    private static func key(_ node: Int32, _ byte: UInt8) -> UInt64 { UInt64(UInt32(bitPattern: node)) << 8 | UInt64(byte) }

    /// The slot that holds the key, or the empty one where it belongs.
    private func slot(of key: UInt64) -> Int {
        var hash = key &* 0x9E37_79B9_7F4A_7C15
        hash ^= hash >> 29
        let mask = keys.count - 1
        var slot = Int(truncatingIfNeeded: hash) & mask
        while keys[slot] != key, keys[slot] != .max { slot = (slot + 1) & mask }
        return slot
    }

    /// The node that a byte leads to from another.
    func child(of node: Int32, _ byte: UInt8) -> Int32? {
        let key = Self.key(node, byte)
        let slot = slot(of: key)
        return keys[slot] == key ? children[slot] : nil
    }

    /// The value of the text that ends at a node.
    func value(_ node: Int32) -> Int32? {
        let value = values[Int(node)]
        return value < 0 ? nil : value
    }

    /// What a byte costs that goes on a text of the trie, in units of the budget.
    static let unitsPerByte = 20

    /// The longest text of the trie that `text` begins with: its value, and where it ends.
    func longest(in text: ArraySlice<UInt8>, _ work: TokenizationWork) throws(TokenizationError) -> (value: Int32, end: Int)? {
        var node = Self.root
        var position = text.startIndex
        var found: (value: Int32, end: Int)?
        while position < text.endIndex, let child = child(of: node, text[position]) {
            node = child
            position += 1
            try work.charge(Self.unitsPerByte)
            if let value = value(node) { found = (value, position) }
        }
        return found
    }
}
