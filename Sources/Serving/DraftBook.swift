/// Bookkeeping of a draft model's KV cache: of which sequences it holds how many tokens, what its next step computes, and what it has guessed. A value
/// without clock or device.
///
/// A draft model reads a sequence's text: tokens of images are left out, as if they were not there. What it has computed of guesses that did not come
/// true is computed again, and a sequence that does not run any more gives its place back. Full blocks of a text without images are found again under the
/// digest that the scheduler has of them.
package struct DraftBook {
    package struct Limits: Sendable {
        package var bounds: DraftLimits
        /// Sequences of one batch for `extend`.
        package var maxSequences: Int
        package var maxBatchedTokens: Int
        /// Sequences that run at once.
        package var places: Int
        package var blockSize: Int
        package var blockCount: Int
        /// Ids from there on are no tokens of the draft model.
        package var vocabularySize: Int
        package var cachesPrefixes: Bool

        package init(
            bounds: DraftLimits, maxSequences: Int, maxBatchedTokens: Int, places: Int, blockSize: Int, blockCount: Int, vocabularySize: Int,
            cachesPrefixes: Bool = true
        ) {
            (self.bounds, self.cachesPrefixes) = (bounds, cachesPrefixes)
            (self.maxSequences, self.maxBatchedTokens, self.places) = (maxSequences, maxBatchedTokens, places)
            (self.blockSize, self.blockCount, self.vocabularySize) = (blockSize, blockCount, vocabularySize)
        }
    }

    /// What is known of one sequence.
    package struct Place: Sendable {
        /// Nil for a place that nobody has.
        package fileprivate(set) var id: Int?
        /// Tokens of the sequence's text when it was last looked at.
        package fileprivate(set) var known = 0
        /// Tokens whose K and V are in the cache: of the text, and then of the guesses.
        package fileprivate(set) var computed = 0
        /// Guesses behind the text.
        package fileprivate(set) var ahead: [Int32] = []
        package fileprivate(set) var blocks: [Int32] = []
        /// Full blocks that the pool has been told about.
        fileprivate var published = 0
        /// Whether all of the text are tokens of the draft model.
        fileprivate var isReadable = true
        /// The last batch whose sequences had it run, and guess.
        fileprivate var running = 0
        fileprivate var used = 0

        fileprivate var lack: Int { known - computed }
    }

    /// Tokens of one sequence that a step computes.
    package struct Item: Sendable {
        /// Which of the scheduler's drafts.
        package var draft: Int
        package var place: Int
        /// The first token, as the text and the guesses behind it count them.
        package var start: Int
        package var count: Int
    }

    package let limits: Limits
    package private(set) var pool: BlockPool
    package private(set) var places: [Place]
    /// What the next step computes.
    package private(set) var items: [Item] = []
    private var placeOfID: [Int: Int] = [:]
    /// By draft, its place; −1 where it makes no guess this time.
    private var placeOfDraft: [Int] = []
    private var batch = 0

    package init(_ limits: Limits) {
        self.limits = limits
        pool = BlockPool(blockSize: limits.blockSize, blockCount: limits.blockCount)
        places = Array(repeating: Place(), count: limits.places)
        // Everything that grows has its memory before the first step.
        let blocks = pool.blocks(for: limits.bounds.longest)
        for place in places.indices {
            places[place].ahead.reserveCapacity(limits.bounds.count)
            places[place].blocks.reserveCapacity(blocks)
        }
        items.reserveCapacity(limits.places)
        placeOfDraft.reserveCapacity(limits.places)
        placeOfID.reserveCapacity(limits.places)
    }

    /// Tokens that the next step computes.
    package var tokenCount: Int { items.reduce(0) { $0 + $1.count } }

    /// What has been guessed of one of the drafts.
    package func guesses(of draft: Int) -> ArraySlice<Int32> { placeOfDraft[draft] < 0 ? [] : places[placeOfDraft[draft]].ahead[...] }

    /// A token of the text, or a guessed one.
    package func token(_ number: Int, of item: Item, in sequence: SequenceState) -> Int32 {
        let place = places[item.place]
        return number < place.known ? sequence.tokens[sequence.textPlace(number)] : place.ahead[number - place.known]
    }

    /// Takes note of the sequences that are to be guessed, and of those that run at all.
    package mutating func begin(_ drafts: [Scheduler.Draft], _ running: [SequenceState]) {
        batch += 1
        items.removeAll(keepingCapacity: true)
        placeOfDraft.removeAll(keepingCapacity: true)
        for sequence in running { if let place = placeOfID[sequence.id] { places[place].running = batch } }
        for place in places.indices where places[place].id != nil && places[place].running != batch { release(place) }
        for draft in drafts { if let place = placeOfID[draft.id] { places[place].used = batch } }
        for draft in drafts { placeOfDraft.append(place(of: draft, running[draft.index]) ?? -1) }
    }

    /// The place of a sequence, with blocks for all that is computed now; nil where there are none, or the draft model cannot read it.
    private mutating func place(of draft: Scheduler.Draft, _ sequence: SequenceState) -> Int? {
        guard let place = placeOfID[draft.id] ?? places.firstIndex(where: { $0.id == nil }) else { return nil }
        if places[place].id == nil {
            placeOfID[draft.id] = place
            (places[place].id, places[place].running, places[place].used) = (draft.id, batch, batch)
            findPrefix(of: sequence, place)
        }
        follow(sequence, place)
        publish(sequence, place)
        guard places[place].isReadable else { return nil }
        let needed = pool.blocks(for: places[place].known + draft.count - 1)
        while places[place].blocks.count < needed {
            if let block = pool.allocate() { places[place].blocks.append(block) } else if !releaseIdle() { return nil }
        }
        return place
    }

    /// Takes note of the tokens that a sequence has had since; of what was guessed that stays computed which came true.
    private mutating func follow(_ sequence: SequenceState, _ place: Int) {
        let known = sequence.textCount
        var agreed = places[place].known
        for number in places[place].known..<max(known, places[place].known) {
            let token = sequence.tokens[sequence.textPlace(number)]
            if Int(token) >= limits.vocabularySize { places[place].isReadable = false }
            let guess = number - places[place].known
            if agreed == number, number < places[place].computed, places[place].ahead[guess] == token { agreed = number + 1 }
        }
        // The last token is computed for what follows it.
        places[place].computed = min(places[place].computed, agreed, known - 1)
        places[place].known = known
        places[place].ahead.removeAll(keepingCapacity: true)
    }

    /// Begins a sequence with the blocks that the cache has of it; the last token is left to compute.
    private mutating func findPrefix(of sequence: SequenceState, _ place: Int) {
        guard limits.cachesPrefixes, sequence.textCount == sequence.known else { return }
        for number in 0..<(sequence.known - 1) / limits.blockSize {
            guard let digest = sequence.knownDigest(ofBlock: number), let found = pool.find(digest) else { break }
            pool.retain(found.block)
            places[place].blocks.append(found.block)
        }
        places[place].published = places[place].blocks.count
        places[place].computed = places[place].published * limits.blockSize
        places[place].known = places[place].computed
    }

    private mutating func publish(_ sequence: SequenceState, _ place: Int) {
        guard limits.cachesPrefixes, sequence.textCount == sequence.known else { return }
        while (places[place].published + 1) * limits.blockSize <= places[place].computed {
            guard let digest = sequence.knownDigest(ofBlock: places[place].published) else { return }
            pool.publish(places[place].blocks[places[place].published], as: digest)
            places[place].published += 1
        }
    }

    /// Has the sequence that was guessed longest ago, and is not to be now, give its blocks back; false where there is none.
    private mutating func releaseIdle() -> Bool {
        var idle: Int?
        for place in places.indices where places[place].id != nil && places[place].used < batch && !places[place].blocks.isEmpty {
            if idle.map({ places[place].used < places[$0].used }) ?? true { idle = place }
        }
        guard let idle else { return false }
        release(idle)
        return true
    }

    private mutating func release(_ place: Int) {
        if let id = places[place].id { placeOfID[id] = nil }
        while let block = places[place].blocks.popLast() { pool.release(block) }
        places[place].published = 0
        places[place].ahead.removeAll(keepingCapacity: true)
        (places[place].id, places[place].known, places[place].computed, places[place].isReadable) = (nil, 0, 0, true)
    }
}

/// What the draft model computes: first what it lacks of texts, then the first guess of each sequence, then the next ones.
extension DraftBook {
    /// Prepares a batch for `extend` of tokens that the draft model lacks; false where it lacks none beside those that a gear takes. What there is no room
    /// for is computed behind later batches, and its sequence waits.
    package mutating func catchUp() -> Bool {
        items.removeAll(keepingCapacity: true)
        let width = max((limits.bounds.gears.last ?? 1) / max(placeOfDraft.count { $0 >= 0 }, 1), 1)
        var room = limits.maxBatchedTokens
        for draft in placeOfDraft.indices where placeOfDraft[draft] >= 0 {
            let place = placeOfDraft[draft]
            guard places[place].lack > width else { continue }
            let count = min(places[place].lack - 1, items.count < limits.maxSequences ? room : 0)
            if count > 0 { items.append(Item(draft: draft, place: place, start: places[place].computed, count: count)) }
            room -= count
            if places[place].lack - count > width { placeOfDraft[draft] = -1 }
        }
        return !items.isEmpty
    }

    /// Prepares a batch of a gear: for each sequence that is to have another guess, the tokens behind whose last one it follows. False where there is none.
    package mutating func nextGuesses(_ drafts: [Scheduler.Draft]) -> Bool {
        items.removeAll(keepingCapacity: true)
        for draft in placeOfDraft.indices where placeOfDraft[draft] >= 0 {
            let place = placeOfDraft[draft], end = places[place].known + places[place].ahead.count
            guard places[place].ahead.count < drafts[draft].count, end > places[place].computed else { continue }
            items.append(Item(draft: draft, place: place, start: places[place].computed, count: end - places[place].computed))
        }
        return !items.isEmpty
    }

    /// Takes note that the items have been computed.
    package mutating func commit() {
        for item in items { places[item.place].computed = item.start + item.count }
    }

    /// Takes the guess that follows an item.
    package mutating func append(_ token: Int32, to item: Item) { places[item.place].ahead.append(token) }
}

extension DraftBook {
    /// What holds between any two calls, and is broken; nil for nothing.
    package var violation: String? {
        var users: [Int32: Int] = [:]
        for place in places where place.id != nil {
            for block in place.blocks { users[block, default: 0] += 1 }
            guard Set(place.blocks).count == place.blocks.count else { return "\(place) has a block twice" }
            guard place.computed <= place.known + place.ahead.count, place.blocks.count * limits.blockSize >= place.computed else {
                return "\(place) has computed what is not there"
            }
        }
        for (block, count) in users where pool.users(of: block) != count { return "block \(block) has \(count) users and counts \(pool.users(of: block))" }
        guard users.count == pool.usedCount else { return "\(pool.usedCount) blocks are in use, sequences have \(users.count)" }
        for item in items {
            for number in item.start / limits.blockSize...(item.start + item.count - 1) / limits.blockSize {
                let block = places[item.place].blocks[number]
                if pool.users(of: block) != 1 || number < places[item.place].published { return "\(item) writes block \(block), which others may read" }
            }
        }
        guard places.allSatisfy({ $0.id != nil || $0.blocks.isEmpty && $0.computed == 0 }) else { return "nobody has blocks" }
        return pool.violation
    }
}
