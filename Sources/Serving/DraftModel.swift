internal import CKernels
internal import Execution
internal import Plan

/// A draft model at work: a second model beside the engine's, which guesses how sequences go on, the likeliest token each time.
final class DraftModel: TokenGuesser {
    private let model: any LoadedModel
    private let configuration: DraftConfiguration
    private let (blockSize, blockCount): (Int, Int)
    private let io: StepIO
    private var book: DraftBook
    private let likeliest: LikeliestTokens
    /// Of the model that answers: its tokens are below.
    private let vocabularySize: Int

    init(_ model: any LoadedModel, _ draft: DraftConfiguration, of configuration: EngineConfiguration) throws(BackendError) {
        self.model = model
        self.configuration = draft
        (blockSize, blockCount) = (configuration.blockSize, configuration.blockCount)
        vocabularySize = configuration.vocabularySize
        try model.reserveKV(blockSize: blockSize, blockCount: blockCount)
        io = try model.makeStepIO(maxBlocks: (draft.limits.longest + blockSize - 1) / blockSize)
        likeliest = LikeliestTokens(capacity: io.maxSequences)
        book = DraftBook(
            DraftBook.Limits(
                bounds: draft.limits, maxSequences: draft.maxSequences, maxBatchedTokens: draft.maxBatchedTokens,
                places: configuration.maxSequences, blockSize: blockSize, blockCount: blockCount, vocabularySize: draft.vocabularySize,
                // Where lengths tell positions, texts that begin alike may stand on other ones.
                cachesPrefixes: configuration.cachesPrefixes && draft.positions.lengths == nil))
    }

    func warm() throws(BackendError) {
        let gears = configuration.limits.gears
        try WarmUp(model: model, gears: gears, blockSize: blockSize, blockCount: blockCount, hasAdapters: false, io: io).runTexts { _ in }
    }

    /// It reads texts alone, once a guess is wanted.
    func read(_ batch: Batch, _ io: StepIO, _ scheduler: Scheduler, _ requests: [Int: ActiveRequest]) {}

    /// Its cache has blocks of its own.
    func copy(_ copies: CacheCopies) {}

    func guess(for scheduler: inout Scheduler, notesTimes: Bool) throws(BackendError) {
        guard !scheduler.drafts.isEmpty else { return }
        book.begin(scheduler.drafts, scheduler.running)
        if book.catchUp() {
            fill(gear: nil, scheduler)
            try model.run(.extend, io)
            book.commit()
        }
        while book.nextGuesses(scheduler.drafts) {
            let began = ContinuousClock.now
            guard let gear = configuration.limits.gears.first(where: { $0 >= book.tokenCount }) else { break }
            fill(gear: gear, scheduler)
            try model.run(.decode(gear: gear), io)
            book.commit()
            let isLast = !takeLikeliest()
            if notesTimes { scheduler.note(draftGear: gear, seconds: (ContinuousClock.now - began).seconds) }
            if isLast { break }
        }
        for number in scheduler.drafts.indices { book.guesses(of: number).withUnsafeBufferPointer { scheduler.guess($0, of: number) } }
    }

    /// Takes the likeliest token behind each item; false where nothing can follow any more.
    private func takeLikeliest() -> Bool {
        likeliest.begin()
        var row = -1
        for item in book.items {
            row += item.count
            likeliest.add(UnsafeMutableBufferPointer(rebasing: io.logits[row * io.vocabularySize..<(row + 1) * io.vocabularySize]))
        }
        likeliest.run(on: model)
        var isAnyThere = false
        for index in book.items.indices where (0..<vocabularySize).contains(likeliest[index]) {
            book.append(Int32(likeliest[index]), to: book.items[index])
            isAnyThere = true
        }
        return isAnyThere
    }

    /// Writes the book's items into the buffers as `StepIO` documents them; of a gear the last row of each has logits.
    private func fill(gear: Int?, _ scheduler: Scheduler) {
        let count = book.tokenCount
        io.tokenCount = gear ?? count
        io.sequenceCount = gear ?? book.items.count
        io.sampleCount = gear == nil ? 0 : count
        io.imageCount = 0
        var (row, sequences) = (0, 0)
        for item in book.items {
            let sequence = scheduler.running[scheduler.drafts[item.draft].index]
            // Of the longest text that it may become, so that nothing is ever computed again.
            let axis = configuration.positions.lengths?.axis(prompt: sequence.longest, known: sequence.longest)
            let width = gear == nil ? item.count : 1
            for first in stride(from: 0, to: item.count, by: width) {
                io.queryStarts[sequences] = Int32(row + first)
                io.queryCounts[sequences] = Int32(width)
                io.contextLengths[sequences] = Int32(item.start + first + width)
                for (place, block) in book.places[item.place].blocks.enumerated() { io.blockTables[sequences * io.maxBlocks + place] = block }
                sequences += 1
            }
            for offset in 0..<item.count {
                let number = item.start + offset
                setRow(row + offset, number, book.token(number, of: item, in: sequence), axis)
                let block = Int(book.places[item.place].blocks[number / blockSize])
                io.slots[row + offset] = Int32(block * blockSize + number % blockSize)
                guard gear != nil else { continue }
                io.sampleRows[row + offset] = Int32(row + offset)
                (io.wantedLogits[row + offset], io.logitReach[row + offset]) = (offset == item.count - 1 ? 1 : StepIO.noLogits, 0)
            }
            row += item.count
        }
        if let gear { io.pad(from: count, to: gear) }
    }

    private func setRow(_ row: Int, _ number: Int, _ token: Int32, _ axis: Int?) {
        io.ids[row] = token
        io.reach[row] = Int32(number)
        io.stateSlots[row] = -1
        io.ordinals[row] = Int32(number)
        io.imageRows[row] = -1
        io.adapters[row] = -1
        let position = if case .sequential(let start) = configuration.positions { Int32(start + number) } else { Int32(number) }
        for other in 0..<io.positionAxes { io.positions[other * io.tokenCount + row] = axis.map { $0 == other } ?? true ? position : 0 }
    }
}

/// The likeliest token of each of several rows of logits; −1 where no logit is a number.
final class LikeliestTokens: RowWork {
    private var rows: [UnsafeMutableBufferPointer<Float>] = []
    private let tokens: UnsafeMutableBufferPointer<Int>
    private let isa = vlm_cpu_features()

    init(capacity: Int) {
        rows.reserveCapacity(capacity)
        tokens = .allocate(capacity: capacity)
        tokens.initialize(repeating: -1)
    }

    deinit { tokens.deallocate() }

    func begin() { rows.removeAll(keepingCapacity: true) }

    func add(_ logits: UnsafeMutableBufferPointer<Float>) { rows.append(logits) }

    func run(on model: any LoadedModel) { model.run(rows: rows.count, self) }

    func run(row: Int, thread: Int) {
        tokens[row] = rows[row].baseAddress.map { Int(vlm_first_greatest($0, Int64(rows[row].count), isa)) } ?? -1
    }

    subscript(row: Int) -> Int { tokens[row] }
}
