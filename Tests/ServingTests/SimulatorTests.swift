import Execution
import Plan
import Seeded
import Serving
import Testing

/// Random arrivals, cancellations and little cache: whatever happens, each request's text is what it is alone.
@Suite struct SimulatorTests {
    struct Scene: Sendable, CustomTestStringConvertible {
        var seed: UInt64
        var blockSize = 16
        var blockCount = 64
        var cachesPrefixes = true
        var gears = [1, 2, 4]
        var maxSequences = 4
        var maxBatchedTokens = 32
        var imageCacheBytes = 1 << 20
        var keepsStates = false
        /// Sequences that the engine runs at once, of those of the program.
        var served: Int?
        var lookup: PromptLookup?
        /// A draft model, how many tokens it guesses, and whether it is the model itself.
        var draft: (count: Int, isItself: Bool)?
        /// Different adapters at once, of the three that requests have.
        var maxAdapters = 2

        var testDescription: String {
            "seed \(seed), \(blockCount) blocks of \(blockSize), prefixes \(cachesPrefixes), gears \(gears), states \(keepsStates), guesses \(lookup?.count ?? 0), drafts \(draft?.count ?? 0)"
        }
    }

    static let scenes: [Scene] = [
        Scene(seed: 1),
        Scene(seed: 2, cachesPrefixes: false),
        Scene(seed: 3, blockCount: 16),
        Scene(seed: 4, blockCount: 16, cachesPrefixes: false),
        Scene(seed: 5, blockSize: 32, blockCount: 8, gears: [4]),
        Scene(seed: 6, blockSize: 128, blockCount: 2),
        Scene(seed: 7, blockSize: 64, blockCount: 5, gears: [1, 2], maxSequences: 2, maxBatchedTokens: 7),
        Scene(seed: 8, blockCount: 17, gears: [1, 3, 8], maxSequences: 8, maxBatchedTokens: 8, imageCacheBytes: 0),
        Scene(seed: 9, blockCount: 20, gears: [1], maxSequences: 1, maxBatchedTokens: 1),
        Scene(seed: 10, keepsStates: true, maxAdapters: 1),
        Scene(seed: 11, blockCount: 16, gears: [1, 3, 8], maxSequences: 8, keepsStates: true),
        Scene(seed: 12, served: 2, lookup: PromptLookup(count: 3, runs: 1...3)),
        Scene(seed: 13, blockCount: 16, gears: [1, 3, 8], maxSequences: 8, lookup: PromptLookup(count: 5, runs: 1...4)),
        Scene(seed: 14, blockCount: 20, gears: [1, 2, 4, 8], maxSequences: 8, served: 2, lookup: PromptLookup(count: 4, runs: 1...2)),
        Scene(seed: 15, blockCount: 17, cachesPrefixes: false, gears: [8], maxSequences: 8, maxBatchedTokens: 8, served: 4, lookup: PromptLookup(count: 7, runs: 2...2)),
        Scene(seed: 16, gears: [1, 2, 4, 8], maxSequences: 8, served: 3, draft: (4, true)),
        Scene(seed: 17, blockCount: 17, gears: [1, 3, 8], maxSequences: 8, draft: (5, true)),
        Scene(seed: 18, blockCount: 18, gears: [1, 2, 4, 8], maxSequences: 8, served: 4, draft: (3, false)),
        Scene(seed: 19, blockCount: 17, cachesPrefixes: false, gears: [8], maxSequences: 8, maxBatchedTokens: 8, served: 2, draft: (7, true)),
    ]

    /// - Parameter store: where blocks are kept; nil for nowhere.
    func engine(_ scene: Scene, alone: Bool = false, store: BlockStore? = nil) throws -> Engine {
        let program = testProgram(
            gears: scene.gears, maxSequences: scene.maxSequences, maxBatchedTokens: scene.maxBatchedTokens,
            keepsStates: scene.keepsStates)
        var options = EngineOptions()
        options.blockSize = scene.blockSize
        if !scene.keepsStates { options.cachesPrefixes = alone ? false : scene.cachesPrefixes }
        options.imageCacheBytes = scene.imageCacheBytes
        options.maxSequences = scene.served
        if !alone { options.lookup = scene.lookup }
        options.weighsTimes = false
        options.blockStore = store
        (options.adapters, options.maxAdapters) = (["a", "b", "c"], scene.maxAdapters)
        let draft = alone ? nil : scene.draft
        // Its cache has as many blocks, and so has half of the bytes.
        let blockBytes = program.kvBlockBytes(blockSize: scene.blockSize) * (draft == nil ? 1 : 2)
        options.kvCacheBytes = (alone ? 64 : scene.blockCount) * blockBytes
        options.draft.count = draft?.count
        let configuration = try EngineConfiguration(program: program, draft: draft.map { _ in program }, options: options, availableBytes: 1 << 30)
        let draftSeed: UInt64 = draft?.isItself == false ? 10 : 9
        return Engine(configuration: configuration, log: { _ in }, load: { NullModel(program: program, seed: 9) }) { _ in
            NullModel(program: program, seed: draftSeed)
        }
    }

    func requests(_ scene: Scene, count: Int) -> [GenerationRequest] {
        var dice = Dice(scene.seed)
        let shared = (0..<40).map { Int32($0 % 50 + 1) }
        return (0..<count).map { index in
            let prefix = index % 3 == 0 ? Array(shared.prefix(16 + index % 20)) : []
            let hasSpans = scene.maxBatchedTokens - scene.maxSequences >= 12 && index % 8 == 1
            var request = randomRequest(&dice, sharedPrefix: prefix, images: index % 4 == 1 ? 1 + index % 3 : 0, hasSpans: hasSpans)
            if scene.seed % 2 == 0 { request.priority = index % 3 - 1 }
            if index % 6 == 2 || hasSpans, !(hasSpans && scene.keepsStates) { request.promptLogprobs = index % 4 }
            // Answers of few tokens repeat themselves.
            if index % 3 == 0, scene.lookup != nil || scene.draft != nil { request.rules.allowed = [11, 20, 30] }
            // Positions of texts, as a draft model counts them.
            if scene.draft != nil {
                (request.prompt.positions, request.prompt.positionDelta) = (Prompt(text: request.prompt.ids, axes: 3).positions, 0)
            }
            if index % 5 == 4 { request.logprobs = index % 3 }
            if index % 5 < 3, index % 2 == 0 { request.adapter = testAdapter(index % 5) }
            // The prompt alone.
            if index % 20 == 5 { (request.maxTokens, request.rules.minTokens) = (0, 0) }
            return request
        }
    }

    @Test(arguments: scenes) func everyTextIsWhatItIsAlone(scene: Scene) async throws {
        let requests = requests(scene, count: 40)
        let single = try engine(scene, alone: true)
        try await single.whenServing()
        var expected: [Outcome] = []
        for request in requests { expected.append(await single.run(request)) }
        for (request, outcome) in zip(requests, expected) {
            #expect(outcome.prompt.map(\.choice.chosen.token) == (request.promptLogprobs == nil ? [] : Array(request.prompt.ids.dropFirst())))
            if request.maxTokens == 0 { #expect(outcome.text.isEmpty && outcome.reason == .length && outcome.completionTokens == 0) }
        }
        await single.drain(timeout: .seconds(5))

        let busy = try engine(scene)
        try await busy.whenServing()
        try await withThrowingTaskGroup(of: (Int, Outcome?).self) { group in
            for (index, request) in requests.enumerated() {
                group.addTask {
                    try await Task.sleep(for: .microseconds(Int(scene.seed) * index * 37 % 3000))
                    if index % 7 == 3 { return (index, await busy.runAndLeave(request, after: index % 5)) }
                    return (index, await busy.run(request))
                }
            }
            for try await (index, outcome) in group {
                if let outcome { #expect(outcome == expected[index], "request \(index)") }
            }
        }
        try await busy.whenIdle()
        #expect(busy.metrics.kvUsage == 0)
        #expect(busy.metrics.running == 0 && busy.metrics.waiting == 0)
        #expect(scene.keepsStates ? busy.metrics.prefixQueries == 0 : true)
        if scene.blockCount == 16 { #expect(busy.metrics.preemptions > 0) }
        #expect(scene.lookup == nil && scene.draft == nil || busy.metrics.speculation?.accepted ?? 0 > 0)
        await busy.drain(timeout: .seconds(5))
        #expect(busy.phase == .stopped)
    }

    /// Several answers to one prompt, each what it is alone, whoever else runs and leaves.
    @Test(arguments: scenes) func everyBranchIsWhatItIsAlone(scene: Scene) async throws {
        let groups = requests(scene, count: 16).enumerated().map { GenerationGroup($1, count: 1 + $0 % 4) }
        let single = try engine(scene, alone: true)
        try await single.whenServing()
        #expect(await single.run(groups[1].request) == single.run(groups[1])[0], "the first answer is the one of a request alone")
        await single.drain(timeout: .seconds(5))
        try await areAsAlone(groups, scene, leave: { $0 % 6 == 5 }) { _, busy, group in
            if let events = try? busy.submit([group]).events { for await _ in events { break } }
        }
    }
}

extension SimulatorTests {
    /// Searches between other requests: each finds what it finds alone, whatever the cache's shortage puts off.
    @Test(arguments: scenes.filter { $0.maxSequences > 1 }) func everySearchFindsWhatItFindsAlone(scene: Scene) async throws {
        let groups = requests(scene, count: 24).enumerated().map { index, request in
            var request = request
            let width = 2 + index % ((scene.served ?? scene.maxSequences) - 1)
            guard index % 3 != 2, request.maxTokens > 0, fits(request, width: width, scene) else { return GenerationGroup(request, count: 1 + index % 2) }
            request.beams = BeamParameters(width: width)
            request.beams?.earlyStopping = [.atOnce, .unlessBetter, .never][index % 3]
            request.beams?.lengthPenalty = [1, 0, 2.5, -1][index % 4]
            return GenerationGroup(request, count: 1 + index % width)
        }
        #expect(groups.count(where: { $0.request.beams != nil }) >= 4)
        try await areAsAlone(groups, scene, leave: { $0 % 7 == 4 }) { index, busy, group in
            guard let generation = try? busy.submit([group]) else { return }
            try? await Task.sleep(for: .microseconds(index * 150))
            generation.cancel()
            for await _ in generation.events {}
        }
    }

    /// Each group's answers are those that it gets alone, but for those that leave, and nothing is left behind.
    private func areAsAlone(
        _ groups: [GenerationGroup], _ scene: Scene, leave: @Sendable @escaping (Int) -> Bool,
        _ leaving: @Sendable @escaping (Int, Engine, GenerationGroup) async -> Void
    ) async throws {
        let single = try engine(scene, alone: true)
        try await single.whenServing()
        var expected: [[Outcome]] = []
        for group in groups { expected.append(await single.run(group)) }
        await single.drain(timeout: .seconds(5))

        let busy = try engine(scene)
        try await busy.whenServing()
        await withTaskGroup(of: (Int, [Outcome]?).self) { tasks in
            for (index, group) in groups.enumerated() {
                tasks.addTask {
                    guard leave(index) else { return (index, await busy.run(group)) }
                    await leaving(index, busy, group)
                    return (index, nil)
                }
            }
            for await (index, outcomes) in tasks where outcomes != nil { #expect(outcomes == expected[index], "group \(index)") }
        }
        try await busy.whenIdle()
        #expect(busy.metrics.kvUsage == 0 && busy.metrics.running == 0 && busy.metrics.waiting == 0 && busy.inFlight == 0)
        await busy.drain(timeout: .seconds(5))
    }

    /// Whether beams up to their greatest length have room in the cache together.
    private func fits(_ request: GenerationRequest, width: Int, _ scene: Scene) -> Bool {
        let longest = request.prompt.ids.count + request.maxTokens
        let shared = scene.keepsStates ? 0 : (request.prompt.ids.count - 1) / scene.blockSize
        return shared + width * ((longest + scene.blockSize - 1) / scene.blockSize - shared) <= scene.blockCount
    }
}

/// What a client saw.
struct Outcome: Equatable {
    var prompt: [PromptToken] = []
    var choices: [TokenChoice] = []
    var text = ""
    var reason: FinishReason?
    var completionTokens = 0
    var failure: String?
}

extension Engine {
    func whenServing() async throws {
        while phase != .serving {
            if case .failed(let why) = phase { throw TestFailure(why) }
            try await Task.sleep(for: .milliseconds(1))
        }
    }

    func whenIdle() async throws {
        while inFlight > 0 || metrics.running > 0 { try await Task.sleep(for: .milliseconds(1)) }
    }

    func run(_ request: GenerationRequest) async -> Outcome {
        var outcome = Outcome()
        do {
            for await event in try submit(request).events {
                switch event {
                case .token(let choice): outcome.choices.append(choice)
                case .prompt(let tokens): outcome.prompt += tokens
                case .text(let text, _): outcome.text += text
                case .finished(let completion):
                    outcome.reason = completion.reason
                    outcome.completionTokens = completion.usage.completionTokens
                case .failed(let why): outcome.failure = why.description
                }
            }
        } catch {
            outcome.failure = "\(error)"
        }
        return outcome
    }

    func run(_ group: GenerationGroup) async -> [Outcome] {
        var outcomes = Array(repeating: Outcome(), count: group.count)
        do {
            for await item in try submit([group]).events {
                switch item.event {
                case .token(let choice): outcomes[item.branch].choices.append(choice)
                case .prompt(let tokens): outcomes[item.branch].prompt += tokens
                case .text(let text, _): outcomes[item.branch].text += text
                case .finished(let completion):
                    outcomes[item.branch].reason = completion.reason
                    outcomes[item.branch].completionTokens = completion.usage.completionTokens
                case .failed(let why): outcomes[item.branch].failure = why.description
                }
            }
        } catch {
            outcomes[0].failure = "\(error)"
        }
        return outcomes
    }

    /// Goes away after `count` events; nil.
    func runAndLeave(_ request: GenerationRequest, after count: Int) async -> Outcome? {
        guard let events = try? submit(request).events else { return nil }
        var seen = 0
        for await _ in events {
            seen += 1
            if seen >= count { break }
        }
        return nil
    }
}

struct TestFailure: Error {
    var message: String
    init(_ message: String) { self.message = message }
}
