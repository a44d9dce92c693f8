internal import Execution
internal import Plan

/// A head at work that guesses tokens from the hidden states of the model that answers, the likeliest token each time.
///
/// Its keys and values lie in blocks of the numbers that the model's lie in: that of token `i` depends on the model's hidden states of token `i` and on
/// token `i + 1`, so it is computed once that is known, right behind the model's step. What the cache has of a prompt's beginning, it so has of both, and
/// what is copied, preempted or forgotten is so for both.
final class DraftHead: TokenGuesser {
    /// What is known of the token behind a sequence's last one.
    private struct Place {
        /// Nil for a place that nobody has.
        var id: Int?
        /// Tokens of the sequence when it was guessed; −1 where there is no guess.
        var known = -1
        var token: Int32 = 0
        /// The sequence's prompt, by which positions are counted.
        var prompt: Prompt?
    }

    /// Tokens of one sequence of the model's batch that the head reads.
    private struct Item {
        /// Index into `running`.
        var index: Int
        /// The first row in the model's batch.
        var row: Int
        /// The first token.
        var start: Int
        var count: Int
        /// Where the next token's guess goes; nil for none.
        var place: Int?
    }

    private let model: any LoadedModel
    private let configuration: DraftConfiguration
    private let (blockSize, blockCount): (Int, Int)
    private let io: StepIO
    private let likeliest: LikeliestTokens
    /// Of the model that answers: its tokens are below.
    private let vocabularySize: Int
    private var places: [Place]
    /// f32[places, width]: the head's own hidden states behind the last token of each, from which it goes on.
    private let states: UnsafeMutableBufferPointer<Float>
    private let width: Int
    private var items: [Item] = []
    /// By draft, its place and what has been guessed.
    private var guesses: [(place: Int, tokens: [Int32])]
    private var going: [Int] = []

    init(_ model: any LoadedModel, _ draft: DraftConfiguration, of configuration: EngineConfiguration) throws(BackendError) {
        self.model = model
        self.configuration = draft
        (blockSize, blockCount, vocabularySize) = (configuration.blockSize, configuration.blockCount, configuration.vocabularySize)
        try model.reserveKV(blockSize: blockSize, blockCount: blockCount)
        io = try model.makeStepIO(maxBlocks: (configuration.maxModelLength + blockSize - 1) / blockSize)
        likeliest = LikeliestTokens(capacity: io.maxSequences)
        let count = configuration.maxSequences
        places = Array(repeating: Place(), count: count)
        width = io.modelWidth
        states = .allocate(capacity: count * width)
        states.initialize(repeating: 0)
        guesses = (0..<count).map { _ in
            var tokens: [Int32] = []
            tokens.reserveCapacity(draft.limits.count)
            return (-1, tokens)
        }
        items.reserveCapacity(count)
        going.reserveCapacity(count)
    }

    deinit { states.deallocate() }

    func warm() throws(BackendError) {
        let gears = configuration.limits.gears
        try WarmUp(model: model, gears: gears, blockSize: blockSize, blockCount: blockCount, hasAdapters: false, io: io).runTexts { _ in }
    }

    func copy(_ copies: CacheCopies) {
        var own = CacheCopies()
        own.blocks = copies.blocks
        model.copy(own)
    }

    func read(_ batch: Batch, _ shown: StepIO, _ scheduler: Scheduler, _ requests: [Int: ActiveRequest]) throws(BackendError) {
        for place in places.indices where places[place].id.map({ id in !scheduler.running.contains { $0.id == id } }) ?? false {
            places[place] = Place()
        }
        gather(batch, scheduler)
        guard !items.isEmpty else { return }
        fill(shown, scheduler, requests)
        try model.run(.extend, io)
        likeliest.begin()
        for sample in 0..<io.sampleCount { likeliest.add(logits(sample)) }
        likeliest.run(on: model)
        var sample = 0
        for item in items {
            guard let place = item.place else { continue }
            places[place].known = -1
            if let token = token(sample) {
                (places[place].known, places[place].token) = (scheduler.running[item.index].known, token)
                keepState(of: place, row: sample)
            }
            sample += 1
        }
    }

    func guess(for scheduler: inout Scheduler, notesTimes: Bool) throws(BackendError) {
        guard !scheduler.drafts.isEmpty else { return }
        for (number, draft) in scheduler.drafts.enumerated() {
            guesses[number].tokens.removeAll(keepingCapacity: true)
            guesses[number].place = places.firstIndex { $0.id == draft.id } ?? -1
            let place = guesses[number].place
            if place >= 0, places[place].known == scheduler.running[draft.index].known { guesses[number].tokens.append(places[place].token) }
        }
        while try goOn(&scheduler, notesTimes: notesTimes) {}
        for number in scheduler.drafts.indices { guesses[number].tokens.withUnsafeBufferPointer { scheduler.guess($0, of: number) } }
    }

    /// Guesses another token of each sequence that is to have one; false where none is.
    private func goOn(_ scheduler: inout Scheduler, notesTimes: Bool) throws(BackendError) -> Bool {
        going.removeAll(keepingCapacity: true)
        let level = guesses[..<scheduler.drafts.count].reduce(0) { max($0, $1.tokens.count) }
        for (number, draft) in scheduler.drafts.enumerated() where level > 0 && guesses[number].tokens.count == level && draft.count > level {
            going.append(number)
        }
        guard !going.isEmpty, let gear = configuration.limits.gears.first(where: { $0 >= going.count }) else { return false }
        let began = ContinuousClock.now
        fill(gear: gear, level: level, scheduler)
        try model.run(.decode(gear: gear), io)
        likeliest.begin()
        for row in going.indices { likeliest.add(logits(row)) }
        likeliest.run(on: model)
        var isAnyThere = false
        for (row, number) in going.enumerated() {
            // The state that the guess was made from is gone.
            places[guesses[number].place].known = -1
            guard let token = token(row) else { continue }
            guesses[number].tokens.append(token)
            keepState(of: guesses[number].place, row: row)
            isAnyThere = true
        }
        if notesTimes { scheduler.note(draftGear: gear, seconds: (ContinuousClock.now - began).seconds) }
        return isAnyThere
    }

    private func logits(_ row: Int) -> UnsafeMutableBufferPointer<Float> {
        UnsafeMutableBufferPointer(rebasing: io.logits[row * io.vocabularySize..<(row + 1) * io.vocabularySize])
    }

    /// The model's token that the likeliest of a row stands for; nil where it is none.
    private func token(_ row: Int) -> Int32? {
        let own = likeliest[row]
        guard own >= 0 else { return nil }
        let token = configuration.tokens.isEmpty ? own : Int(configuration.tokens[own])
        return token < vocabularySize ? Int32(token) : nil
    }

    private func keepState(of place: Int, row: Int) {
        for column in 0..<width { states[place * width + column] = io.hidden[row * width + column] }
    }
}

extension DraftHead {
    /// Which tokens of the model's batch are followed by one that is known; of those that go on the last ones are guessed from, unless a pause says that
    /// nothing will be.
    private func gather(_ batch: Batch, _ scheduler: Scheduler) {
        items.removeAll(keepingCapacity: true)
        var row = 0
        for item in batch.items {
            defer { row += item.count }
            guard let index = scheduler.running.firstIndex(where: { $0.id == item.id }) else { continue }
            let (known, computed) = (scheduler.running[index].known, scheduler.running[index].computed)
            let end = min(item.start + item.count, known - 1, computed)
            guard end > item.start else { continue }
            let goesOn = item.samples && end == known - 1 && scheduler.running[index].mayGuess && !scheduler.running[index].guesses.isPaused
            items.append(Item(index: index, row: row, start: item.start, count: end - item.start, place: goesOn ? place(of: item.id) : nil))
        }
    }

    private func place(of id: Int) -> Int? {
        if let place = places.firstIndex(where: { $0.id == id }) { return place }
        guard let place = places.firstIndex(where: { $0.id == nil }) else { return nil }
        places[place].id = id
        return place
    }

    /// Writes the items into the buffers as `StepIO` documents them, with the model's hidden states.
    private func fill(_ shown: StepIO, _ scheduler: Scheduler, _ requests: [Int: ActiveRequest]) {
        io.tokenCount = items.reduce(0) { $0 + $1.count }
        (io.sequenceCount, io.sampleCount, io.imageCount) = (items.count, 0, 0)
        let columns = shown.innerWidth
        var row = 0
        for (number, item) in items.enumerated() {
            setSequence(number, row: row, count: item.count, end: item.start + item.count, scheduler.running[item.index])
            let prompt = requests[scheduler.running[item.index].id]?.request.prompt
            if let place = item.place, places[place].prompt == nil { places[place].prompt = prompt }
            for offset in 0..<item.count {
                let place = item.start + offset
                setRow(row + offset, place, scheduler.running[item.index].token(at: place + 1), scheduler.running[item.index], prompt)
            }
            let first = item.row * columns
            _ = UnsafeMutableBufferPointer(rebasing: io.innerStates[(row * columns)...])
                .update(fromContentsOf: shown.innerStates[first..<first + item.count * columns])
            row += item.count
            guard item.place != nil else { continue }
            io.sampleRows[io.sampleCount] = Int32(row - 1)
            (io.wantedLogits[io.sampleCount], io.logitReach[io.sampleCount]) = (1, 0)
            io.sampleCount += 1
        }
    }

    /// Writes a row for each sequence that goes on: its last guess, behind `level − 1` others.
    private func fill(gear: Int, level: Int, _ scheduler: Scheduler) {
        (io.tokenCount, io.sequenceCount, io.sampleCount, io.imageCount) = (gear, gear, going.count, 0)
        for (row, number) in going.enumerated() {
            let sequence = scheduler.running[scheduler.drafts[number].index]
            let place = sequence.known - 2 + level
            setSequence(row, row: row, count: 1, end: place + 1, sequence)
            setRow(row, place, guesses[number].tokens[level - 1], sequence, places[guesses[number].place].prompt)
            for column in 0..<width { io.innerStates[row * width + column] = states[guesses[number].place * width + column] }
            io.sampleRows[row] = Int32(row)
            (io.wantedLogits[row], io.logitReach[row]) = (1, 0)
        }
        io.pad(from: going.count, to: gear)
    }

    private func setSequence(_ number: Int, row: Int, count: Int, end: Int, _ sequence: SequenceState) {
        io.queryStarts[number] = Int32(row)
        io.queryCounts[number] = Int32(count)
        io.contextLengths[number] = Int32(end)
        for (place, block) in sequence.blocks.enumerated() where place < io.maxBlocks { io.blockTables[number * io.maxBlocks + place] = block }
    }
}

extension DraftHead {
    /// Writes a row of a token's place, with the token behind it.
    private func setRow(_ row: Int, _ place: Int, _ token: Int32, _ sequence: SequenceState, _ prompt: Prompt?) {
        io.ids[row] = token
        let block = Int(sequence.blocks[place / blockSize])
        io.slots[row] = Int32(block * blockSize + place % blockSize)
        (io.reach[row], io.ordinals[row]) = (Int32(place), Int32(place))
        (io.stateSlots[row], io.imageRows[row], io.adapters[row]) = (-1, -1, -1)
        for axis in 0..<io.positionAxes {
            let position = sequence.positionAxis == nil ? prompt?.position(of: place, axis: axis) : nil
            io.positions[axis * io.tokenCount + row] = position ?? Int32(place)
        }
    }
}

extension Prompt {
    /// Where a token of the prompt, or one that follows it, stands on an axis; on the last one where there are no more.
    func position(of place: Int, axis: Int) -> Int32 {
        guard place < ids.count else { return Int32(place) + positionDelta }
        return positions[min(axis, positions.count / ids.count - 1) * ids.count + place]
    }
}
