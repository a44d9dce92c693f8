import Execution
import Foundation
import Serving
import Synchronization
import Testing

@Suite struct BeamSearchTests {
    @Test func scoresCountThePromptButNotTheEnd() {
        var beams = BeamParameters(width: 2)
        #expect(beams.score(-6, length: 12) == -0.5 && beams.score(0, length: 3) == 0)
        beams.lengthPenalty = 0
        #expect(beams.score(-6, length: 12) == -6)
        beams.lengthPenalty = 2
        #expect(beams.score(-6, length: 2) == -1.5)
        beams.lengthPenalty = -1
        #expect(beams.score(-6, length: 2) == -12)
    }

    private func search(_ penalty: Double, _ stopping: BeamParameters.EarlyStopping) -> BeamSearch<String> {
        var parameters = BeamParameters(width: 2)
        (parameters.lengthPenalty, parameters.earlyStopping) = (penalty, stopping)
        return BeamSearch(parameters, longest: 100)
    }

    private func child(_ name: String, _ sum: Double, length: Int, ended: Bool) -> BeamChild<String> {
        BeamChild(answer: name, parent: 1, sum: sum, length: length, hasEnded: ended)
    }

    @Test func theLikeliestOfAllBeamsTakePart() {
        let found = search(1, .never).candidates([(-1, [-0.5, -2, -4]), (-2, [-0.1, -0.2, -0.5]), (-9, [-0.1])])
        #expect(found.map { [$0.beam, $0.place] } == [[0, 0], [1, 0], [1, 1], [1, 2]])
        let ties = search(1, .never).candidates([(-1, [-1, -1, -1]), (-1, [-1, -1, -1])])
        #expect(ties.map { [$0.beam, $0.place] } == [[0, 0], [0, 1], [0, 2], [1, 0]], "of equal ones the first")
    }

    /// What two ended beams and one that goes on come to, by the penalty and what the request wants of the end.
    @Test(arguments: [
        // Worse than both as it is, and as long as it may become.
        (-2.5, 0, .unlessBetter, true), (-2.5, 0, .never, true),
        // Better than the worst.
        (-1.5, 0, .unlessBetter, false), (-1.5, 0, .never, false), (-1.5, 0, .atOnce, true),
        // Worse by its length now, -3 / 11 against -2 / 10; better if it were as long as may be.
        (-3, 1, .unlessBetter, true), (-3, 1, .never, false),
        // Shorter ones are better: no length helps.
        (-3, -1, .never, true),
    ] as [(Double, Double, BeamParameters.EarlyStopping, Bool)])
    func aFullSearchEnds(sum: Double, penalty: Double, stopping: BeamParameters.EarlyStopping, isOver: Bool) {
        var search = search(penalty, stopping)
        let going = search.advance([child("a", -1, length: 10, ended: true), child("b", -2, length: 10, ended: true), child("c", sum, length: 11, ended: false)])
        #expect(going.map(\.answer) == (isOver ? [] : ["c"]))
        #expect(search.ended.map(\.answer) == ["a", "b"])
    }

    @Test func theBestOfAllThatHaveEndedAreKept() {
        var search = search(0, .unlessBetter)
        var going = search.advance([
            child("a", -3, length: 5, ended: true), child("b", -1, length: 5, ended: false), child("c", -0.5, length: 5, ended: false),
            child("d", -2, length: 5, ended: false),
        ])
        #expect(going.map(\.answer) == ["c", "b"], "one that has ended is too few")
        going = search.advance([child("e", -1.5, length: 6, ended: true), child("f", -3, length: 6, ended: true), child("g", -1.2, length: 6, ended: false)])
        #expect(going.map(\.answer) == ["g"] && search.ended.map(\.answer) == ["e", "a"])
        going = search.advance([child("h", -1.3, length: 7, ended: true)])
        #expect(going.isEmpty && search.ended.map(\.answer) == ["h", "e"] && search.ended.map(\.score) == [-1.3, -1.5])
    }

    /// Few tokens and as many beams as there are beginnings: the search looks at every text, and finds the likeliest of all.
    @Test(arguments: [0, 1, 3.0], [false, true]) func wideSearchesFindTheLikeliestOfAllTexts(penalty: Double, hasEnd: Bool) async throws {
        let program = testProgram(gears: [1, 4, 9], maxSequences: 9)
        let configuration = try EngineConfiguration(program: program, options: EngineOptions(), availableBytes: 1 << 24)
        let engine = Engine(configuration: configuration, log: { _ in }) { NullModel(program: program, seed: 5) }
        try await engine.whenServing()
        let tokens: [Int32] = [3, 5, 7], prompt = Prompt(text: [1, 2, 3, 4], axes: 3)
        var request = GenerationRequest(prompt: prompt, maxTokens: 3, endTokens: hasEnd ? [7] : [], decoder: NumberDecoder())
        request.sampling.temperature = 0
        request.rules.allowed = tokens
        request.rules.biases = [.init(token: 5, value: 0.25)]
        request.logprobs = 0
        var texts: [[Int32]] = [[]]
        for _ in 0..<3 { texts = texts.flatMap { text in hasEnd && text.last == 7 ? [text] : tokens.map { text + [$0] } } }
        var scored: [(text: [Int32], score: Double)] = []
        var parameters = BeamParameters(width: 9)
        (parameters.lengthPenalty, parameters.earlyStopping) = (penalty, .never)
        for text in texts {
            let sum = await Self.sum(of: text, tokens, request, engine)
            scored.append((text, parameters.score(sum, length: 4 + text.count - (hasEnd && text.last == 7 ? 1 : 0))))
        }
        scored.sort { $0.score > $1.score }
        request.beams = parameters
        let found = await engine.run(GenerationGroup(request, count: 9))
        let shown = scored.prefix(9).map { $0.text.filter { !(hasEnd && $0 == 7) }.map { "\($0) " }.joined() }
        #expect(texts.count == (hasEnd ? 15 : 27) && found.map(\.text) == shown, "\(found.map(\.text))")
        #expect(found.map(\.reason) == scored.prefix(9).map { hasEnd && $0.text.last == 7 ? .stop : .length })
        #expect(found.map(\.completionTokens) == scored.prefix(9).map(\.text.count))
        // Fewer are shown of as many beams.
        #expect(await engine.run(GenerationGroup(request, count: 2)) == Array(found.prefix(2)))
        await engine.drain(timeout: .seconds(5))
        #expect(engine.inFlight == 0 && engine.metrics.kvUsage == 0)
    }

    /// The log probability of a text, from what a single answer that is made to write it is shown.
    private static func sum(of text: [Int32], _ tokens: [Int32], _ request: GenerationRequest, _ engine: Engine) async -> Double {
        let steps = Mutex<[[Float]]>([])
        var request = request
        request.probe = Probe(continuation: text) { finding in
            if case .step(let logits, _) = finding { steps.withLock { $0.append(logits) } }
        }
        _ = await engine.run(request)
        return zip(text, steps.withLock { $0 }).reduce(0) { sum, pair in
            func value(_ token: Int32) -> Double { Double(pair.1[Int(token)]) + (token == 5 ? 0.25 : 0) }
            return sum + value(pair.0) - log(tokens.reduce(0) { $0 + exp(value($1)) })
        }
    }

    @Test func whatTheEngineCannotSearchIsRefused() async throws {
        let program = testProgram()
        var options = EngineOptions()
        options.blockSize = 16
        options.kvCacheBytes = 12 * program.kvBlockBytes(blockSize: 16)
        let configuration = try EngineConfiguration(program: program, options: options, availableBytes: 1 << 24)
        let engine = Engine(configuration: configuration, log: { _ in }) { NullModel(program: program) }
        try await engine.whenServing()
        var request = GenerationRequest(prompt: Prompt(text: Array(1...40), axes: 3), maxTokens: 100, decoder: NumberDecoder())
        request.beams = BeamParameters(width: 5)
        #expect(throws: AdmissionError.tooManyBeams(width: 5, limit: 4)) { try engine.submit(request) }
        request.beams = BeamParameters(width: 2)
        #expect(throws: AdmissionError.beamsTooLong(width: 2, tokens: 140, capacity: 192)) { try engine.submit(request) }
        // Two full blocks of the prompt, and twice five behind them.
        request.maxTokens = 72
        request.ignoresEnd = true
        #expect(await engine.run(GenerationGroup(request, count: 2)).map(\.completionTokens) == [72, 72])
        // One text is all that may follow.
        request.rules.allowed = [5]
        let outcome = await engine.run(GenerationGroup(request, count: 2))
        #expect(outcome.allSatisfy { $0.failure?.contains("found 1 of 2 answers") == true }, "\(outcome)")
        await engine.drain(timeout: .seconds(5))
        #expect(engine.inFlight == 0 && engine.metrics.kvUsage == 0)
    }
}
