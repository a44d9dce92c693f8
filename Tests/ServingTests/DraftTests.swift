import Execution
import Plan
import Serving
import Synchronization
import Testing

/// Tokens that a draft model guesses.
@Suite struct DraftTests {
    private func scheduler(
        blocks: Int = 16, sequences: Int = 4, gears: [Int] = [1, 2, 4, 8], count: Int = 3, draftGears: [Int] = [1, 2, 8], longest: Int = 60
    ) -> Scheduler {
        Scheduler(
            Scheduler.Limits(
                gears: gears, maxSequences: sequences, maxBatchedTokens: 32, maxLogits: 8, blockSize: 4, blockCount: blocks,
                draft: DraftLimits(count: count, gears: draftGears, longest: longest)))
    }

    private func sequence(_ id: Int, _ count: Int = 5, longest: Int = 60, images: [ImageTokens] = []) -> SequenceState {
        SequenceState(id: id, prompt: (0..<Int32(count)).map { $0 + 100 * Int32(id) }, longest: longest, images: images, mayGuess: true)
    }

    private func composed(_ scheduler: inout Scheduler) throws -> [Int] {
        let isThere = scheduler.compose()
        try #require(isThere)
        return scheduler.drafts.map(\.count)
    }

    private func finish(_ scheduler: inout Scheduler) throws -> Batch {
        let batch = scheduler.takeBatch()
        #expect(scheduler.violation(before: batch) == nil)
        scheduler.commit()
        #expect(scheduler.violation() == nil)
        return batch
    }

    private func guess(_ tokens: [Int32], of number: Int, _ scheduler: inout Scheduler) {
        tokens.withUnsafeBufferPointer { scheduler.guess($0, of: number) }
    }

    @Test func guessedTokensAreRowsOfAGear() throws {
        var scheduler = scheduler()
        scheduler.add(sequence(1))
        #expect(try composed(&scheduler) == [])
        _ = try finish(&scheduler)
        scheduler.append(6, toSequence: 1)
        #expect(try composed(&scheduler) == [3])
        guess([7, 8, 9], of: 0, &scheduler)
        let batch = try finish(&scheduler)
        #expect(batch.entry == .decode(gear: 4) && batch.items[0].guessed == 3 && batch.items[0].logits == 5..<9)
        #expect((6..<9).map { scheduler.running[0].token(at: $0) } == [7, 8, 9])
        #expect([7, 8, 1].map { scheduler.append($0, toSequence: 1) } == [true, true, false])
        #expect(scheduler.running[0].computed == 8 && scheduler.running[0].known == 9 && scheduler.violation() == nil)
        #expect(scheduler.counts.guesses == 1 && scheduler.counts.guessedTokens == 3 && scheduler.counts.acceptedTokens == 2)
        // Fewer than were wanted, and none: the blocks under them go back.
        #expect(try composed(&scheduler) == [3])
        guess([7], of: 0, &scheduler)
        #expect(try finish(&scheduler).entry == .decode(gear: 2))
        #expect(scheduler.append(7, toSequence: 1) && !scheduler.append(7, toSequence: 1))
        #expect(try composed(&scheduler) == [3] && scheduler.running[0].blocks.count == 4)
        #expect(try finish(&scheduler).entry == .decode(gear: 1) && scheduler.running[0].blocks.count == 3)
        scheduler.append(7, toSequence: 1)
        scheduler.endDrafts()
        #expect(try composed(&scheduler) == [])
    }

    /// One token of each sequence, then another one of each, while rows, blocks and lengths allow it.
    @Test func guessesTakeWhatIsLeft() throws {
        func counts(_ scheduler: Scheduler, of count: Int, longest: Int = 60, images: [ImageTokens] = []) throws -> [Int] {
            var scheduler = scheduler
            for id in 1...count { scheduler.add(sequence(id, longest: longest, images: images)) }
            _ = try composed(&scheduler)
            _ = try finish(&scheduler)
            for id in 1...count { scheduler.append(7, toSequence: id) }
            let counts = try composed(&scheduler)
            _ = try finish(&scheduler)
            return counts
        }
        #expect(try counts(scheduler(), of: 2) == [3, 3])
        #expect(try counts(scheduler(), of: 3) == [2, 2, 1], "eight rows of the greatest gear")
        #expect(try counts(scheduler(count: 7), of: 1) == [7])
        #expect(try counts(scheduler(draftGears: [1, 2]), of: 3) == [3, 2], "the draft model takes two at once")
        #expect(try counts(scheduler(), of: 1, longest: 8) == [1] && counts(scheduler(), of: 1, longest: 7) == [])
        #expect(try counts(scheduler(longest: 7), of: 1) == [1] && counts(scheduler(longest: 6), of: 1) == [])
        #expect(try counts(scheduler(blocks: 2), of: 1) == [2], "eight tokens are all that the blocks hold")
        let image = ImageTokens(tokens: TokenRanges([0..<4]), digest: ContentDigest { $0.update(1) }, isReady: true)
        #expect(try counts(scheduler(longest: 4), of: 1, images: [image]) == [2], "two tokens of six are text")
    }

    @Test func soManyAsGainTime() throws {
        /// A step of every gear has been timed, and the draft model's.
        func counts(_ seconds: [Double], draft: Double, of count: Int = 1) throws -> [Int] {
            var scheduler = scheduler(count: 7)
            for id in 1...count { scheduler.add(sequence(id)) }
            for (gear, seconds) in zip([1, 2, 4, 8], seconds) { scheduler.note(.decode(gear: gear), seconds: seconds) }
            for gear in [1, 2, 8] { scheduler.note(draftGear: gear, seconds: draft) }
            _ = try composed(&scheduler)
            _ = try finish(&scheduler)
            for id in 1...count { scheduler.append(7, toSequence: id) }
            return try composed(&scheduler)
        }
        #expect(try counts([1, 1.1, 1.2, 1.3], draft: 0) == [7])
        // By 0.8 each: 2.95 tokens in 1.56, 3.95 in 2.02, 4.16 in 2.14.
        #expect(try counts([1, 1.1, 1.2, 1.3], draft: 0.12) == [6], "each is a step of the draft model's")
        #expect(try counts([1, 1.1, 1.2, 1.3], draft: 0.3) == [3])
        #expect(try counts([1, 1.1, 1.2, 1.3], draft: 0.8) == [])
        #expect(try counts([1, 2, 4, 8], draft: 0.01) == [])
        #expect(try counts([1, 1.1, 1.2, 1.3], draft: 0.8, of: 3) == [1, 1, 1], "three share a step of the draft model")
        #expect(try counts([0, 1.1, 1.2, 1.3], draft: 0) == [], "this step tells what one without takes")
        #expect(try counts([0, 0, 0, 0], draft: 1) == [7], "nothing has been timed")
    }
}

private func exchange(_ value: inout Int, with new: Int) -> Int {
    defer { value = new }
    return value
}

/// Draft models in the engine.
@Suite struct DraftEngineTests {
    private static func engine(
        count: Int?, draft: @escaping @Sendable (Program) -> NullModel, draftProgram: Program? = nil, sequences: Int = 8, blocks: Int = 64, weighs: Bool = false,
        log: @escaping @Sendable (EngineNotice) -> Void = { _ in }
    ) throws -> Engine {
        let program = testProgram(gears: [1, 2, 4, 8, 16], maxSequences: 16)
        let draftProgram = draftProgram ?? program
        var options = EngineOptions()
        (options.draft.count, options.weighsTimes, options.blockSize, options.maxSequences) = (count, weighs, 16, sequences)
        options.kvCacheBytes = blocks * program.kvBlockBytes(blockSize: 16) * (count == nil ? 1 : 2)
        let configuration = try EngineConfiguration(program: program, draft: count.map { _ in draftProgram }, options: options, availableBytes: 1 << 24)
        return Engine(configuration: configuration, log: log, load: { NullModel(program: program, seed: 3) }) { _ in draft(draftProgram) }
    }

    /// Each answer, and its log probabilities, is what it is without guesses, whoever guesses; weighing changes nothing either.
    @Test(arguments: [(1, 3, false), (4, 3, false), (4, 4, false), (4, 3, true)]) func answersAreTheSame(atOnce: Int, seed: UInt64, weighs: Bool) async throws {
        let requests = (0..<40).map { guessedRequest($0, promptsOf: 40) }
        let plain = try Self.engine(count: nil) { NullModel(program: $0) }
        try await plain.whenServing()
        let expected = await answers(plain, atOnce: 1, to: requests)
        await plain.drain(timeout: .seconds(5))
        let engine = try Self.engine(count: 4, draft: { NullModel(program: $0, seed: seed) }, weighs: weighs)
        try await engine.whenServing()
        let found = await answers(engine, atOnce: atOnce, to: requests)
        for index in requests.indices { #expect(found[index] == expected[index], "request \(index)") }
        let speculation = try #require(engine.metrics.speculation)
        #expect(speculation.accepted <= speculation.tokens && engine.metrics.generationTokens == plain.metrics.generationTokens)
        let share = Double(speculation.accepted) / Double(speculation.tokens)
        if !weighs { #expect(speculation.drafts > 500 && (seed == 3 ? (0.2...0.5).contains(share) : share < 0.1), "\(speculation)") }
        await engine.drain(timeout: .seconds(5))
    }

    /// A model that guesses for itself is always right, whatever is preempted, cancelled, put off for want of blocks or forgotten and read again.
    @Test(arguments: [64, 18, 9]) func aModelGuessesItself(blocks: Int) async throws {
        let engine = try Self.engine(count: 4, draft: { NullModel(program: $0, seed: 3) }, sequences: 5, blocks: blocks)
        try await engine.whenServing()
        await withTaskGroup(of: Void.self) { group in
            for index in 0..<48 {
                group.addTask {
                    var request = guessedRequest(2 * (index % 20), promptsOf: 40)
                    (request.rules.allowed, request.priority) = (nil, index % 3)
                    request.maxTokens = 20 + 3 * index % 70
                    if index % 5 == 3 { _ = await engine.runAndLeave(request, after: index % 7) } else { _ = await engine.run(request) }
                }
            }
        }
        try await engine.whenIdle()
        let speculation = try #require(engine.metrics.speculation)
        #expect(speculation.drafts > 100 && speculation.accepted == speculation.tokens, "\(speculation)")
        #expect(blocks > 9 || engine.metrics.preemptions > 0)
        await engine.drain(timeout: .seconds(5))
    }

    /// Of a prompt that begins as one before the draft model reads the rest alone.
    @Test func prefixesAreFoundAgain() async throws {
        let reads = Mutex(0)
        let engine = try Self.engine(count: 4, draft: {
            NullModel(program: $0, seed: 3) { entry in if entry == .extend { reads.withLock { $0 += 1 } } }
        })
        try await engine.whenServing()
        reads.withLock { $0 = 0 }
        var found: [Int] = []
        for last in [60, 60, 59] as [Int32] {
            var request = GenerationRequest(
                prompt: Prompt(text: (0..<100).map { $0 % 50 + 1 } + [last], axes: 3), maxTokens: 20, ignoresEnd: true, decoder: NumberDecoder())
            request.sampling.temperature = 0
            #expect(await engine.run(request).completionTokens == 20)
            found.append(reads.withLock { exchange(&$0, with: 0) })
        }
        // Batches are of 32 tokens, blocks of 16; the last tokens are rows of a gear.
        #expect(found == [3, 0, 0])
        let speculation = try #require(engine.metrics.speculation)
        #expect(speculation.accepted == speculation.tokens)
        await engine.drain(timeout: .seconds(5))
    }

    /// A draft model of fewer tokens and shorter texts guesses what it can.
    @Test func aSmallerDraftModelGuessesWhatItCan() async throws {
        let small = testProgram(gears: [1, 2], maxSequences: 2, maxModelLength: 48, maxBatchedTokens: 7, vocabularySize: 40)
        let requests = (0..<24).map { guessedRequest($0, promptsOf: 40) }
        let plain = try Self.engine(count: nil) { NullModel(program: $0) }
        try await plain.whenServing()
        let engine = try Self.engine(count: 3, draft: { NullModel(program: $0, seed: 3) }, draftProgram: small)
        try await engine.whenServing()
        let (expected, found) = await (answers(plain, atOnce: 4, to: requests), answers(engine, atOnce: 4, to: requests))
        #expect(found == expected)
        #expect(engine.metrics.speculation?.tokens ?? 0 > 20)
        await plain.drain(timeout: .seconds(5))
        await engine.drain(timeout: .seconds(5))
    }

    /// Where the draft model fails, answers go on without it, and the operator is told once.
    @Test func aDraftModelThatFailsIsLeftOut() async throws {
        let lines = Mutex<[EngineNotice]>([])
        let engine = try Self.engine(count: 3, draft: { NullModel(program: $0, seed: 3, failsOnToken: 13) }, log: { line in lines.withLock { $0.append(line) } })
        try await engine.whenServing()
        var request = GenerationRequest(prompt: Prompt(text: [13, 4], axes: 3), maxTokens: 30, ignoresEnd: true, decoder: NumberDecoder())
        request.sampling.temperature = 0
        for _ in 0..<2 { #expect(await engine.run(request).completionTokens == 30) }
        #expect(lines.withLock { $0 } == [.warning("the draft model failed, and guesses nothing any more: token 13 fails on purpose")])
        #expect(engine.metrics.speculation?.tokens == 0 && engine.metrics.failures == 0)
        await engine.drain(timeout: .seconds(5))
    }

    @Test func settingsThatDoNotFitAreErrors() throws {
        func configure(_ count: Int?, draft: Program = testProgram(), keepsStates: Bool = false, bytes: Int? = nil) throws -> EngineConfiguration {
            var options = EngineOptions()
            (options.draft.count, options.kvCacheBytes) = (count, bytes)
            return try EngineConfiguration(program: testProgram(keepsStates: keepsStates), draft: draft, options: options, availableBytes: 1 << 24)
        }
        #expect(try configure(nil).draft?.limits == DraftLimits(count: 3, gears: [1, 2, 4], longest: 256))
        #expect(try configure(1, draft: testProgram(gears: [1, 16], maxSequences: 16, maxModelLength: 99)).draft?.limits == DraftLimits(count: 1, gears: [1, 16], longest: 99))
        for (count, message) in [(4, "--num-speculative-tokens 4 is more than the artifact's greatest gear of 4 rows"), (0, "--num-speculative-tokens 0 must be at least 1")] {
            let error = try #require(throws: ConfigurationError.self) { try configure(count) }
            #expect(error.description.contains(message))
        }
        let states = [
            (try #require(throws: ConfigurationError.self) { try configure(1, keepsStates: true) }, "--speculative-model: the model keeps a state"),
            (try #require(throws: ConfigurationError.self) { try configure(1, draft: testProgram(keepsStates: true)) }, "--speculative-model: the draft model keeps a state"),
        ]
        for (error, message) in states { #expect(error.description.hasPrefix(message), "\(error)") }
        // Both caches are of the bytes that there are.
        let blockBytes = testProgram().kvBlockBytes(blockSize: 64)
        #expect(try configure(1, bytes: 10 * blockBytes).blockCount == 5 && configure(1, bytes: 10 * blockBytes).draft?.blockBytes == blockBytes)
        let error = try #require(throws: ConfigurationError.self) { try configure(1, bytes: blockBytes) }
        #expect(error.description.contains("is less than one block of \(2 * blockBytes) bytes"))
    }
}
