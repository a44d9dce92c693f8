import Execution
import Foundation
import Seeded
import Serving
import Synchronization
import Testing

@Suite struct LogprobTests {
    /// Log probabilities in f64.
    private func exact(_ logits: [Float]) -> [Double] {
        let top = Double(logits.max()!)
        let sum = logits.reduce(0.0) { $0 + exp(Double($1) - top) }
        return logits.map { Double($0) - top - log(sum) }
    }

    private func likeliest(_ logits: [Float], _ count: Int) -> [TokenLogprob] {
        let sampler = Sampler()
        var (logits, entries) = (logits, [TokenLogprob](repeating: TokenLogprob(token: -1, logprob: 0), count: likeliestMax))
        return logits.withUnsafeMutableBufferPointer { row in
            let sum = sampler.logSum(row)
            let found = entries.withUnsafeMutableBufferPointer { sampler.writeLikeliest(count, of: row, sum, to: $0) }
            return Array(entries.prefix(found))
        }
    }

    @Test func theLikeliestComeInOrder() {
        var dice = Dice(4)
        for size in [1, 5, 63, 64, 65, 700, 20_011] {
            // Many are equal.
            let logits = (0..<size).map { _ in (Float.random(in: -9...9, using: &dice) * 2).rounded() / 2 }
            let expected = exact(logits)
            let order = logits.indices.sorted { (logits[$1], $0) < (logits[$0], $1) }
            for count in [0, 1, 3, 20] {
                let found = likeliest(logits, count)
                #expect(found.map(\.token) == order.prefix(count).map(Int32.init), "\(count) of \(size)")
                for entry in found { #expect(abs(Double(entry.logprob) - expected[Int(entry.token)]) < 1e-5) }
            }
        }
    }

    @Test func jsonCanHoldEveryLogprob() {
        #expect(likeliest([-.infinity, 0, -.infinity], 3).map(\.logprob) == [0, -9999, -9999])
        #expect(likeliest([.nan, 0], 3) == [TokenLogprob(token: 1, logprob: 0)])
        #expect(likeliest([.infinity, 0], 2).map(\.logprob) == [-9999, -9999])
    }

    /// Of the model's own logits, whatever is done to them before the draw.
    @Test func penaltiesAndTemperatureDoNotCount() async throws {
        let program = testProgram()
        let configuration = try EngineConfiguration(program: program, options: EngineOptions(), availableBytes: 1 << 24)
        let engine = Engine(configuration: configuration, log: { _ in }) { NullModel(program: program) }
        try await engine.whenServing()
        var request = GenerationRequest(prompt: Prompt(text: [1, 2, 3], axes: 3), maxTokens: 30, ignoresEnd: true, decoder: NumberDecoder())
        (request.sampling.temperature, request.sampling.seed, request.sampling.frequencyPenalty) = (3, 5, 1)
        request.rules.biases = [TokenRules.Bias(token: 9, value: 4)]
        request.logprobs = 5
        var (choices, text, completion): ([TokenChoice], String, Completion?) = ([], "", nil)
        for await event in try engine.submit(request).events {
            switch event {
            case .token(let choice): choices.append(choice)
            case .prompt: Issue.record("nobody asked for the prompt's")
            case .text(let piece, _): text += piece
            case .finished(let end): completion = end
            case .failed(let why): Issue.record("\(why)")
            }
        }
        #expect(text == choices.map { "\($0.chosen.token) " }.joined() && choices.count == 30)
        // The same tokens again, whose logits a probe shows.
        let shown = Mutex<[[Float]]>([])
        var probed = request
        probed.logprobs = nil
        probed.probe = Probe(continuation: choices.map(\.chosen.token)) { finding in
            if case .step(let logits, _) = finding { shown.withLock { $0.append(logits) } }
        }
        _ = await engine.run(probed)
        for (choice, logits) in zip(choices, shown.withLock { $0 }) {
            let expected = exact(logits)
            #expect(abs(Double(choice.chosen.logprob) - expected[Int(choice.chosen.token)]) < 1e-5)
            #expect(choice.likeliest == likeliest(logits, 5))
        }
        let sum = choices.reduce(0.0) { $0 + Double($1.chosen.logprob) }
        #expect(completion?.logprob.map { abs($0 - sum) < 1e-9 } == true)
        await engine.drain(timeout: .seconds(1))
    }

    /// Whatever the batch holds besides, and what the cache holds of the prompt.
    @Test func promptsAreToldTokenByToken() async throws {
        let program = testProgram()
        let configuration = try EngineConfiguration(program: program, options: EngineOptions(), availableBytes: 1 << 24)
        let engine = Engine(configuration: configuration, log: { _ in }) { NullModel(program: program) }
        try await engine.whenServing()
        let ids = (0..<70).map { Int32($0 * 7 % 60) }
        let shown = Mutex<[Float]>([])
        var request = GenerationRequest(prompt: Prompt(text: ids, axes: 3), maxTokens: 4, ignoresEnd: true, decoder: NumberDecoder())
        request.sampling.temperature = 0
        request.promptLogprobs = 3
        request.probe = Probe(readsWholePrompt: true) { finding in
            if case .prompt(let logits) = finding { shown.withLock { $0 += logits } }
        }
        let outcome = await engine.run(request)
        let logits = shown.withLock { $0 }
        #expect(logits.count == 70 * 61 && outcome.prompt.count == 69 && outcome.completionTokens == 4)
        for (place, token) in outcome.prompt.enumerated() {
            let row = Array(logits[place * 61..<(place + 1) * 61])
            let expected = exact(row)[Int(ids[place + 1])]
            #expect(token.choice.chosen.token == ids[place + 1] && abs(Double(token.choice.chosen.logprob) - expected) < 1e-5)
            #expect(token.choice.likeliest == likeliest(row, 3))
            #expect(token.rank == 1 + row.count { $0 > row[Int(ids[place + 1])] })
        }
        request.probe = nil
        #expect(await engine.run(request) == outcome, "the whole prompt is cached now")
        let both = await engine.run(GenerationGroup(request, count: 2))
        #expect(both[0] == outcome && both[1].prompt.isEmpty && both[1].text == outcome.text)
        request.maxTokens = 0
        let prompt = await engine.run(request)
        #expect(prompt.prompt == outcome.prompt && prompt.completionTokens == 0 && prompt.reason == .length)
        request.prompt = Prompt(text: Array(repeating: 5, count: 256), axes: 3)
        #expect(await engine.run(request).prompt.count == 255, "a prompt may fill the context where nothing follows it")
        try await engine.whenIdle()
        #expect(engine.metrics.generationTokens == 4 * 4 && engine.metrics.kvUsage == 0)
        await engine.drain(timeout: .seconds(1))
    }

    @Test func statesForbidThatSpansAreComputedAgain() async throws {
        let program = testProgram(keepsStates: true)
        let configuration = try EngineConfiguration(program: program, options: EngineOptions(), availableBytes: 1 << 24)
        let engine = Engine(configuration: configuration, log: { _ in }) { NullModel(program: program) }
        try await engine.whenServing()
        var request = GenerationRequest(prompt: Prompt(text: Array(1...20), axes: 3), maxTokens: 4, ignoresEnd: true, decoder: NumberDecoder())
        request.promptLogprobs = 0
        #expect(await engine.run(request).prompt.count == 19)
        request.prompt.spans = [2..<9]
        #expect(throws: AdmissionError.promptNotReadable) { try engine.submit(request) }
        await engine.drain(timeout: .seconds(1))
    }

    @Test func admissionCountsAnswers() async throws {
        let program = testProgram()
        var options = EngineOptions()
        options.maxQueued = 2
        let configuration = try EngineConfiguration(program: program, options: options, availableBytes: 1 << 24)
        let engine = Engine(configuration: configuration, log: { _ in }) { NullModel(program: program) }
        try await engine.whenServing()
        let request = GenerationRequest(prompt: Prompt(text: [1], axes: 3), maxTokens: 2, decoder: NumberDecoder())
        #expect(throws: AdmissionError.tooManyAnswers(count: 7, limit: 6)) { try engine.submit([GenerationGroup(request, count: 7)]) }
        #expect(await engine.run(GenerationGroup(request, count: 6)).allSatisfy { $0.reason != nil })
        #expect(engine.metrics.promptTokens == 1)
        await engine.drain(timeout: .seconds(1))
    }
}
