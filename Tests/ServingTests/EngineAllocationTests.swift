import AllocationCounter
import Execution
import Plan
import Serving
import Synchronization
import Testing

private func exchange(_ value: inout Bool, with new: Bool) -> Bool {
    defer { value = new }
    return value
}

/// What the engine's thread allocates between two steps.
@Suite struct EngineAllocationTests {
    /// What the engine's thread has allocated since the model that answers ran, what models allocate left out.
    private final class Count: @unchecked Sendable {
        private var (total, counts) = (0, false)

        /// The count so far; nil before the first run.
        func pause() -> Int? {
            guard counts else { return nil }
            total += Int(allocation_counter_stop())
            return total
        }

        func goOn(from start: Int? = nil) {
            (total, counts) = (start ?? total, true)
            allocation_counter_start()
        }
    }

    /// Counts on the engine's thread from the end of a run to the beginning of the next; runs of a draft model, which nobody is told of, in between.
    private final class CountingModel: LoadedModel {
        private let model: NullModel
        private let count: Count
        private let between: (@Sendable (Entry, Int) -> Void)?

        init(_ model: NullModel, _ count: Count, between: (@Sendable (Entry, Int) -> Void)?) {
            (self.model, self.count, self.between) = (model, count, between)
        }

        var program: Program { model.program }
        var visionOutput: UnsafeBufferPointer<Float> { model.visionOutput }

        func reserveKV(blockSize: Int, blockCount: Int) throws(BackendError) {
            try model.reserveKV(blockSize: blockSize, blockCount: blockCount)
        }
        func makeStepIO(maxBlocks: Int) throws(BackendError) -> StepIO { try model.makeStepIO(maxBlocks: maxBlocks) }
        func copy(_ copies: CacheCopies) { model.copy(copies) }
        var arithmetic: String { model.arithmetic }
        var blockBytes: Int { model.blockBytes }
        func readBlock(_ block: Int32, into buffer: UnsafeMutableRawBufferPointer) { model.readBlock(block, into: buffer) }
        func writeBlock(_ block: Int32, from buffer: UnsafeRawBufferPointer) { model.writeBlock(block, from: buffer) }
        func beginVision(_ input: VisionInput) throws(BackendError) { try model.beginVision(input) }
        func advanceVision(seconds: Double) throws(BackendError) -> Bool { try model.advanceVision(seconds: seconds) }

        func run(_ entry: Entry, _ io: StepIO) throws(BackendError) {
            let found = count.pause()
            if let found { between?(entry, found) }
            try model.run(entry, io)
            if between != nil { count.goOn(from: 0) } else if found != nil { count.goOn() }
        }
    }

    /// Text that takes no memory, so that the engine's own remains.
    private struct Silent: TokenTextDecoder {
        mutating func append(_ token: Int32) -> String { "" }
        mutating func finish() -> String { "" }
    }

    /// What grows with a sequence takes its memory before the first step: nothing may depend on how an array grows, which the
    /// allocator's state decides. A block of the cache that is full is written down under its digest, and stored where blocks are.
    @Test(arguments: [false, true], [false, true]) func decodingAllocatesNothing(samples: Bool, stores: Bool) async throws {
        let found = Mutex<[(entry: Entry, allocations: Int)]>([])
        let program = testProgram(vocabularySize: 3001)
        var options = EngineOptions()
        options.adapters = ["a", "b", "c"]
        // Runs of so many tokens come once: looking for them takes nothing.
        options.lookup = PromptLookup(count: 3, runs: 5...8)
        let folder = TemporaryFolder()
        if stores { options.blockStore = BlockStore(directory: folder.path) }
        let configuration = try EngineConfiguration(program: program, options: options, availableBytes: 1 << 24)
        // The operator's line of every ten busy seconds is made of texts.
        let logged = Mutex(false)
        let engine = Engine(configuration: configuration, log: { _ in logged.withLock { $0 = true } }) {
            CountingModel(NullModel(program: program), Count()) { entry, count in
                let isLine = logged.withLock { exchange(&$0, with: false) }
                found.withLock { $0.append((entry, isLine ? 0 : count)) }
            }
        }
        try await engine.whenServing()
        found.withLock { $0.reserveCapacity(1000) }
        let prompt = Prompt(text: [1, 2, 3], axes: 3)
        var request = GenerationRequest(prompt: prompt, maxTokens: 200, ignoresEnd: true, decoder: Silent())
        if samples {
            request.adapter = testAdapter(1)
            (request.sampling.topK, request.sampling.topP, request.sampling.repetitionPenalty) = (20, 0.9, 1.1)
            (request.sampling.presencePenalty, request.sampling.frequencyPenalty) = (0.5, 0.2)
            request.rules.biases = [TokenRules.Bias(token: 5, value: 2)]
            request.rules.allowed = Array(10..<2990)
            request.rules.barred = [[3], [4, 5, 6]]
            request.rules.minTokens = 100
        } else {
            request.sampling.temperature = 0
        }
        // What a process takes once, such as the types of generic code, the first request takes.
        _ = await engine.run(request)
        found.withLock { $0.removeAll(keepingCapacity: true) }
        let outcome = await engine.run(request)
        #expect(outcome.completionTokens == 200)
        // The first is what came before the prompt, the second what came between prompt and decoding.
        let counts = found.withLock { $0 }
        #expect(counts.count == 200 && counts.dropFirst().allSatisfy { $0.entry == .decode(gear: 1) })
        for (index, count) in counts.enumerated().dropFirst(2) {
            let computed = prompt.ids.count + index - 1
            let most = computed % configuration.blockSize == 0 ? 2 : 0
            #expect(count.allocations <= most, "\(count.allocations) with \(computed) tokens in the cache")
        }
        await engine.drain(timeout: .seconds(1))
    }

    /// The same with a draft model, whose steps come between, whether its guesses come true or not: nothing but the digests of blocks that are full.
    @Test(arguments: [1, 2] as [UInt64]) func draftingAllocatesNothing(seed: UInt64) async throws {
        let found = Mutex<[Int]>([])
        let program = testProgram(vocabularySize: 3001)
        var options = EngineOptions()
        (options.draft.count, options.weighsTimes) = (3, false)
        let configuration = try EngineConfiguration(program: program, draft: program, options: options, availableBytes: 1 << 24)
        let logged = Mutex(false), count = Count()
        let engine = Engine(
            configuration: configuration, log: { _ in logged.withLock { $0 = true } },
            load: {
                CountingModel(NullModel(program: program), count) { entry, count in
                    let isLine = logged.withLock { exchange(&$0, with: false) }
                    found.withLock { $0.append(isLine ? 0 : count) }
                }
            }
        ) { _ in CountingModel(NullModel(program: program, seed: seed), count, between: nil) }
        try await engine.whenServing()
        found.withLock { $0.reserveCapacity(1000) }
        var request = GenerationRequest(prompt: Prompt(text: [1, 2, 3], axes: 3), maxTokens: 200, ignoresEnd: true, decoder: Silent())
        request.sampling.temperature = 0
        _ = await engine.run(request)
        found.withLock { $0.removeAll(keepingCapacity: true) }
        #expect(await engine.run(request).completionTokens == 200)
        let counts = found.withLock { $0.dropFirst(2) }
        let speculation = try #require(engine.metrics.speculation)
        #expect((seed == 1 ? speculation.accepted == speculation.tokens : speculation.accepted < 5) && (40...200).contains(counts.count), "\(speculation)")
        #expect(counts.allSatisfy { $0 <= 2 } && counts.reduce(0, +) <= 2 * (203 / configuration.blockSize), "\(counts)")
        await engine.drain(timeout: .seconds(1))
    }
}
