import Execution
import Plan
import Serving
import Testing

/// Sequences with adapters: how many of them run at once, and that no block of the cache is taken for another adapter's.
@Suite struct AdapterTests {
    private func scheduler(maxAdapters: Int, blocks: Int = 64) -> Scheduler {
        Scheduler(
            Scheduler.Limits(
                gears: [1, 2, 4, 8], maxSequences: 8, maxBatchedTokens: 64, blockSize: 16, blockCount: blocks, maxAdapters: maxAdapters))
    }

    private func sequence(_ id: Int, _ adapter: Int?, count: Int = 4, salt: String = "") -> SequenceState {
        SequenceState(id: id, prompt: (0..<Int32(count)).map { $0 }, salt: salt, adapter: adapter.map(testAdapter))
    }

    private func step(_ scheduler: inout Scheduler) {
        guard let batch = scheduler.nextBatch() else { return }
        #expect(scheduler.violation(before: batch) == nil)
        scheduler.commit()
        for item in batch.items where item.samples { scheduler.append(500, toSequence: item.id) }
        #expect(scheduler.violation() == nil)
    }

    @Test func soManyDifferentOnesRunAtOnce() {
        var scheduler = scheduler(maxAdapters: 2)
        for (id, adapter) in [(1, 0), (2, nil), (3, 1), (4, 0), (5, 2), (6, nil), (7, 1)] as [(Int, Int?)] { scheduler.add(sequence(id, adapter)) }
        step(&scheduler)
        // What waits for a place of its adapter is not overtaken.
        #expect(scheduler.running.map(\.id) == [1, 2, 3, 4] && scheduler.runningAdapters == 2)
        scheduler.remove(1)
        step(&scheduler)
        #expect(scheduler.running.map(\.id) == [2, 3, 4])
        scheduler.remove(4)
        step(&scheduler)
        #expect(scheduler.running.map(\.id) == [2, 3, 5, 6, 7] && scheduler.waiting.isEmpty)
        // The model as it is needs no place.
        var single = self.scheduler(maxAdapters: 1)
        for (id, adapter) in [(1, nil), (2, 1), (3, nil)] as [(Int, Int?)] { single.add(sequence(id, adapter)) }
        step(&single)
        #expect(single.running.map(\.id) == [1, 2, 3])
    }

    @Test func prefixesAreSharedUnderOneAdapterAlone() {
        var scheduler = scheduler(maxAdapters: 3)
        var hits: [Int] = []
        let cases: [(adapter: Int?, salt: String)] = [(nil, ""), (0, ""), (1, ""), (0, ""), (nil, ""), (0, "s"), (0, "s"), (nil, "s")]
        for (id, (adapter, salt)) in cases.enumerated() {
            let before = scheduler.counts.prefixHits
            scheduler.add(sequence(id, adapter, count: 40, salt: salt))
            step(&scheduler)
            scheduler.remove(id)
            hits.append(scheduler.counts.prefixHits - before)
        }
        #expect(hits == [0, 0, 0, 32, 32, 0, 32, 0])
        var first = sequence(1, 0, count: 40), other = SequenceState(id: 2, prompt: first.tokens, adapter: ChosenAdapter(index: 1, digest: testAdapter(0).digest))
        // What tells adapters apart is what they are made of, not their place.
        #expect(first.digest(ofBlock: 1, size: 16) == other.digest(ofBlock: 1, size: 16))
    }

    /// Through the engine: requests between others of other adapters get what they get alone, and the counts end at nothing.
    @Test func answersAreTheAdaptersOwn() async throws {
        let program = testProgram()
        var options = EngineOptions()
        (options.adapters, options.maxAdapters) = (["a", "b", "c"], 2)
        let configuration = try EngineConfiguration(program: program, options: options, availableBytes: 1 << 26)
        let engine = Engine(configuration: configuration, log: { _ in }) { NullModel(program: program) }
        try await engine.whenServing()
        func request(_ adapter: Int?) -> GenerationRequest {
            var request = GenerationRequest(prompt: Prompt(text: Array(1...50), axes: 3), maxTokens: 20, ignoresEnd: true, decoder: NumberDecoder())
            request.sampling.temperature = 0
            request.adapter = adapter.map(testAdapter)
            return request
        }
        var alone: [Int?: String] = [:]
        for adapter in [nil, 0, 1, 2] { alone[adapter] = await engine.run(request(adapter)).text }
        #expect(Set(alone.values).count == 4)
        await withTaskGroup(of: (Int?, String).self) { group in
            for index in 0..<32 {
                let adapter = index % 4 == 3 ? nil : index % 4
                group.addTask { (adapter, await engine.run(request(adapter)).text) }
            }
            for await (adapter, text) in group { #expect(text == alone[adapter], "adapter \(adapter ?? -1)") }
        }
        try await engine.whenIdle()
        #expect(engine.metrics.adapters.map(\.name) == ["a", "b", "c"] && engine.metrics.maxAdapters == 2)
        #expect(engine.metrics.adapters.allSatisfy { $0.running == 0 && $0.waiting == 0 })
        await engine.drain(timeout: .seconds(5))
        options.maxAdapters = 0
        #expect(throws: ConfigurationError.self) { try EngineConfiguration(program: program, options: options, availableBytes: 1 << 26) }
    }
}
