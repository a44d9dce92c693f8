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
    /// Counts on the engine's thread from the end of a run to the beginning of the next.
    private final class CountingModel: LoadedModel {
        private let model: NullModel
        private let between: @Sendable (Entry, Int) -> Void
        private var counts = false

        init(_ model: NullModel, between: @escaping @Sendable (Entry, Int) -> Void) {
            (self.model, self.between) = (model, between)
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
        func advanceVision(budget: Double) throws(BackendError) -> Bool { try model.advanceVision(budget: budget) }

        func run(_ entry: Entry, _ io: StepIO) throws(BackendError) {
            if counts { between(entry, Int(allocation_counter_stop())) }
            try model.run(entry, io)
            counts = true
            allocation_counter_start()
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
            CountingModel(NullModel(program: program)) { entry, count in
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
}
