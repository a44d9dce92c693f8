internal import Execution

/// What links an engine to the blocks on disk: has published blocks written, and those that waiting sequences begin with read.
///
/// All of it happens on the engine's thread between two steps, and takes as long there as copying some megabytes.
final class StoredBlocks {
    /// A waiting sequence, and the blocks that it still waits for, in the order of its tokens.
    private struct Awaiting {
        var id: Int
        var links: [(key: ContentDigest, parent: ContentDigest?)]
        var since: ContinuousClock.Instant

        func place(of key: ContentDigest) -> Int? { links.firstIndex { $0.key == key } }
    }

    private let traffic: BlockTraffic
    private let log: @Sendable (EngineNotice) -> Void
    private let contentBytes: Int
    private var awaited: [Awaiting] = []
    private var lastArrival = ContinuousClock.now
    private var tokensFound = 0

    /// How long a sequence waits for its blocks: until none has come for a second, and in all.
    private static let patience = (silence: Duration.seconds(1), total: Duration.seconds(10))
    /// What is copied between two steps while sequences decode; at least one block.
    private static let bytesPerStep = 8 << 20
    /// What may take how long when the engine ends.
    private static let closing = Duration.seconds(2)
    /// Waiting sequences that are looked at beside the first.
    private static let lookAhead = 3

    /// Opens the folder, which may take as long as another server needs to leave it.
    ///
    /// - Parameters:
    ///   - model: with its KV cache.
    ///   - origin: names program and weights.
    ///   - notify: called from another thread when there is something to do.
    init(
        _ store: BlockStore, _ configuration: EngineConfiguration, _ model: any LoadedModel, origin: String,
        log: @escaping @Sendable (EngineNotice) -> Void, notify: @escaping @Sendable () -> Void
    ) throws {
        let extents = model.program.kvExtents
        let identity = ContentDigest { hasher in
            for line in [origin, model.arithmetic, model.program.kvText, "blocks of \(configuration.blockSize)"] { hasher.update(line) }
        }
        contentBytes = model.blockBytes
        let kind = BlockKind(
            identity: identity, blockSize: configuration.blockSize, layers: extents.layers, elementBytes: extents.elementBytes,
            contentBytes: contentBytes)
        let folder = try BlockFolder(store.directory, kind: kind, bytesMax: store.bytesMax)
        traffic = try BlockTraffic(folder, notify: notify)
        self.log = log
        let (blocks, bytes) = folder.size
        log(.report("prefix cache on disk: \(blocks) blocks, \(bytes) of at most \(store.bytesMax) bytes in \(store.directory)"))
    }

    /// Whether a sequence waits for blocks that are read.
    var isAwaited: Bool { !awaited.isEmpty }

    /// Does what is due between two steps.
    func advance(_ scheduler: inout Scheduler, _ model: any LoadedModel) {
        for message in traffic.takeMessages() { log(.warning(message)) }
        take(&scheduler, model)
        look(&scheduler)
        if !awaited.isEmpty { expire(&scheduler) }
        store(&scheduler, model)
    }

    /// Writes what is not yet written, as far as the time goes.
    func finish(_ scheduler: inout Scheduler, _ model: any LoadedModel) {
        let deadline = ContinuousClock.now + Self.closing
        while ContinuousClock.now < deadline, let block = scheduler.takePublished() {
            guard !traffic.folder.holds(block.digest) else { continue }
            guard let room = traffic.takeRoom(until: deadline) else { break }
            model.readBlock(block.block, into: UnsafeMutableRawBufferPointer(start: room.base, count: contentBytes))
            traffic.write(block.digest, behind: block.parent, room)
        }
        close(until: deadline)
        for message in traffic.takeMessages() { log(.warning(message)) }
    }

    /// Ends the threads at once.
    func close() { close(until: .now) }

    private func close(until deadline: ContinuousClock.Instant) { traffic.close(until: deadline) }

    func figures() -> Metrics.StoredBlocks {
        let (size, counts) = (traffic.folder.size, traffic.counts)
        return Metrics.StoredBlocks(
            blocks: size.blocks, bytes: size.bytes, tokensFound: tokensFound, read: counts.read, written: counts.written, removed: counts.removed,
            errors: counts.errors)
    }

    /// Puts blocks that have arrived into the cache.
    private func take(_ scheduler: inout Scheduler, _ model: any LoadedModel) {
        var bytesLeft = scheduler.running.isEmpty ? Int.max : Self.bytesPerStep
        while bytesLeft > 0, let arrival = traffic.takeArrival() {
            lastArrival = .now
            guard let content = arrival.content else {
                // Nothing behind it is of use.
                drop(arrival.key, andBehind: true, &scheduler)
                continue
            }
            if let link = awaited.lazy.compactMap({ one in one.place(of: arrival.key).map { one.links[$0] } }).first {
                let isRestored = scheduler.restore(link.key, behind: link.parent) { block in
                    model.writeBlock(block, from: UnsafeRawBufferPointer(start: content.base, count: contentBytes))
                }
                if isRestored { (tokensFound, bytesLeft) = (tokensFound + scheduler.limits.blockSize, bytesLeft - contentBytes) }
            }
            traffic.giveBack(content)
            drop(arrival.key, andBehind: false, &scheduler)
        }
    }

    /// No sequence waits for a block any more; those that wait for nothing else go on.
    private func drop(_ key: ContentDigest, andBehind: Bool, _ scheduler: inout Scheduler) {
        for index in awaited.indices.reversed() {
            guard let place = awaited[index].place(of: key) else { continue }
            if andBehind { awaited[index].links.removeSubrange(place...) } else { awaited[index].links.remove(at: place) }
            if awaited[index].links.isEmpty { scheduler.goOn(awaited.remove(at: index).id) }
        }
        if awaited.isEmpty { traffic.cancelReading() }
    }

    /// Asks for the blocks that the next waiting sequences begin with and that memory does not hold, as many as there is room for.
    private func look(_ scheduler: inout Scheduler) {
        while let next = scheduler.nextLookup(ahead: Self.lookAhead) {
            let isStored = traffic.folder.use(next.chain)
            var room = scheduler.pool.freeCount - scheduler.running.count
            var (links, parent): ([(key: ContentDigest, parent: ContentDigest?)], ContentDigest?) = ([], nil)
            for (key, isStored) in zip(next.chain, isStored) {
                if let found = scheduler.pool.find(key) {
                    if !isStored { scheduler.announce(found.block) }
                    room -= found.isFree ? 1 : 0
                } else {
                    guard isStored, room > 0 else { break }
                    room -= 1
                    links.append((key, parent))
                }
                parent = key
            }
            guard !links.isEmpty else { continue }
            scheduler.keep(next.chain)
            scheduler.hold(next.id)
            for (key, _) in links where !awaited.contains(where: { $0.place(of: key) != nil }) { traffic.read(key) }
            if awaited.isEmpty { lastArrival = .now }
            awaited.append(Awaiting(id: next.id, links: links, since: .now))
        }
    }

    /// Lets sequences go on that have ended or waited for too long.
    private func expire(_ scheduler: inout Scheduler) {
        let now = ContinuousClock.now
        awaited.removeAll { sequence in
            let isOver = now - lastArrival > Self.patience.silence || now - sequence.since > Self.patience.total
            guard isOver || !scheduler.isWaiting(sequence.id) else { return false }
            scheduler.goOn(sequence.id)
            return true
        }
        if awaited.isEmpty { traffic.cancelReading() }
    }

    /// Copies published blocks that are not on disk, for the writer.
    private func store(_ scheduler: inout Scheduler, _ model: any LoadedModel) {
        var bytesLeft = scheduler.running.isEmpty ? Int.max : Self.bytesPerStep
        while bytesLeft > 0, scheduler.pool.hasPublished, let room = traffic.takeRoom() {
            var isUsed = false
            while !isUsed, let block = scheduler.takePublished() {
                guard !traffic.folder.holds(block.digest) else { continue }
                model.readBlock(block.block, into: UnsafeMutableRawBufferPointer(start: room.base, count: contentBytes))
                traffic.write(block.digest, behind: block.parent, room)
                bytesLeft -= contentBytes
                isUsed = true
            }
            guard isUsed else { return traffic.returnRoom(room) }
        }
    }
}
