import Execution
import Plan
import Serving
import Synchronization
import Tensors
import Testing

/// Heads that guess tokens from the hidden states of the model that answers. `NullModel` as a head knows what the model would say, if it is shown the right
/// rows and its cache holds them: what does not come true is then the fault of the books.
@Suite struct DraftHeadTests {
    /// The model's program with inner states that it leaves, and the head's, which reads them.
    private static func programs(maxModelLength: Int = 256, width: Int = 5) -> (model: Program, head: Program) {
        let inner = TensorType(.f32, ["T", .fixed(width)])
        let left = ExecutionPlan(
            entry: .extend, outputs: [.init(name: "logits", type: inner), .init(name: "hidden", type: inner), .init(name: ExecutionPlan.innerStatesName, type: inner)],
            steps: [], bounds: [:], arenaBytes: 0, unsharedBytes: 0)
        let read = Step(.rmsNorm(eps: 1), inputs: [Slot(.input(.innerStates), TensorType(.f32, ["T", 5]))], outputs: [], origin: "fc")
        var model = testProgram(gears: [1, 2, 4, 8, 16], maxSequences: 16)
        var head = testProgram(gears: [1, 2, 4, 8, 16], maxSequences: 16, maxModelLength: maxModelLength)
        model.plans.append(left)
        head.plans.append(ExecutionPlan(entry: .extend, outputs: [], steps: [read], bounds: [:], arenaBytes: 0, unsharedBytes: 0))
        return (model, head)
    }

    private static func engine(
        count: Int?, seed: UInt64 = 3, sequences: Int = 8, blocks: Int = 64, weighs: Bool = false, failsOnToken: Int32? = nil, tokens: [Int32] = [],
        log: @escaping @Sendable (EngineNotice) -> Void = { _ in }
    ) throws -> Engine {
        let (program, head) = programs()
        var options = EngineOptions()
        (options.draft.count, options.weighsTimes, options.blockSize, options.maxSequences) = (count, weighs, 16, sequences)
        options.draft.tokens = tokens
        options.kvCacheBytes = blocks * program.kvBlockBytes(blockSize: 16) * (count == nil ? 1 : 2)
        let configuration = try EngineConfiguration(program: program, draft: count.map { _ in head }, options: options, availableBytes: 1 << 24)
        return Engine(configuration: configuration, log: log, load: { NullModel(program: program, seed: 3) }) { _ in
            NullModel(program: head, seed: seed, failsOnToken: failsOnToken)
        }
    }

    /// Each answer, and its log probabilities, is what it is without a head, whether the head is right or wrong, and whether times are weighed.
    @Test(arguments: [(1, 3, false), (4, 3, false), (4, 4, false), (4, 3, true)]) func answersAreTheSame(atOnce: Int, seed: UInt64, weighs: Bool) async throws {
        let requests = (0..<40).map { guessedRequest($0, promptsOf: 70) }
        let plain = try Self.engine(count: nil)
        try await plain.whenServing()
        let expected = await answers(plain, atOnce: 1, to: requests)
        await plain.drain(timeout: .seconds(5))
        let engine = try Self.engine(count: 4, seed: seed, weighs: weighs)
        try await engine.whenServing()
        let found = await answers(engine, atOnce: atOnce, to: requests)
        for index in requests.indices { #expect(found[index] == expected[index], "request \(index)") }
        let speculation = try #require(engine.metrics.speculation)
        let share = Double(speculation.accepted) / Double(max(speculation.tokens, 1))
        if !weighs { #expect(speculation.drafts > 300 && (seed == 3 ? (0.2...0.6).contains(share) : share < 0.1), "\(speculation)") }
        await engine.drain(timeout: .seconds(5))
    }

    /// Greedy answers are what the head guesses, whatever is preempted, cancelled, read from cached prefixes or read again: every row that it needs is there.
    @Test(arguments: [64, 18, 9]) func aHeadThatKnowsIsAlwaysRight(blocks: Int) async throws {
        let engine = try Self.engine(count: 4, sequences: 5, blocks: blocks)
        try await engine.whenServing()
        await withTaskGroup(of: Void.self) { group in
            for index in 0..<48 {
                group.addTask {
                    var request = guessedRequest(2 * (index % 20), promptsOf: 70)
                    (request.rules.allowed, request.priority) = (nil, index % 3)
                    request.maxTokens = 20 + 3 * index % 70
                    if index % 5 == 3 { _ = await engine.runAndLeave(request, after: index % 7) } else { _ = await engine.run(request) }
                }
            }
        }
        try await engine.whenIdle()
        let speculation = try #require(engine.metrics.speculation)
        #expect(speculation.drafts > 100 && speculation.accepted == speculation.tokens, "\(speculation)")
        #expect(engine.metrics.prefixHits > 0 && (blocks > 9 || engine.metrics.preemptions > 0))
        await engine.drain(timeout: .seconds(5))
    }

    /// Several answers to one prompt share its blocks, and beams fork: a head goes along, and guesses nothing for beams.
    @Test func headsGoAlongWithForks() async throws {
        var outcomes: [[Outcome]] = []
        for count in [nil, 3] {
            let engine = try Self.engine(count: count)
            try await engine.whenServing()
            var found: [Outcome] = []
            for length in [5, 33, 64] {
                var request = GenerationRequest(
                    prompt: Prompt(text: (0..<Int32(length)).map { $0 % 7 + 1 }, axes: 3), maxTokens: 25, ignoresEnd: true, decoder: NumberDecoder())
                (request.sampling.temperature, request.sampling.seed) = (1, 9)
                found += await engine.run(GenerationGroup(request, count: 3))
                request.beams = BeamParameters(width: 3)
                found += await engine.run(GenerationGroup(request, count: 2))
            }
            outcomes.append(found)
            if count != nil { #expect(engine.metrics.speculation?.tokens ?? 0 > 50) }
            await engine.drain(timeout: .seconds(5))
        }
        #expect(outcomes[0] == outcomes[1] && Set(outcomes[0].map(\.text)).count > 6 && outcomes[0].allSatisfy { $0.failure == nil })
    }

    /// Of its own tokens others than the model's: none comes true where they are all wrong.
    @Test func tokensAreThoseOfTheTable() async throws {
        for (table, share) in [((0..<61).map(Int32.init), 1.0), ((0..<61).map { Int32(60 - $0) }, 0.1)] {
            let engine = try Self.engine(count: 3, tokens: table)
            try await engine.whenServing()
            var request = GenerationRequest(prompt: Prompt(text: [3, 4], axes: 3), maxTokens: 60, ignoresEnd: true, decoder: NumberDecoder())
            request.sampling.temperature = 0
            #expect(await engine.run(request).completionTokens == 60)
            let speculation = try #require(engine.metrics.speculation)
            #expect(speculation.tokens > 10 && (share == 1) == (speculation.accepted == speculation.tokens), "\(speculation)")
            await engine.drain(timeout: .seconds(5))
        }
    }

    @Test func aHeadThatFailsIsLeftOut() async throws {
        let lines = Mutex<[EngineNotice]>([])
        let engine = try Self.engine(count: 3, failsOnToken: 13, log: { line in lines.withLock { $0.append(line) } })
        try await engine.whenServing()
        var request = GenerationRequest(prompt: Prompt(text: [4, 13, 4], axes: 3), maxTokens: 30, ignoresEnd: true, decoder: NumberDecoder())
        request.sampling.temperature = 0
        for _ in 0..<2 { #expect(await engine.run(request).completionTokens == 30) }
        #expect(lines.withLock { $0 } == [.warning("the draft model failed, and guesses nothing any more: token 13 fails on purpose")])
        #expect(engine.metrics.speculation?.tokens == 0 && engine.metrics.failures == 0)
        await engine.drain(timeout: .seconds(5))
    }

    @Test func headsThatDoNotFitAreErrors() throws {
        func message(_ model: Program, _ head: Program, tokens: [Int32] = []) -> String {
            var options = EngineOptions()
            (options.draft.count, options.draft.tokens) = (3, tokens)
            do throws(ConfigurationError) {
                _ = try EngineConfiguration(program: model, draft: head, options: options, availableBytes: 1 << 24)
                return "none"
            } catch { return error.description }
        }
        let (model, head) = Self.programs()
        #expect(message(model, head) == "none")
        #expect(message(testProgram(), head).contains("the head reads 5 numbers of each token of the model, which gives 0"))
        #expect(message(Self.programs(width: 6).model, head).contains("which gives 6"))
        #expect(message(model, head, tokens: [1]).contains("the head has 61 tokens, and says of 1"))
        #expect(message(model, Self.programs(maxModelLength: 100).head).contains("compile the head again with --max-model-len 256"))
    }
}
