import Execution
import Foundation
import Plan
import Serving
import Synchronization
import Testing

/// Tokens that are computed on a guess.
@Suite struct SpeculationTests {
    private static let lookup = PromptLookup(count: 3, runs: 1...2)

    private func scheduler(blocks: Int = 16, sequences: Int = 4, batched: Int = 32, logits: Int? = nil, gears: [Int] = [1, 2, 4])
        -> Scheduler
    {
        Scheduler(
            Scheduler.Limits(
                gears: gears, maxSequences: sequences, maxBatchedTokens: batched, maxLogits: logits, blockSize: 4, blockCount: blocks,
                lookup: Self.lookup))
    }

    private func sequence(_ id: Int, _ prompt: [Int32], longest: Int = 60, lengths: LengthAxes? = nil) -> SequenceState {
        SequenceState(id: id, prompt: prompt, longest: longest, lengths: lengths, mayGuess: true)
    }

    private func step(_ scheduler: inout Scheduler) throws -> Batch {
        let next = scheduler.nextBatch()
        let batch = try #require(next)
        #expect(scheduler.violation(before: batch) == nil)
        scheduler.commit()
        #expect(scheduler.violation() == nil)
        return batch
    }

    /// Appends tokens to the first sequence; whether each had been guessed.
    private func take(_ tokens: [Int32], _ scheduler: inout Scheduler) -> [Bool] { tokens.map { scheduler.append($0, toSequence: 1) } }

    @Test func guessedTokensAreRowsOfAGear() throws {
        var scheduler = scheduler()
        scheduler.add(sequence(1, [5, 6, 7, 8, 5]))
        #expect(try step(&scheduler).items[0].guessed == 0)
        #expect(take([6], &scheduler) == [false])
        let batch = try step(&scheduler)
        #expect(batch.entry == .decode(gear: 4) && batch.items[0].guessed == 3 && batch.items[0].count == 4)
        #expect(batch.items[0].logits == 5..<9 && batch.items[0].lastKnown == 5)
        #expect((6..<9).map { scheduler.running[0].token(at: $0) } == [7, 8, 5])
        #expect(scheduler.running[0].computed == 6 && scheduler.running[0].blocks.count == 3)
        // Two come true, the third does not: what was computed for it is computed again.
        #expect(take([7, 8], &scheduler) == [true, true])
        #expect(scheduler.running[0].computed == 8 && scheduler.running[0].publishedBlocks == 2)
        #expect(take([9], &scheduler) == [false])
        #expect(scheduler.running[0].guessed == 0)
        #expect(scheduler.running[0].computed == 8 && scheduler.running[0].known == 9 && scheduler.running[0].blocks.count == 3)
        #expect(scheduler.violation() == nil)
        #expect(scheduler.counts.guesses == 1 && scheduler.counts.guessedTokens == 3 && scheduler.counts.acceptedTokens == 2)
        #expect(try step(&scheduler).items[0].start == 8)
    }

    @Test func blocksOfWhatDoesNotComeTrueAreGivenBack() throws {
        var scheduler = scheduler()
        scheduler.add(sequence(1, [5, 5]))
        _ = try step(&scheduler)
        scheduler.append(5, toSequence: 1)
        #expect(try step(&scheduler).items[0].guessed == 3 && scheduler.running[0].blocks.count == 2)
        #expect(take([0], &scheduler) == [false])
        #expect(scheduler.running[0].blocks.count == 1 && scheduler.running[0].computed == 3 && scheduler.running[0].known == 4)
        #expect(scheduler.violation() == nil && scheduler.pool.usedCount == 1)
        scheduler.remove(1)
        #expect(scheduler.pool.usedCount == 0)
    }

    /// Rows of sequences that run and of prompts come first; nobody gives up a block for a guess; and no token is guessed that nothing may follow.
    @Test func guessesTakeWhatIsLeft() throws {
        func guesses(_ scheduler: Scheduler, of count: Int, longest: Int = 60, lengths: LengthAxes? = nil, beside prompt: Int = 0) throws
            -> [Int]
        {
            var scheduler = scheduler
            for id in 1...count { scheduler.add(sequence(id, [5, 6, 7, 8, 5, 6], longest: longest, lengths: lengths)) }
            _ = try step(&scheduler)
            for id in 1...count { scheduler.append(7, toSequence: id) }
            if prompt > 0 { scheduler.add(sequence(9, (0..<Int32(prompt)).map { 100 + $0 })) }
            return try step(&scheduler).items.filter { $0.id != 9 }.map(\.guessed)
        }
        #expect(try guesses(scheduler(), of: 1) == [3])
        #expect(try guesses(scheduler(), of: 2) == [2, 0])
        #expect(try guesses(scheduler(), of: 4) == [0, 0, 0, 0])
        #expect(try guesses(scheduler(logits: 8), of: 4) == [0, 0, 0, 0], "the greatest gear has no more rows")
        #expect(try guesses(scheduler(logits: 8, gears: [1, 8]), of: 4) == [3, 1, 0, 0])
        #expect(try guesses(scheduler(), of: 1, beside: 4) == [2], "one row is kept for the prompt")
        #expect(try guesses(scheduler(batched: 8), of: 1, beside: 20) == [0], "the prompt takes the batch")
        #expect(try guesses(scheduler(batched: 8), of: 1, beside: 6) == [1])
        #expect(try guesses(scheduler(blocks: 2), of: 1) == [1], "eight tokens are all that the blocks hold")
        #expect(try guesses(scheduler(), of: 1, longest: 10) == [2])
        #expect(try guesses(scheduler(), of: 1, longest: 8) == [0])
        #expect(
            try guesses(scheduler(), of: 1, lengths: LengthAxes(longest: [9], grows: true)) == [2], "the fourth would stand on another axis"
        )
        var other = scheduler()
        other.add(SequenceState(id: 1, prompt: [5, 6, 5, 6, 5], longest: 60))
        _ = try step(&other)
        other.append(6, toSequence: 1)
        #expect(try step(&other).items[0].guessed == 0, "beams and probes guess nothing")
    }

    /// Each answer, and its log probabilities, is what it is without guesses.
    @Test(arguments: [1, 3]) func answersAreTheSame(tasks: Int) async throws {
        func run(_ lookup: PromptLookup?) async throws -> ([[Outcome]], Metrics) {
            var options = EngineOptions()
            options.lookup = lookup
            options.weighsTimes = false
            options.blockSize = 16
            let program = testProgram(gears: [1, 2, 4, 8], maxSequences: 8)
            let engine = Engine(
                configuration: try EngineConfiguration(program: program, options: options, availableBytes: 1 << 24), log: { _ in }
            ) { NullModel(program: program, seed: 3) }
            try await engine.whenServing()
            var outcomes = Array(repeating: [Outcome](), count: 24)
            for first in stride(from: 0, to: 24, by: tasks) {
                await withTaskGroup(of: (Int, [Outcome]).self) { group in
                    for index in first..<first + tasks { group.addTask { (index, await engine.run(Self.group(index))) } }
                    for await (index, outcome) in group { outcomes[index] = outcome }
                }
            }
            await engine.drain(timeout: .seconds(5))
            return (outcomes, engine.metrics)
        }
        let (plain, without) = try await run(nil)
        let (found, metrics) = try await run(PromptLookup(count: 4, runs: 1...3))
        for index in plain.indices { #expect(found[index] == plain[index], "request \(index)") }
        #expect(without.speculation == nil && metrics.generationTokens == without.generationTokens)
        let speculation = try #require(metrics.speculation)
        #expect(
            speculation.drafts > 50 && speculation.tokens > speculation.drafts && speculation.accepted > 50
                && speculation.accepted < speculation.tokens)
        let text = metrics.text(modelName: "m", process: ProcessUsage.current(), now: 0)
        #expect(text.contains("vllm:spec_decode_num_accepted_tokens_total{model_name=\"m\"} \(speculation.accepted).0\n"))
        #expect(text.contains("vllm:spec_decode_num_drafts_total{") && text.contains("vllm:spec_decode_num_draft_tokens_total{"))
        #expect(!without.text(modelName: "m", process: ProcessUsage.current(), now: 0).contains("spec_decode"))
    }

    /// Answers of two or three tokens, so that some guesses come true.
    private static func group(_ index: Int) -> GenerationGroup {
        var sampling = SamplingParameters()
        (sampling.temperature, sampling.seed) = (index % 2 == 0 ? 0 : 1, UInt64(index))
        if index % 3 == 0 { (sampling.repetitionPenalty, sampling.frequencyPenalty, sampling.presencePenalty) = (1.2, 0.1, 0.2) }
        if index % 4 == 1 { (sampling.topK, sampling.topP) = (2, 0.9) }
        var request = GenerationRequest(
            prompt: Prompt(text: (0..<Int32(1 + index)).map { $0 % 5 + 1 }, axes: 3), sampling: sampling, maxTokens: 30 + index,
            endTokens: [7],
            ignoresEnd: index % 5 == 0, stops: index % 4 == 3 ? ["4 4 2 4"] : [], decoder: NumberDecoder())
        request.rules.allowed = index % 6 == 5 ? [2, 4, 7] : [2, 4]
        if index % 6 == 2 { request.rules.minTokens = 20 }
        if index % 6 == 3 { request.rules.barred = [[2, 2, 4]] }
        if index % 7 == 4 { request.rules.biases = [TokenRules.Bias(token: 4, value: 1)] }
        if index % 3 != 1 { request.logprobs = index % 4 }
        if index % 8 == 6 { request.promptLogprobs = 2 }
        return GenerationGroup(request, count: 1 + index % 3)
    }

    /// The first three tokens, of which two are guessed, come as often as the model's own probabilities say: Pearson's test at 1 in 1000.
    @Test func drawnAnswersHaveTheModelsDistribution() async throws {
        let tokens: [Int32] = [2, 4, 9]
        let prompt = [2, 4, 9, 2, 2, 9, 9, 4, 4] + [Int32](repeating: 30, count: 3)
        var options = EngineOptions()
        (options.lookup, options.weighsTimes) = (PromptLookup(count: 3, runs: 1...2), false)
        let program = testProgram()
        let engine = Engine(
            configuration: try EngineConfiguration(program: program, options: options, availableBytes: 1 << 24), log: { _ in }
        ) { NullModel(program: program, seed: 3) }
        try await engine.whenServing()
        func request(_ prompt: [Int32], most: Int) -> GenerationRequest {
            var request = GenerationRequest(
                prompt: Prompt(text: prompt, axes: 3), sampling: SamplingParameters(), maxTokens: most, ignoresEnd: true,
                decoder: NumberDecoder())
            request.sampling.temperature = 1
            request.rules.allowed = tokens
            return request
        }
        func log(_ tokens: [Int32]) async -> Double {
            var request = request(prompt + tokens, most: 1)
            request.promptLogprobs = 0
            return await engine.run(request).prompt.last.map { Double($0.choice.chosen.logprob) } ?? .nan
        }
        /// Probabilities of the next token after some.
        func next(_ before: [Int32]) async -> [Double] {
            var weights: [Double] = []
            for token in tokens { weights.append(exp(await log(before + [token]))) }
            return weights.map { $0 / weights.reduce(0, +) }
        }
        var expected: [String: Double] = [:]
        for (first, p) in zip(tokens, await next([])) {
            for (second, q) in zip(tokens, await next([first])) {
                for (third, r) in zip(tokens, await next([first, second])) { expected["\(first) \(second) \(third)"] = p * q * r }
            }
        }
        let draws = 2000
        var found: [String: Double] = [:]
        for seed in 0..<draws {
            var request = request(prompt, most: 4)
            request.sampling.seed = UInt64(seed)
            let text = await engine.run(request).text
            found[text.split(separator: " ").prefix(3).joined(separator: " "), default: 0] += 1
        }
        #expect(Set(found.keys).isSubset(of: expected.keys))
        #expect(engine.metrics.speculation?.accepted ?? 0 > draws / 4)
        // Rare ones together.
        var cells: [(expected: Double, found: Double)] = [(0, 0)]
        for (text, share) in expected.sorted(by: { $0.value < $1.value }) {
            if cells[cells.count - 1].expected >= 8 { cells.append((0, 0)) }
            cells[cells.count - 1].expected += share * Double(draws)
            cells[cells.count - 1].found += found[text] ?? 0
        }
        let sum = cells.reduce(0) { $0 + ($1.found - $1.expected) * ($1.found - $1.expected) / $1.expected }
        // Wilson and Hilferty's approximation.
        let freedom = Double(cells.count - 1), spread = 2 / (9 * freedom)
        let limit = freedom * pow(1 - spread + 3.09 * spread.squareRoot(), 3)
        #expect(freedom >= 6 && sum < limit, "\(sum) of \(limit), \(cells)")
        await engine.drain(timeout: .seconds(5))
    }

    @Test func settingsThatDoNotFitAreErrors() throws {
        func configure(_ count: Int, keepsStates: Bool = false, sequences: Int? = nil) throws -> EngineConfiguration {
            var options = EngineOptions()
            options.lookup = PromptLookup(count: count, runs: 1...2)
            options.maxSequences = sequences
            return try EngineConfiguration(program: testProgram(keepsStates: keepsStates), options: options, availableBytes: 1 << 24)
        }
        #expect(try configure(3, sequences: 1).gears == [1, 2, 4], "one sequence, and what is guessed of it")
        #expect(try configure(1, sequences: 1).gears == [1, 2])
        for count in [4, Int.max] {
            let error = try #require(throws: ConfigurationError.self) { try configure(count) }
            #expect(error.description.contains("--num-speculative-tokens \(count) is more than the artifact's greatest gear of 4 rows"))
        }
        let error = try #require(throws: ConfigurationError.self) { try configure(1, keepsStates: true) }
        #expect(error.description.hasPrefix("--speculative-model: the model keeps a state"))
    }
}
