import Execution
import Plan
import Serving
import Synchronization
import Testing

/// What requests show of their computation, and callers that wait for answers.
@Suite struct ProbeTests {
    /// What a probe was shown.
    private final class Shown: Sendable {
        let values = Mutex((images: [Int: [Float]](), prompt: [Float](), steps: [[Float]](), choices: [Int32?]()))

        @Sendable func take(_ finding: Probe.Finding) {
            values.withLock { values in
                switch finding {
                case .image(let index, let embeddings): values.images[index] = embeddings
                case .prompt(let logits): values.prompt += logits
                case .step(let logits, let choice):
                    values.steps.append(logits)
                    values.choices.append(choice)
                case .hidden: break
                }
            }
        }

        var prompt: [Float] { values.withLock { $0.prompt } }
        var steps: [[Float]] { values.withLock { $0.steps } }
        var choices: [Int32?] { values.withLock { $0.choices } }
        var images: [Int: [Float]] { values.withLock { $0.images } }
    }

    private func engine(sequences: Int? = nil, beforeRun: @escaping @Sendable (Entry) -> Void = { _ in }) throws -> Engine {
        let program = testProgram()
        var options = EngineOptions()
        options.maxSequences = sequences
        options.cachesPrefixes = sequences != 1
        let configuration = try EngineConfiguration(program: program, options: options, availableBytes: 1 << 24)
        let engine = Engine(configuration: configuration, log: { _ in }) { NullModel(program: program, beforeRun: beforeRun) }
        try engine.waitUntilServing()
        return engine
    }

    private func ask(
        _ engine: Engine, _ prompt: Prompt, _ continuation: [Int32] = [], count: Int = 1, gears: [Int] = [], whole: Bool = false
    ) throws -> Shown {
        let shown = Shown()
        var request = GenerationRequest(
            prompt: prompt, maxTokens: count, ignoresEnd: true, decoder: NumberDecoder(),
            probe: Probe(continuation: continuation, gears: gears, readsWholePrompt: whole, take: shown.take))
        request.sampling.temperature = 0
        _ = try engine.answer(request)
        return shown
    }

    private let ids: [Int32] = [3, 1, 4, 1, 5, 9, 2, 6, 5]

    @Test func aContinuationStandsForTheChoices() throws {
        let engine = try engine()
        defer { engine.stop() }
        let free = try ask(engine, Prompt(text: ids, axes: 3), count: 3)
        let forced = try ask(engine, Prompt(text: ids, axes: 3), [50, 51], count: 3)
        #expect(forced.steps.count == 3 && forced.steps[0] == free.steps[0] && forced.choices[0] == free.choices[0])
        for taken in 1...2 {
            let prompt = Prompt(text: ids + [50, 51].prefix(taken), axes: 3)
            let behind = try ask(engine, prompt)
            #expect(forced.steps[taken] == behind.steps[0] && forced.choices[taken] == behind.choices[0])
        }
    }

    @Test func gearsTakeTurns() throws {
        let entries = Mutex<[Entry]>([])
        let engine = try engine { entry in entries.withLock { $0.append(entry) } }
        defer { engine.stop() }
        entries.withLock { $0.removeAll() }
        let turned = try ask(engine, Prompt(text: ids, axes: 3), count: 5, gears: [4, 1, 2])
        #expect(entries.withLock { $0 } == [.extend, .decode(gear: 4), .decode(gear: 1), .decode(gear: 2), .decode(gear: 4)])
        #expect(try turned.choices == ask(engine, Prompt(text: ids, axes: 3), count: 5).choices)
    }

    /// Nine tokens are two batches of as many as can be sampled, and one of a single token, which is decoded.
    @Test func everyTokenOfThePromptHasItsLogits() throws {
        let engine = try engine(sequences: 1)
        defer { engine.stop() }
        let whole = try ask(engine, Prompt(text: ids, axes: 3), whole: true)
        #expect(whole.prompt.count == 9 * 61)
        for count in 1...9 {
            let prefix = try ask(engine, Prompt(text: Array(ids.prefix(count)), axes: 3))
            #expect(Array(whole.prompt[(count - 1) * 61..<count * 61]) == prefix.steps[0], "token \(count - 1)")
        }
        #expect(whole.steps == [Array(whole.prompt.suffix(61))])
    }

    /// A span of more tokens than can be sampled at once is computed several times.
    @Test func spansStayWhole() throws {
        let engine = try engine(sequences: 1)
        defer { engine.stop() }
        var prompt = Prompt(text: [3, 1] + Array(repeating: 60, count: 6) + [5], axes: 3)
        prompt.images = [testImage(kind: 1, tokens: 6, at: 2)]
        prompt.spans = [2..<8]
        let plain = try ask(engine, prompt)
        let whole = try ask(engine, prompt, whole: true)
        #expect(whole.prompt.count == 9 * 61 && whole.steps == plain.steps)
        #expect(plain.images[0]?.count == 6 * 5 && plain.images == whole.images)
    }

    /// Nor does the cache hide tokens.
    @Test func wholePromptsNeedNoEngineOfTheirOwn() throws {
        let (engine, alone) = (try engine(), try self.engine(sequences: 1))
        defer {
            engine.stop()
            alone.stop()
        }
        let prompt = Prompt(text: ids + ids + ids, axes: 3)
        let expected = try ask(alone, prompt, whole: true).prompt
        #expect(expected.count == 27 * 61)
        for _ in 0..<2 { #expect(try ask(engine, prompt, whole: true).prompt == expected) }
    }

    @Test func aCallerThatFailsEndsItsRequest() async throws {
        struct Stop: Error {}
        let engine = try engine()
        let request = GenerationRequest(prompt: Prompt(text: ids, axes: 3), maxTokens: 200, ignoresEnd: true, decoder: NumberDecoder())
        #expect(throws: Stop.self) { try engine.answer(request) { _ in throw Stop() } }
        try await engine.whenIdle()
        engine.stop()
        #expect(engine.phase == .stopped)
        #expect(throws: EngineFailure.self) { try engine.waitUntilServing() }
        #expect(throws: AdmissionError.notServing(.stopped)) { try engine.answer(request) }
    }
}
