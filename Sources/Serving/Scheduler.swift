package import Execution
package import Plan

/// Decides which tokens of which sequences the next step computes; a pure state machine without clock or device.
///
/// Every sequence has `known` and `computed` tokens and a batch lets `computed` catch up, so prefill chunks, decoding,
/// cached prefixes and resumption after preemption are one case. Sequences run in order of priority, then of arrival;
/// when cache blocks run out, or a more urgent sequence has no place, the last gives its blocks back and
/// later computes its tokens again. Of a group, the first that runs computes the prompt;
/// the others wait for its full blocks, take part in them, and compute what is behind. Sequences that fork from one run all at once or not at
/// all; they share what is computed, and a block that is not full is copied for whoever writes it while others have it.
package struct Scheduler {
    package struct Limits: Sendable {
        /// Ascending decode batch sizes.
        package var gears: [Int]
        package var maxSequences: Int
        package var maxBatchedTokens: Int
        /// Most rows of logits that a batch gives, at least `maxSequences`.
        package var maxLogits: Int
        package var blockSize: Int
        package var blockCount: Int
        package var cachesPrefixes: Bool
        /// Whether sequences of one group share the full blocks of their prompt.
        package var sharesPrompts: Bool
        /// How tokens are guessed ahead, by one of these or not at all.
        package var lookup: PromptLookup?
        package var draft: DraftLimits?
        /// Different adapters among the sequences that run.
        package var maxAdapters: Int
        /// Whether few tokens of prompts come beside sequences that decode, so that these go on at nearly their pace.
        package var pacesPrompts: Bool

        package init(
            gears: [Int], maxSequences: Int, maxBatchedTokens: Int, maxLogits: Int? = nil, blockSize: Int, blockCount: Int,
            cachesPrefixes: Bool = true, sharesPrompts: Bool = true, lookup: PromptLookup? = nil, draft: DraftLimits? = nil, maxAdapters: Int = .max,
            pacesPrompts: Bool = false
        ) {
            self.pacesPrompts = pacesPrompts
            (self.lookup, self.draft) = (lookup, draft)
            self.maxAdapters = maxAdapters
            self.maxLogits = maxLogits ?? maxSequences
            self.sharesPrompts = sharesPrompts
            self.gears = gears
            self.maxSequences = maxSequences
            self.maxBatchedTokens = maxBatchedTokens
            self.blockSize = blockSize
            self.blockCount = blockCount
            self.cachesPrefixes = cachesPrefixes
        }
    }

    /// Counts since the start.
    package struct Counts: Sendable, Equatable {
        package var preemptions = 0
        /// Tokens looked for in the prefix cache, and those found.
        package var prefixQueries = 0
        package var prefixHits = 0
        /// Guesses, their tokens, and how many of these came true.
        package var guesses = 0
        package var guessedTokens = 0
        package var acceptedTokens = 0
    }

    package let limits: Limits
    package internal(set) var pool: BlockPool
    /// Each precedes the next, and those of `waiting` of its priority.
    package internal(set) var running: [SequenceState] = []
    /// Each precedes the next.
    package internal(set) var waiting: [SequenceState] = []
    package internal(set) var counts = Counts()
    var batch = Batch()
    private var copies = CacheCopies()
    /// What steps with and without guesses take.
    var times: GearTimes
    /// The sequences of which a draft model is to guess tokens of the batch that is composed.
    package internal(set) var drafts: [Draft] = []
    /// Whether the draft model is at work.
    var hasDraft: Bool
    /// What the draft model's steps take.
    var draftTimes: GearTimes
    /// Nil where prompts take what room there is.
    var pace: PromptPace?
    /// Slots of recurrent states that no running sequence has, the next one last.
    private var freeStateSlots: [Int32]

    package init(_ limits: Limits) {
        precondition(limits.maxBatchedTokens >= limits.maxSequences && limits.maxSequences > 0 && limits.blockCount > 0)
        precondition(limits.maxLogits >= limits.maxSequences)
        self.limits = limits
        times = GearTimes(gears: limits.gears)
        hasDraft = limits.draft != nil
        draftTimes = GearTimes(gears: limits.draft?.gears ?? [])
        pace = limits.pacesPrompts ? PromptPace(gears: limits.gears) : nil
        drafts.reserveCapacity(limits.draft == nil ? 0 : limits.maxSequences)
        pool = BlockPool(blockSize: limits.blockSize, blockCount: limits.blockCount)
        freeStateSlots = (0..<Int32(limits.maxSequences)).reversed()
        running.reserveCapacity(limits.maxSequences)
        batch.items.reserveCapacity(limits.maxSequences)
    }

    package var isEmpty: Bool { running.isEmpty && waiting.isEmpty }

    /// Tokens that a single sequence can hold in the cache.
    package var capacity: Int { limits.blockCount * limits.blockSize }

    /// Tokens that a span may have: one token of every other sequence may come before it in a batch.
    package var spanMax: Int { limits.maxBatchedTokens - limits.maxSequences + 1 }

    /// Puts a sequence in the queue behind those of its priority; its id must exceed all before, its final length must fit `capacity` and
    /// its spans `spanMax`.
    package mutating func add(_ sequence: SequenceState) {
        precondition(sequence.spans.allSatisfy { $0.count <= spanMax }, "a span can never run")
        precondition(sequence.known > 0 && sequence.known <= capacity, "the sequence can never run")
        wait(sequence)
    }

    private mutating func wait(_ sequence: SequenceState) {
        waiting.insert(sequence, at: waiting.firstIndex { sequence.precedes($0) } ?? waiting.count)
    }

    /// Forgets a sequence and frees its blocks; false if there is none.
    @discardableResult
    package mutating func remove(_ id: Int) -> Bool {
        if let index = running.firstIndex(where: { $0.id == id }) {
            releasePlace(of: index)
            running.remove(at: index)
            return true
        }
        guard let index = waiting.firstIndex(where: { $0.id == id }) else { return false }
        waiting.remove(at: index)
        return true
    }

    /// The next step's work; nil when nothing can run before images are encoded or sequences arrive.
    package mutating func nextBatch() -> Batch? { compose() ? takeBatch() : nil }

    /// Decides what of the known tokens the next step computes, and of which sequences `drafts` guesses more; false when nothing can run before
    /// images are encoded or sequences arrive.
    package mutating func compose() -> Bool {
        drafts.removeAll(keepingCapacity: true)
        batch.items.removeAll(keepingCapacity: true)
        sharePrompts()
        if reserveBlocks() { admit() }
        var room = Room(tokens: limits.maxBatchedTokens, logits: limits.maxLogits - running.count)
        if running.contains(where: \.isPromptSpan) {
            // Either prompts or what is behind them: a batch of both would be one for `extend`.
            scheduleAll(decoding: false, &room)
            let prompt = batch.tokenCount
            if prompt == 0 {
                room.tokens = limits.gears.last ?? room.tokens
                scheduleAll(decoding: true, &room)
            }
            pace?.begin(decoding: prompt == 0 ? batch.items.count : 0, prompt: prompt)
        } else {
            scheduleAll(decoding: true, &room)
            schedulePrompts(&room)
        }
        guard !batch.items.isEmpty else { return false }
        guess(in: room)
        return true
    }

    /// What was composed, with the guesses that there are.
    package mutating func takeBatch() -> Batch {
        dropMissingDrafts()
        batch.entry = entry()
        return batch
    }

    /// What has to be copied in the cache before the next batch runs, told once.
    package mutating func takeCopies() -> CacheCopies {
        defer { copies = CacheCopies() }
        return copies
    }

    /// Lets sequences that fork from one go a token further: each survivor from its parent, which runs, and no other. Returns their ids.
    ///
    /// - Parameter ids: those of the group, as many as there are seats.
    package mutating func advance(_ ids: Range<Int>, to survivors: [(parent: Int, token: Int32)]) -> [Int] {
        let parents = Set(survivors.map(\.parent))
        for id in ids where !parents.contains(id) { remove(id) }
        var free = ids.filter { !parents.contains($0) }.makeIterator()
        var taken: Set<Int> = []
        let children = survivors.map { survivor in
            guard !taken.insert(survivor.parent).inserted else { return survivor.parent }
            guard let child = free.next() else { preconditionFailure("more go on than there are seats") }
            fork(survivor.parent, as: child)
            return child
        }
        // Once all have forked.
        for (survivor, child) in zip(survivors, children) { append(survivor.token, toSequence: child) }
        return children
    }

    /// Lets a running sequence go on as another one as well, in one of the seats that are kept for it.
    private mutating func fork(_ id: Int, as child: Int) {
        guard let index = running.firstIndex(where: { $0.id == id }) else { preconditionFailure("\(id) does not run") }
        precondition(running[index].seats > 1 && running.count < limits.maxSequences, "no seat is kept")
        var sequence = running[index].forked(as: child, blocks: pool.blocks(for: running[index].computed))
        for block in sequence.blocks { pool.retain(block) }
        sequence.stateSlot = freeStateSlots.removeLast()
        copies.states.append(CacheCopies.Copy(from: running[index].stateSlot, to: sequence.stateSlot))
        running.insert(sequence, at: place(of: sequence))
    }

    /// Where a sequence goes among those that run.
    private func place(of sequence: SequenceState) -> Int { running.firstIndex { sequence.precedes($0) } ?? running.count }

    /// Takes note of how long a batch of an entry took, if that is to decide what is guessed and how many tokens of prompts come beside others.
    package mutating func note(_ entry: Entry, seconds: Double) {
        if case .decode(let gear) = entry {
            times.note(gear, seconds: seconds)
            pace?.note(seconds, gear: gear)
        } else {
            pace?.note(seconds, gear: nil)
        }
    }

    /// Takes note that the last batch has run.
    package mutating func commit() {
        for item in batch.items {
            running[item.index].noteRead(to: item.logits.upperBound)
            guard item.isWhole else { continue }
            running[item.index].computed += item.count - item.guessed
            if limits.cachesPrefixes { publish(item.index) }
        }
        // Before the sequence that has the blocks may end.
        sharePrompts()
    }

    /// Appends a sampled token to a running sequence, which begins anew where it has outgrown its axis of positions.
    ///
    /// - Returns: whether the last batch has computed the token on a guess, so that the next one follows from logits of that batch.
    @discardableResult
    package mutating func append(_ token: Int32, toSequence id: Int) -> Bool {
        guard let index = running.firstIndex(where: { $0.id == id }) else { return false }
        switch running[index].append(token) {
        case .anew: releaseBlocks(of: index)
        case .pending: releaseBlocks(of: index, behind: pool.blocks(for: running[index].known))
        case .computed:
            counts.acceptedTokens += 1
            if limits.cachesPrefixes { publish(index) }
            return true
        }
        return false
    }

    /// A running sequence that waits for embeddings, which of its images, and whether it is the only one: the first, or the first of those that wait for
    /// fewest.
    package func imagesNeeded(fewest: Bool = false) -> (id: Int, images: [Int], isOnly: Bool)? {
        let waiting = running.filter(\.waitsForImages)
        let chosen = fewest ? waiting.min { $0.missingImages.count < $1.missingImages.count } : waiting.first
        return chosen.map { ($0.id, $0.missingImages, waiting.count == 1) }
    }

    /// Takes note that embeddings of an image are at hand, for the whole group; they must stay so until the sequence is removed.
    package mutating func markReady(_ id: Int, image: Int) {
        let group = (running.first { $0.id == id } ?? waiting.first { $0.id == id })?.group
        func isMeant(_ sequence: SequenceState) -> Bool { sequence.id == id || group != nil && sequence.group == group }
        for index in running.indices where isMeant(running[index]) { running[index].images[image].isReady = true }
        for index in waiting.indices where isMeant(waiting[index]) { waiting[index].images[image].isReady = true }
    }
}

extension Scheduler {
    /// Gives each running sequence blocks for all its known tokens, in their order, and those that it writes to itself alone; false if one had
    /// to be preempted.
    private mutating func reserveBlocks() -> Bool {
        let before = counts.preemptions
        var index = 0
        while index < running.count {
            let needed = waitsForBlocks(index) ? 0 : pool.blocks(for: running[index].known)
            while index < running.count, running[index].blocks.count < needed {
                if let block = pool.allocate() { running[index].blocks.append(block) } else { preemptLast() }
            }
            while index < running.count, let place = sharedPlace(index) {
                if let block = pool.allocate() { copyBlock(at: place, of: index, to: block) } else { preemptLast() }
            }
            index += 1
        }
        return counts.preemptions == before
    }

    /// The place of the block that a running sequence goes on writing while others have it too.
    private func sharedPlace(_ index: Int) -> Int? {
        let (computed, place) = (running[index].computed, running[index].computed / limits.blockSize)
        guard computed % limits.blockSize > 0, running[index].pending > 0, place < running[index].blocks.count else { return nil }
        return pool.users(of: running[index].blocks[place]) > 1 ? place : nil
    }

    private mutating func copyBlock(at place: Int, of index: Int, to block: Int32) {
        let shared = running[index].blocks[place]
        copies.blocks.append(CacheCopies.Copy(from: shared, to: block))
        running[index].blocks[place] = block
        pool.release(shared)
    }

    /// With a sequence go those that fork from the same one.
    private mutating func preemptLast() {
        var first = running.count - 1
        while running[first].seats > 1, first > 0, running[first - 1].group == running[first].group { first -= 1 }
        for index in (first..<running.count).reversed() {
            releasePlace(of: index)
            var sequence = running.removeLast()
            (sequence.computed, sequence.publishedBlocks, sequence.lookup) = (0, 0, .due)
            wait(sequence)
            counts.preemptions += 1
        }
    }

    /// Frees all blocks but the first `count`, from the end, so that a shared beginning stays findable longest.
    mutating func releaseBlocks(of index: Int, behind count: Int = 0) {
        while running[index].blocks.count > count { pool.release(running[index].blocks.removeLast()) }
    }

    /// Frees the blocks and forgets the recurrent states.
    private mutating func releasePlace(of index: Int) {
        releaseBlocks(of: index)
        freeStateSlots.append(running[index].stateSlot)
        running[index].stateSlot = -1
    }

    /// Lets waiting sequences run in order while there are places and blocks for all their known tokens; what is less urgent makes room.
    private mutating func admit() {
        while let first = waiting.first, first.lookup != .awaited {
            let members = first.seats > 1 ? waiting.prefix { $0.group == first.group }.count : 1
            if takenSeats + first.seats <= limits.maxSequences, admits(first.adapter), hasRoom(forWaiting: members) {
                for _ in 0..<members { start() }
            } else {
                guard let last = running.last, first.priority < last.priority else { return }
                preemptLast()
            }
        }
    }

    /// Places that running sequences have and that are kept for what forks from them.
    package var takenSeats: Int {
        var seats = 0
        for index in running.indices where running[index].seats == 1 || index == 0 || running[index - 1].group != running[index].group {
            seats += running[index].seats
        }
        return seats
    }

    /// Whether there are blocks for so many of the first waiting sequences, of one group, and one more for each that runs.
    private mutating func hasRoom(forWaiting members: Int) -> Bool {
        let blocks = pool.blocks(for: waiting[0].known)
        let rest = blocks - sharedTokens(waiting[0]) / limits.blockSize
        if donor(of: waiting[0], before: running.count) != nil { return pool.freeCount >= members * rest + running.count }
        let hits = cachedBlocks(ofWaiting: 0)
        return pool.freeCount - hits.freeCount >= blocks - hits.blocks.count + (members - 1) * rest + running.count
    }

    /// Lets the first waiting sequence run, from the cached blocks on or beside the one that it shares its prompt with.
    private mutating func start() {
        let index = place(of: waiting[0])
        let donor = donor(of: waiting[0], before: index)
        let hits = donor == nil ? cachedBlocks(ofWaiting: 0).blocks : []
        var sequence = waiting.removeFirst()
        sequence.stateSlot = freeStateSlots.removeLast()
        sequence.reserve(blocks: pool.blocks(for: sequence.longest), drafts: limits.draft?.count ?? 0)
        for block in hits { pool.retain(block) }
        sequence.blocks.append(contentsOf: hits)
        sequence.computed = hits.count * limits.blockSize
        sequence.publishedBlocks = hits.count
        if donor == nil, limits.cachesPrefixes, !sequence.isReading {
            counts.prefixQueries += sequence.known
            counts.prefixHits += sequence.computed
        }
        if sequence.cachedTokens == nil { sequence.cachedTokens = donor == nil ? sequence.computed : sharedTokens(sequence) }
        running.insert(sequence, at: index)
        if let donor {
            share(donor, with: index)
            // The others are reserved once the prompt's are there.
            guard !running[index].blocks.isEmpty else { return }
        }
        for _ in running[index].blocks.count..<pool.blocks(for: running[index].known) {
            if let block = pool.allocate() { running[index].blocks.append(block) }
        }
    }

    /// Blocks in the cache that begin a waiting sequence; at least one token is left to compute. None where logits of the prompt are still
    /// to be read: of cached tokens there are none.
    private mutating func cachedBlocks(ofWaiting index: Int) -> (blocks: [Int32], freeCount: Int) {
        guard limits.cachesPrefixes, !waiting[index].isReading else { return ([], 0) }
        var result: (blocks: [Int32], freeCount: Int) = ([], 0)
        for block in 0..<(waiting[index].known - 1) / limits.blockSize {
            let digest = waiting[index].digest(ofBlock: block, size: limits.blockSize)
            guard let found = pool.find(digest) else { break }
            result.blocks.append(found.block)
            if found.isFree { result.freeCount += 1 }
        }
        return result
    }

    private mutating func publish(_ index: Int) {
        while (running[index].publishedBlocks + 1) * limits.blockSize <= running[index].computed {
            let block = running[index].publishedBlocks
            let digest = running[index].digest(ofBlock: block, size: limits.blockSize)
            let parent = block > 0 ? running[index].digest(ofBlock: block - 1, size: limits.blockSize) : nil
            pool.publish(running[index].blocks[block], as: digest, behind: parent)
            running[index].publishedBlocks += 1
        }
    }

    /// Schedules the running sequences whose next token is one for `decode`, or the others.
    private mutating func scheduleAll(decoding: Bool, _ room: inout Room) {
        for index in running.indices where running[index].isDecoding == decoding { schedule(index, &room) }
    }

    /// Adds the next tokens of a running sequence to the batch, unless the first waits for an image or a span does not fit any more.
    mutating func schedule(_ index: Int, _ room: inout Room) {
        let sequence = running[index]
        guard !sequence.blocks.isEmpty else { return }
        let most = room.logits + 1
        let count = sequence.chunk(budget: room.tokens, logits: most)
        guard count > 0 else { return }
        let range = sequence.computed..<sequence.computed + count
        let isReplay = sequence.isPromptSpan && sequence.isDecoding && range.upperBound < sequence.known
        let reachesEnd = range.upperBound == sequence.known || isReplay
        let logits = sequence.logits(of: range, reachesEnd: reachesEnd, most: most)
        batch.items.append(
            Batch.Item(
                index: index, id: sequence.id, start: range.lowerBound, count: count, logits: logits,
                samples: reachesEnd && logits.upperBound == range.upperBound, isReplay: isReplay))
        room.tokens -= count
        room.logits -= max(logits.count - 1, 0)
    }

    /// What computes the batch as it is.
    func entry() -> Entry {
        let isDecode = batch.items.allSatisfy {
            let sequence = running[$0.index]
            return $0.count == 1 + $0.guessed && $0.samples && !sequence.readsHidden && !sequence.isImageToken($0.start)
                && (!sequence.isPromptSpan || sequence.isDecoding)
        }
        let least = batch.items.reduce(batch.tokenCount) { max($0, running[$1.index].leastGear) }
        if isDecode, let gear = limits.gears.first(where: { $0 >= least }) { return .decode(gear: gear) }
        return .extend
    }
}

extension Scheduler {
    /// Tokens of the prompt in blocks that the sequences of a group share; at least one is left for each to compute.
    private func sharedTokens(_ sequence: SequenceState) -> Int {
        guard limits.sharesPrompts, sequence.group != nil, !sequence.isReading else { return 0 }
        return (sequence.promptCount - 1) / limits.blockSize * limits.blockSize
    }

    /// The first of the running sequences that has, or will have, the blocks that another one of its group needs.
    private func donor(of sequence: SequenceState, before end: Int) -> Int? {
        guard sharedTokens(sequence) > 0 else { return nil }
        return running[..<end].firstIndex { $0.group == sequence.group && $0.positionAxis == sequence.positionAxis }
    }

    /// Whether a running sequence has nothing yet because another one of its group computes its prompt.
    private func waitsForBlocks(_ index: Int) -> Bool {
        running[index].blocks.isEmpty && donor(of: running[index], before: index) != nil
    }

    /// Gives running sequences that wait for the blocks of their prompt their part in them where they are computed.
    private mutating func sharePrompts() {
        for index in running.indices where running[index].group != nil && running[index].blocks.isEmpty {
            guard let donor = donor(of: running[index], before: index) else { continue }
            share(donor, with: index)
        }
    }

    private mutating func share(_ donor: Int, with index: Int) {
        let tokens = sharedTokens(running[index])
        guard running[donor].computed >= tokens else { return }
        for place in 0..<tokens / limits.blockSize {
            let block = running[donor].blocks[place]
            pool.retain(block)
            running[index].blocks.append(block)
        }
        running[index].computed = tokens
        running[index].publishedBlocks = tokens / limits.blockSize
    }
}

/// What a batch still takes.
struct Room {
    var tokens: Int
    /// Rows of logits beyond the one that each running sequence may need to go on.
    var logits: Int
}
