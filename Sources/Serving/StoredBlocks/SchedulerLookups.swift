/// What a scheduler tells and is told of blocks that are stored outside of the cache.
extension Scheduler {
    /// Has `takePublished` tell of blocks that are full from now on.
    package mutating func notePublished() { pool.notePublished() }

    /// As the pool does.
    package mutating func takePublished() -> (block: Int32, digest: ContentDigest, parent: ContentDigest?)? { pool.takePublished() }

    /// Has `takePublished` tell of a block again.
    mutating func announce(_ block: Int32) { pool.announce(block) }

    /// The next of the first waiting sequences whose beginning nobody has looked for, with the digests of the full blocks there, each
    /// sequence once; nil while none could run. At least one token of it is left to compute.
    ///
    /// - Parameter ahead: how many are looked at beside the first.
    package mutating func nextLookup(ahead: Int) -> (id: Int, chain: [ContentDigest])? {
        guard limits.cachesPrefixes, !waiting.isEmpty, takenSeats < limits.maxSequences else { return nil }
        for index in waiting.indices.prefix(1 + ahead) where waiting[index].lookup == .due {
            waiting[index].lookup = .done
            let (group, count) = (waiting[index].group, (waiting[index].known - 1) / limits.blockSize)
            // Nothing of a prompt that is read is taken from a cache, and others of a group have the blocks of the one that runs.
            guard count > 0, !waiting[index].isReading, group == nil || !running.contains(where: { $0.group == group }) else { continue }
            return (waiting[index].id, (0..<count).map { waiting[index].digest(ofBlock: $0, size: limits.blockSize) })
        }
        return nil
    }

    /// Has a waiting sequence, and those behind it, not run before `goOn`.
    package mutating func hold(_ id: Int) { setLookup(id, .awaited) }

    package mutating func goOn(_ id: Int) { setLookup(id, .done) }

    private mutating func setLookup(_ id: Int, _ lookup: SequenceState.Lookup) {
        if let index = waiting.firstIndex(where: { $0.id == id }) { waiting[index].lookup = lookup }
    }

    func isWaiting(_ id: Int) -> Bool { waiting.contains { $0.id == id } }

    /// Has the blocks of a chain that are free be handed out last, the first of them at the very end.
    package mutating func keep(_ chain: [ContentDigest]) {
        for digest in chain.reversed() { if let found = pool.find(digest), found.isFree { pool.refresh(found.block) } }
    }

    /// Has a free block hold content that is found from now on; false where it is found already, or where those that run may need the block.
    ///
    /// - Parameter write: puts the content into the block.
    package mutating func restore(_ digest: ContentDigest, behind parent: ContentDigest?, write: (Int32) -> Void) -> Bool {
        guard pool.find(digest) == nil, pool.freeCount > running.count, let block = pool.allocate() else { return false }
        write(block)
        pool.publish(block, as: digest, behind: parent, isNews: false)
        pool.release(block)
        return true
    }
}
