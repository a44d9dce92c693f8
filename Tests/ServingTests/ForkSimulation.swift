import Execution
import Plan
import Seeded
import Serving

/// One random schedule: single sequences, answers to one prompt and searches come, fork and go while the cache runs short. After every step the
/// bookkeeping is right, and each sequence reads what its own tokens have left.
struct ForkSimulation {
    /// What schedules have met, so that a test knows that they meet it.
    struct Counts: Equatable {
        var steps = 0
        var forks = 0
        var copies = 0
        var preemptions = 0
        var cancelled = 0
        var hits = 0
        var guessed = 0
        var accepted = 0
        /// Tokens that a draft model has guessed, and those of texts that it has read.
        var drafted = 0
        var read = 0
        var restored = 0
    }

    private struct Search {
        var ids: Range<Int>
        var live: Set<Int>
        var reports: Set<Int> = []
        var left: Int
    }

    private(set) var counts = Counts()
    private var dice: Dice
    private var scheduler: Scheduler
    private let keepsStates: Bool
    /// Whether steps take times, by which guesses are made or left out.
    private let weighsTimes: Bool
    private var nextID = 1
    /// By id, how many tokens a sequence still takes.
    private var left: [Int: Int] = [:]
    private var searches: [Search] = []
    /// By slot of the cache, and by slot of states, the digest of the tokens up to the one that was written.
    private var cache: [UInt64]
    private var states: [(digest: UInt64, count: Int)]
    /// Of a draft model, and by slot of its cache the same digests.
    private var book: DraftBook?
    private var draftCache: [UInt64]
    /// Blocks that are kept outside of the cache, by their digests; nil where none are.
    private var disk: [ContentDigest: [UInt64]]?
    /// Sequences that wait for what is on the disk.
    private var awaited: [(id: Int, chain: [ContentDigest])] = []

    init(seed: UInt64) {
        var dice = Dice(seed)
        keepsStates = dice.once(in: 4)
        weighsTimes = dice.once(in: 2)
        let sequences = 2 + dice.below(5), guesses = keepsStates ? 0 : dice.below(3)
        let limits = Scheduler.Limits(
            gears: dice.once(in: 2) ? [1, 2, 8] : [8], maxSequences: sequences, maxBatchedTokens: sequences + dice.below(24), maxLogits: sequences + dice.below(6),
            blockSize: [1, 2, 4, 16][dice.below(4)], blockCount: 4 + dice.below(24),
            cachesPrefixes: !keepsStates && !dice.once(in: 3), sharesPrompts: !keepsStates,
            lookup: guesses != 1 ? nil : PromptLookup(count: 1 + dice.below(6), runs: 1...1 + dice.below(3)),
            draft: guesses != 2 ? nil : DraftLimits(count: 1 + dice.below(6), gears: dice.once(in: 2) ? [1, 2, 8] : [3], longest: 12 + dice.below(24)),
            pacesPrompts: weighsTimes && dice.once(in: 2))
        scheduler = Scheduler(limits)
        let blocks = 4 + dice.below(24), batched = 1 + dice.below(12)
        book = limits.draft.map {
            DraftBook(
                DraftBook.Limits(
                    bounds: $0, maxSequences: 3, maxBatchedTokens: batched, places: sequences, blockSize: limits.blockSize, blockCount: blocks,
                    vocabularySize: 5))
        }
        draftCache = Array(repeating: 0, count: limits.blockSize * blocks)
        cache = Array(repeating: 0, count: limits.blockSize * limits.blockCount)
        states = Array(repeating: (0, 0), count: sequences)
        if limits.cachesPrefixes, dice.once(in: 2) {
            disk = [:]
            scheduler.notePublished()
        }
        self.dice = dice
    }

    /// Runs the schedule; returns what went wrong, nil for nothing.
    mutating func run(steps: Int = 60) -> String? {
        for step in 0..<steps {
            if step < steps / 2, dice.once(in: 3) { arrive() }
            if dice.once(in: 12) { cancel() }
            if let wrong = self.step() ?? scheduler.violation() { return "step \(step): \(wrong)" }
        }
        while !left.isEmpty || !searches.isEmpty { cancel() }
        guard scheduler.isEmpty, scheduler.pool.usedCount == 0 else { return "something is left" }
        counts.preemptions = scheduler.counts.preemptions
        counts.hits = scheduler.counts.prefixHits
        (counts.guessed, counts.accepted) = (scheduler.counts.guessedTokens, scheduler.counts.acceptedTokens)
        return scheduler.violation()
    }

    private mutating func arrive() {
        let prompt = (0..<1 + dice.below(20)).map { _ in Int32(dice.below(dice.once(in: 40) ? 6 : 3)) }
        // A picture, which a draft model does not see.
        let picture = dice.once(in: 4) ? 0..<dice.below(prompt.count) : 0..<0
        let images = picture.isEmpty ? [] : [ImageTokens(tokens: TokenRanges([picture]), digest: ContentDigest { $0.update(1) }, isReady: true)]
        let more = 1 + dice.below(16)
        let longest = prompt.count + more
        guard longest <= scheduler.capacity else { return }
        let (size, limits) = (scheduler.limits.blockSize, scheduler.limits)
        let lengths = dice.once(in: 6) ? LengthAxes(longest: [prompt.count + dice.below(8)], grows: true) : nil
        let reads = dice.once(in: 6) && lengths == nil
        let priority = dice.once(in: 3) ? dice.below(3) - 1 : 0
        func sequence(_ id: Int, of group: Int?, seats: Int = 1) -> SequenceState {
            SequenceState(id: id, group: group, seats: seats, prompt: prompt, longest: longest, images: images, lengths: lengths, readsPrompt: reads && id == group ?? id,
                mayGuess: seats == 1, priority: priority)
        }
        let kind = dice.below(3), count = 2 + dice.below(limits.maxSequences - 1)
        let shared = limits.sharesPrompts ? (prompt.count - 1) / size : 0
        let isSearch = kind == 2 && shared + count * ((longest + size - 1) / size - shared) <= limits.blockCount
        if isSearch {
            scheduler.add(sequence(nextID, of: nextID, seats: count))
            searches.append(Search(ids: nextID..<nextID + count, live: [nextID], left: more))
            nextID += count
        } else {
            let first = nextID
            for id in first..<first + (kind == 1 ? count : 1) {
                scheduler.add(sequence(id, of: kind == 1 ? first : nil))
                left[id] = more
                nextID = id + 1
            }
        }
    }

    private mutating func cancel() {
        let index = dice.below(max(searches.count + left.count, 1))
        if index < searches.count {
            for id in searches[index].live { scheduler.remove(id) }
            searches.remove(at: index)
        } else if let id = left.keys.sorted().dropFirst(index - searches.count).first {
            scheduler.remove(id)
            left[id] = nil
        }
        counts.cancelled += 1
    }

    /// Blocks go to the disk and come from it, some of them late and some never.
    private mutating func exchangeBlocks() {
        let size = scheduler.limits.blockSize
        while !dice.once(in: 4), let block = scheduler.takePublished() {
            disk?[block.digest] = Array(cache[Int(block.block) * size..<(Int(block.block) + 1) * size])
        }
        if dice.once(in: 20) { disk = [:] }
        while let next = scheduler.nextLookup(ahead: 2) {
            guard let missing = next.chain.first(where: { scheduler.pool.find($0) == nil }), disk?[missing] != nil else { continue }
            scheduler.keep(next.chain)
            scheduler.hold(next.id)
            awaited.append(next)
        }
        for index in awaited.indices.reversed() where dice.once(in: 3) || scheduler.running.isEmpty {
            let (id, chain) = awaited.remove(at: index)
            for (place, digest) in chain.enumerated() where scheduler.pool.find(digest) == nil {
                guard let content = disk?[digest], !dice.once(in: 10) else { break }
                let isRestored = scheduler.restore(digest, behind: place == 0 ? nil : chain[place - 1]) { block in
                    for offset in 0..<size { cache[Int(block) * size + offset] = content[offset] }
                }
                if isRestored { counts.restored += 1 }
            }
            scheduler.goOn(id)
        }
    }

    private mutating func step() -> String? {
        if disk != nil { exchangeBlocks() }
        guard scheduler.compose() else {
            return scheduler.isEmpty ? nil : "nothing runs, though \(scheduler.running.count) run and \(scheduler.waiting.count) wait"
        }
        counts.steps += 1
        if let wrong = draft() { return "draft: " + wrong }
        let batch = scheduler.takeBatch()
        if let wrong = scheduler.violation(before: batch) { return wrong }
        copy(scheduler.takeCopies())
        for item in batch.items { if let wrong = compute(item) { return wrong } }
        if weighsTimes { scheduler.note(batch.entry, seconds: Double(1 + dice.below(2))) }
        scheduler.commit()
        if let wrong = scheduler.violation() { return "computed: " + wrong }
        for item in batch.items where item.samples && !item.isReplay { sample(item.id) }
        if let early = scheduler.running.first(where: { $0.guessed > 0 }) { return "\(early.id) has a guess left" }
        for index in searches.indices.reversed() where searches[index].reports == searches[index].live { advance(index) }
        return nil
    }

    private mutating func copy(_ copies: CacheCopies) {
        let size = scheduler.limits.blockSize
        for copy in copies.blocks {
            for offset in 0..<size { cache[Int(copy.to) * size + offset] = cache[Int(copy.from) * size + offset] }
        }
        for copy in copies.states { states[Int(copy.to)] = states[Int(copy.from)] }
        counts.copies += copies.blocks.count
    }

    /// Writes an item's tokens, and reads all before them.
    private mutating func compute(_ item: Batch.Item) -> String? {
        let sequence = scheduler.running[item.index]
        let (size, slot) = (scheduler.limits.blockSize, Int(sequence.stateSlot))
        var digest = UInt64(sequence.positionAxis ?? 7)
        for place in 0..<item.start + item.count {
            let before = digest
            digest = (digest ^ UInt64(UInt32(bitPattern: sequence.token(at: place)))) &* 0x9E37_79B9_7F4A_7C15
            digest ^= digest >> 29
            let entry = Int(sequence.blocks[place / size]) * size + place % size
            guard place >= item.start else {
                guard cache[entry] == digest else { return "\(item.id) reads another's token \(place)" }
                continue
            }
            cache[entry] = digest
            guard keepsStates else { continue }
            guard place == 0 || states[slot].count == place && states[slot].digest == before else { return "\(item.id) goes on from another's state" }
            if item.isWhole { states[slot] = (digest, place + 1) }
        }
        return nil
    }

    /// Guesses tokens as a draft model does, which sometimes fails to.
    private mutating func draft() -> String? {
        guard var book, !scheduler.drafts.isEmpty, !dice.once(in: 8) else { return nil }
        defer { self.book = book }
        book.begin(scheduler.drafts, scheduler.running)
        if book.catchUp() {
            guard book.tokenCount <= book.limits.maxBatchedTokens, book.items.count <= book.limits.maxSequences else { return "too large a batch" }
            counts.read += book.tokenCount
            if let wrong = book.violation { return wrong }
            for item in book.items { if let wrong = compute(item, book) { return wrong } }
            book.commit()
        }
        while book.nextGuesses(scheduler.drafts) {
            if let wrong = book.violation { return wrong }
            guard book.tokenCount <= book.limits.bounds.gears.last ?? 0 else { return "too large a gear" }
            for item in book.items { if let wrong = compute(item, book) { return wrong } }
            book.commit()
            for item in book.items where !dice.once(in: 10) { book.append(Int32(dice.below(3)), to: item) }
            if weighsTimes { scheduler.note(draftGear: book.limits.bounds.gears[0], seconds: Double(1 + dice.below(2)) / 8) }
        }
        for number in scheduler.drafts.indices {
            let guesses = book.guesses(of: number)
            counts.drafted += guesses.count
            guard guesses.count <= scheduler.drafts[number].count else { return "more than was asked for" }
            guesses.withUnsafeBufferPointer { scheduler.guess($0, of: number) }
        }
        return book.violation
    }

    /// Writes an item's tokens into the draft model's cache, and reads all before them.
    private mutating func compute(_ item: DraftBook.Item, _ book: DraftBook) -> String? {
        let draft = scheduler.drafts[item.draft], place = book.places[item.place]
        let (sequence, size) = (scheduler.running[draft.index], book.limits.blockSize)
        guard place.id == sequence.id, draft.id == sequence.id, item.start == place.computed, item.start + item.count <= book.limits.bounds.longest else {
            return "\(item) is not of \(sequence.id)"
        }
        var digest: UInt64 = 9
        for number in 0..<item.start + item.count {
            let token = book.token(number, of: item, in: sequence)
            if number < sequence.textCount, sequence.isImageToken(sequence.textPlace(number)) { return "\(item) reads a picture" }
            if Int(token) >= book.limits.vocabularySize { return "\(token) is no token of the draft model" }
            digest = (digest ^ UInt64(UInt32(bitPattern: token))) &* 0x9E37_79B9_7F4A_7C15
            digest ^= digest >> 29
            let entry = Int(place.blocks[number / size]) * size + number % size
            if number >= item.start { draftCache[entry] = digest } else if draftCache[entry] != digest { return "\(item) reads another's \(number)" }
        }
        return nil
    }

    private mutating func sample(_ id: Int) {
        if let index = searches.firstIndex(where: { $0.live.contains(id) }) {
            searches[index].reports.insert(id)
            return
        }
        while true {
            if left[id] == 1 || dice.once(in: 30) {
                scheduler.remove(id)
                left[id] = nil
                return
            }
            left[id, default: 1] -= 1
            guard scheduler.append(Int32(dice.below(3)), toSequence: id) else { return }
        }
    }

    /// Some beams of a search go on, several of them from one, and others do not.
    private mutating func advance(_ index: Int) {
        let search = searches[index], live = search.live.sorted()
        guard search.left > 1, !dice.once(in: 20) else {
            for id in live { scheduler.remove(id) }
            searches.remove(at: index)
            return
        }
        let survivors = (0..<1 + dice.below(search.ids.count)).map { _ in (parent: live[dice.below(live.count)], token: Int32(dice.below(3))) }
        counts.forks += survivors.count - Set(survivors.map(\.parent)).count
        searches[index].live = Set(scheduler.advance(search.ids, to: survivors))
        searches[index].reports = []
        searches[index].left -= 1
    }
}
