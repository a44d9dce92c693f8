/// Bookkeeping of the blocks in a folder: which there are, how many bytes they take, and which go first when there is no more room.
///
/// A block is of no use without those before it. So only blocks that no other one follows are removed, the least recently used first; one
/// that leads to a block in use stays.
package struct BlockKeeper {
    /// A block by the folder of its kind, 0 being the one that is served, and its key there.
    package struct Name: Sendable, Hashable {
        package var kind: Int32
        package var key: ContentDigest

        package init(kind: Int32 = 0, key: ContentDigest) { (self.kind, self.key) = (kind, key) }
    }

    private struct Entry {
        var parent: ContentDigest?
        var bytes: Int
        /// Rises with each use.
        var use: Int
        /// Whether it was used since its file was written or read, which is all that the file tells of.
        var isUsedUnseen = false
    }

    private let bytesMax: Int
    private let countMax: Int
    private var entries: [Name: Entry] = [:]
    /// How many blocks follow each, whether it is there or not.
    private var followers: [Name: Int] = [:]
    /// Blocks that nobody follows, by use; and blocks that are gone, were used again or are followed, which count for nothing.
    private var leaves = UseHeap()
    private var uses = 0

    /// Bytes of all blocks, never more than there may be once `makeRoom` has been obeyed.
    package private(set) var byteCount = 0
    package var count: Int { entries.count }

    /// - Parameters:
    ///   - bytesMax: most bytes of all blocks together.
    ///   - countMax: most blocks.
    package init(bytesMax: Int, countMax: Int = 1 << 20) {
        self.bytesMax = bytesMax
        self.countMax = countMax
    }

    package func holds(_ name: Name) -> Bool { entries[name] != nil }

    /// The key of the block before one that is there; nil for a first one.
    package func parent(of name: Name) -> ContentDigest? { entries[name]?.parent }

    /// Takes note of a block that is there now, the most recently used of all.
    package mutating func insert(_ name: Name, behind parent: ContentDigest?, bytes: Int) {
        remove(name)
        uses += 1
        entries[name] = Entry(parent: parent, bytes: bytes, use: uses)
        byteCount += bytes
        if let parent { followers[Name(kind: name.kind, key: parent), default: 0] += 1 }
        noteLeaf(name)
    }

    /// Takes note that a block is used; false where it is not there.
    ///
    /// - Parameter isSeen: whether its file tells so too.
    @discardableResult
    package mutating func use(_ name: Name, isSeen: Bool = false) -> Bool {
        guard entries[name] != nil else { return false }
        uses += 1
        entries[name]?.use = uses
        entries[name]?.isUsedUnseen = !isSeen
        noteLeaf(name)
        return true
    }

    /// Forgets a block.
    package mutating func remove(_ name: Name) {
        guard let entry = entries.removeValue(forKey: name) else { return }
        byteCount -= entry.bytes
        guard let parent = entry.parent.map({ Name(kind: name.kind, key: $0) }) else { return }
        let left = (followers[parent] ?? 1) - 1
        followers[parent] = left > 0 ? left : nil
        noteLeaf(parent)
    }

    /// What went for a new block.
    package struct Room {
        package var gone: [(name: Name, parent: ContentDigest?)] = []
        /// Whether the new one has room now.
        package var isEnough = true
    }

    /// Forgets as many blocks as must go for one of `bytes` more.
    ///
    /// - Parameter parent: the block before it, which stays, and with it all that lead to it; then there may not be enough room.
    package mutating func makeRoom(for bytes: Int, behind parent: Name? = nil) -> Room {
        var room = Room()
        if let parent { use(parent) }
        while byteCount + bytes > bytesMax || bytes > 0 && entries.count >= countMax {
            guard let name = nextToGo(), name != parent else {
                if let parent { noteLeaf(parent) }
                room.isEnough = false
                return room
            }
            room.gone.append((name, entries[name]?.parent))
            remove(name)
        }
        return room
    }

    /// Those whose files do not tell of their last use, the least recently used first.
    package mutating func takeUsedUnseen() -> [(name: Name, parent: ContentDigest?)] {
        let names = entries.filter(\.value.isUsedUnseen).sorted { $0.value.use < $1.value.use }
        for (name, _) in names { entries[name]?.isUsedUnseen = false }
        return names.map { ($0.key, $0.value.parent) }
    }

    private func isLeaf(_ name: Name) -> Bool { followers[name] == nil }

    private mutating func noteLeaf(_ name: Name) {
        guard let entry = entries[name], isLeaf(name) else { return }
        leaves.insert(name, use: entry.use)
        guard leaves.count > 2 * entries.count + 64 else { return }
        leaves = UseHeap()
        for (name, entry) in entries where isLeaf(name) { leaves.insert(name, use: entry.use) }
    }

    private mutating func nextToGo() -> Name? {
        while let (name, use) = leaves.removeFirst() {
            if let entry = entries[name], entry.use == use, isLeaf(name) { return name }
        }
        // Keys that lead to each other in a ring, which only a forger makes.
        return entries.min { $0.value.use < $1.value.use }?.key
    }
}

/// A heap of blocks, the one with the least use first.
private struct UseHeap {
    private var items: [(name: BlockKeeper.Name, use: Int)] = []

    var count: Int { items.count }

    mutating func insert(_ name: BlockKeeper.Name, use: Int) {
        items.append((name, use))
        var place = items.count - 1
        while place > 0, items[place].use < items[(place - 1) / 2].use {
            items.swapAt(place, (place - 1) / 2)
            place = (place - 1) / 2
        }
    }

    mutating func removeFirst() -> (name: BlockKeeper.Name, use: Int)? {
        guard let first = items.first, let last = items.popLast() else { return nil }
        guard !items.isEmpty else { return first }
        items[0] = last
        var place = 0
        while true {
            let children = [2 * place + 1, 2 * place + 2].filter { $0 < items.count }
            guard let least = children.min(by: { items[$0].use < items[$1].use }), items[least].use < items[place].use else { return first }
            items.swapAt(place, least)
            place = least
        }
    }
}

extension BlockKeeper {
    /// What is wrong with the bookkeeping; nil for nothing.
    package var violation: String? {
        guard byteCount == entries.values.reduce(0, { $0 + $1.bytes }) else { return "\(byteCount) bytes are not the sum" }
        var counted: [Name: Int] = [:]
        for (name, entry) in entries {
            if let parent = entry.parent { counted[Name(kind: name.kind, key: parent), default: 0] += 1 }
        }
        return counted == followers ? nil : "followers are miscounted"
    }
}
