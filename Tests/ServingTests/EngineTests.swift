import Budgets
import Execution
import Foundation
import Gates
import Inputs
import Plan
import Serving
import Synchronization
import Tensors
import Testing

@Suite struct EngineTests {
    private func engine(
        program: Program = testProgram(), maxQueued: Int = 100,
        load: (@Sendable (Program) throws -> any LoadedModel)? = nil
    ) throws -> Engine {
        var options = EngineOptions()
        options.maxQueued = maxQueued
        let configuration = try EngineConfiguration(program: program, options: options, availableBytes: 1 << 24)
        return Engine(configuration: configuration, log: { _ in }) {
            try load?(program) ?? NullModel(program: program)
        }
    }

    private func request(_ ids: [Int32], maxTokens: Int) -> GenerationRequest {
        var sampling = SamplingParameters()
        sampling.temperature = 0
        return GenerationRequest(
            prompt: Prompt(text: ids, axes: 3), sampling: sampling, maxTokens: maxTokens, decoder: NumberDecoder())
    }

    /// What is made for one who does not read it ends where too much waits.
    @Test func answersThatNobodyReadsEnd() async throws {
        let engine = try engine(maxQueued: 2000)
        try await engine.whenServing()
        var groups: [GenerationGroup] = []
        for _ in 0..<1500 { groups.append(GenerationGroup(GenerationRequest(prompt: Prompt(text: [3, 4], axes: 3), maxTokens: 20, ignoresEnd: true, decoder: NumberDecoder()))) }
        let generation = try engine.submit(groups)
        while engine.inFlight > 0 { try await Task.sleep(for: .milliseconds(5)) }
        var (count, ends) = (0, 0)
        for await item in generation.events {
            count += 1
            if case .finished = item.event { ends += 1 }
        }
        #expect(count == Engine.maxUnreadEvents && ends < 1500)
        #expect(engine.metrics.generationTokens < 28_000)
        await engine.drain(timeout: .seconds(5))
    }

    @Test func warmsEveryPlanBeforeItServes() async throws {
        let entries = Mutex<[Entry]>([])
        let program = testProgram()
        let engine = try engine(program: program) { program in
            NullModel(program: program, beforeRun: { entry in entries.withLock { $0.append(entry) } })
        }
        try await engine.whenServing()
        #expect(entries.withLock { $0 } == [.extend, .decode(gear: 1), .decode(gear: 2), .decode(gear: 4)])
        await engine.drain(timeout: .seconds(1))
    }

    @Test func refusesWhatCanNeverRun() async throws {
        let engine = try engine()
        try await engine.whenServing()
        let long = (0..<256).map { Int32($0 % 60) }
        #expect(throws: AdmissionError.promptTooLong(promptTokens: 256, maxModelLength: 256)) {
            try engine.submit(request(long, maxTokens: 1))
        }
        #expect(throws: AdmissionError.maxTokensTooLarge(maxTokens: 255, promptTokens: 2, maxModelLength: 256)) {
            try engine.submit(request([1, 2], maxTokens: 255))
        }
        #expect(throws: AdmissionError.promptEmpty) { try engine.submit(request([], maxTokens: 1)) }
        #expect(throws: AdmissionError.tokenOutOfRange(token: 61, vocabularySize: 61)) {
            try engine.submit(request([61], maxTokens: 1))
        }
        var spanned = request(Array(repeating: 1, count: 40), maxTokens: 1)
        spanned.prompt.spans = [2..<32]
        #expect(throws: AdmissionError.spanTooLong(tokens: 30, limit: 29)) { try engine.submit(spanned) }
        let outcome = await engine.run(request([1, 2], maxTokens: 254))
        #expect(outcome.reason == .length && outcome.completionTokens == 254)
        await engine.drain(timeout: .seconds(1))
    }

    @Test func failsOneRequestAndServesTheNext() async throws {
        let engine = try engine { NullModel(program: $0, failsOnToken: 13) }
        try await engine.whenServing()
        let bad = await engine.run(request([13], maxTokens: 5))
        #expect(bad.failure?.contains("token 13") == true)
        let good = await engine.run(request([2], maxTokens: 1))
        #expect(good.reason == .length && good.failure == nil)
        #expect(engine.metrics.failures == 1 && engine.metrics.kvUsage == 0)
        await engine.drain(timeout: .seconds(1))
    }

    /// A decoder that has no text for what it is given.
    private struct FailingDecoder: TokenTextDecoder {
        mutating func append(_ token: Int32) throws -> String { throw WorkLimitError.deadline }
        mutating func finish() throws -> String { throw WorkLimitError.deadline }
    }

    @Test func failsARequestWhoseTokensHaveNoText() async throws {
        let engine = try engine()
        try await engine.whenServing()
        var failing = request([2], maxTokens: 5)
        failing.decoder = FailingDecoder()
        let bad = await engine.run(failing)
        #expect(bad.failure == WorkLimitError.deadline.description)
        let good = await engine.run(request([2], maxTokens: 1))
        #expect(good.reason == .length && good.failure == nil)
        #expect(engine.metrics.failures == 1 && engine.metrics.kvUsage == 0)
        await engine.drain(timeout: .seconds(1))
    }

    @Test func boundsItsQueue() async throws {
        let gate = Gate()
        let engine = try engine(maxQueued: 2) { program in
            NullModel(program: program, beforeRun: { _ in gate.pass() })
        }
        try await engine.whenServing()
        gate.close()
        var generations: [Generation] = []
        for _ in 0..<5 { generations.append(try engine.submit(request([1], maxTokens: 100))) }
        // One place is left, which is enough for a request of several answers.
        let several = try engine.submit([GenerationGroup(request([1], maxTokens: 100), count: 3)])
        #expect(throws: AdmissionError.queueFull(waiting: 4)) { try engine.submit(request([1], maxTokens: 1)) }
        #expect(throws: AdmissionError.queueFull(waiting: 4)) { try engine.checkAdmission() }
        several.cancel()
        gate.open()
        generations.removeAll()
        try await engine.whenIdle()
        #expect(await engine.run(request([1], maxTokens: 1)).reason == .length)
        await engine.drain(timeout: .seconds(1))
    }

    @Test func drainsAndThenRefuses() async throws {
        let gate = Gate()
        let engine = try engine { program in
            NullModel(program: program, beforeRun: { _ in gate.pass() })
        }
        try await engine.whenServing()
        gate.close()
        async let outcome = engine.run(request([1], maxTokens: 60))
        while engine.inFlight == 0 { try await Task.sleep(for: .milliseconds(1)) }
        async let drained = engine.drain(timeout: .seconds(600))
        while engine.phase != .draining { try await Task.sleep(for: .milliseconds(1)) }
        gate.open()
        #expect(await drained == 0)
        #expect(await outcome.completionTokens == 60)
        #expect(engine.phase == .stopped)
        #expect(throws: AdmissionError.notServing(.stopped)) { try engine.submit(request([1], maxTokens: 1)) }
    }

    @Test func abortsWhatDoesNotEndInTime() async throws {
        // All 250 tokens take fifty seconds.
        let engine = try engine { program in
            NullModel(program: program, beforeRun: { _ in usleepMilliseconds(200) })
        }
        try await engine.whenServing()
        async let outcome = engine.run(request([1], maxTokens: 250))
        while engine.inFlight == 0 { try await Task.sleep(for: .milliseconds(1)) }
        #expect(await engine.drain(timeout: .milliseconds(30)) == 1)
        #expect(await outcome.reason == .abort)
        #expect(engine.phase == .stopped)
    }

    /// A request is one however many answers it has, and one that has ended is none.
    @Test func requestsAreCountedAndNotTheirAnswers() async throws {
        let engine = try engine { program in
            NullModel(program: program, beforeRun: { _ in usleepMilliseconds(50) })
        }
        try await engine.whenServing()
        let first = try engine.submit([GenerationGroup(request([1], maxTokens: 250), count: 2), GenerationGroup(request([2], maxTokens: 250))])
        #expect(engine.requests == 1 && engine.inFlight == 3)
        let second = try engine.submit([GenerationGroup(request([3], maxTokens: 250), count: 2)])
        #expect(engine.requests == 2 && engine.inFlight == 5)
        first.cancel()
        while engine.inFlight > 2 { try await Task.sleep(for: .milliseconds(1)) }
        while engine.requests > 1 { try await Task.sleep(for: .milliseconds(1)) }
        #expect(await engine.drain(timeout: .milliseconds(30)) == 1)
        #expect(engine.requests == 0 && engine.inFlight == 0)
        second.cancel()
    }

    @Test func saysWhyLoadingFailed() async throws {
        let engine = try engine { _ in throw BackendError.unsupported("no such kernel") }
        while engine.phase == .loading { try await Task.sleep(for: .milliseconds(1)) }
        #expect(engine.phase == .failed("no such kernel"))
    }

    @Test func rendersMetricsAsPrometheusText() async throws {
        let engine = try engine()
        try await engine.whenServing()
        _ = await engine.run(request([1, 2, 3], maxTokens: 4))
        let text = engine.metrics.text(modelName: "a\"b", process: ProcessUsage.current(), now: 0)
        let lines = text.split(separator: "\n")
        #expect(lines.contains("vllm:prompt_tokens_total{model_name=\"a\\\"b\"} 3.0"))
        #expect(lines.contains("vllm:generation_tokens_total{model_name=\"a\\\"b\"} 4.0"))
        #expect(lines.contains("vllm:request_success_total{model_name=\"a\\\"b\",finished_reason=\"length\"} 1"))
        #expect(lines.contains("vlm:decode_gear_steps_total{model_name=\"a\\\"b\",gear=\"1\"} 3"))
        #expect(lines.contains { $0.hasPrefix("vllm:time_to_first_token_seconds_bucket{") && $0.hasSuffix("} 1") })
        #expect(lines.contains("vllm:request_params_n_bucket{model_name=\"a\\\"b\",le=\"1.0\"} 1"))
        #expect(lines.contains("vllm:request_params_max_tokens_sum{model_name=\"a\\\"b\"} 4.0"))
        let cache = try #require(lines.first { $0.hasPrefix("vllm:cache_config_info{") })
        let blocks = engine.configuration.blockCount
        #expect(cache.hasSuffix(",block_size=\"\(engine.configuration.blockSize)\",num_gpu_blocks=\"\(blocks)\",cache_dtype=\"f32\",enable_prefix_caching=\"True\"} 1.0"), "\(cache)")
        let start = lines.first { $0.hasPrefix("process_start_time_seconds ") }?.split(separator: " ").last.flatMap { Double($0) } ?? 0
        let age = Date().timeIntervalSince1970 - start
        #expect(age > -2 && age < 86400, "\(age)")
        #expect(lines.contains { $0.hasPrefix("process_resident_memory_bytes ") && !$0.hasSuffix(" 0.0") })
        for line in lines where !line.hasPrefix("#") { #expect(line.split(separator: " ").count == 2) }
        await engine.drain(timeout: .seconds(1))
    }
}

@Suite struct EngineConfigurationTests {
    private func configure(_ change: (inout EngineOptions) -> Void) throws -> EngineConfiguration {
        var options = EngineOptions()
        change(&options)
        return try EngineConfiguration(program: testProgram(), options: options, availableBytes: 1 << 24)
    }

    @Test func takesTheProgramsLimitsUnlessLessIsAsked() throws {
        let whole = try configure { _ in }
        #expect(whole.maxSequences == 4 && whole.maxModelLength == 256 && whole.gears == [1, 2, 4])
        #expect(whole.blockCount == 32 && whole.cacheConcurrency == 8 && whole.maxConcurrency == 4)
        let less = try configure {
            $0.maxSequences = 3
            $0.maxModelLength = 100
        }
        #expect(less.maxSequences == 3 && less.maxModelLength == 100 && less.gears == [1, 2, 4])
        #expect(try configure { $0.maxSequences = 2 }.gears == [1, 2])
        #expect(try configure { $0.kvCacheBytes = 4 * 1024 }.maxModelLength == 64)
    }

    @Test func modelsWithStatesDoNotCachePrefixes() throws {
        let program = testProgram(keepsStates: true)
        #expect(program.states.map(\.width) == [16] && program.stateBytes == 64)
        func configure(_ caches: Bool?, availableBytes: Int = 1 << 24) throws -> EngineConfiguration {
            var options = EngineOptions()
            options.cachesPrefixes = caches
            return try EngineConfiguration(program: program, options: options, availableBytes: availableBytes)
        }
        #expect(try !configure(nil).cachesPrefixes && !configure(false).cachesPrefixes)
        let error = try #require(throws: ConfigurationError.self) { try configure(true) }
        #expect(error.description.hasPrefix("--enable-prefix-caching: the model keeps a state"))
        #expect(throws: ConfigurationError.self) { try configure(nil, availableBytes: 4 * 64) }
    }

    @Test func namesTheFlagThatDoesNotFit() throws {
        let cases: [(String, (inout EngineOptions) -> Void)] = [
            ("--max-num-seqs 5 is more than the artifact was compiled for (4); compile again with vlmc compile --max-num-seqs 5", { $0.maxSequences = 5 }),
            ("--max-num-seqs 5000 is more than the artifact was compiled for (4), and than any can be (1024); give less", { $0.maxSequences = 5000 }),
            ("--max-num-seqs 0", { $0.maxSequences = 0 }),
            ("--max-model-len 257 is more than the artifact was compiled for (256); give less, or, where the model takes as many, compile", { $0.maxModelLength = 257 }),
            ("--max-num-batched-tokens 33", { $0.maxBatchedTokens = 33 }),
            ("--max-num-batched-tokens 3", { $0.maxBatchedTokens = 3 }),
            ("--block-size 17", { $0.blockSize = 17 }),
            ("--gpu-memory-utilization 0", { $0.memoryShare = 0 }),
            ("--gpu-memory-utilization 1.5", { $0.memoryShare = 1.5 }),
            ("--kv-cache-bytes 5", { $0.kvCacheBytes = 5 }),
            ("--kv-cache-bytes 1000000000000 is more than the 16777216 bytes", { $0.kvCacheBytes = 1_000_000_000_000 }),
            ("--max-num-queued-reqs", { $0.maxQueued = -1 }),
            (
                "--max-model-len 200 does not fit the KV cache of 64 tokens; raise --kv-cache-bytes to 16384, or give auto for as many as fit",
                {
                    $0.maxModelLength = 200
                    $0.kvCacheBytes = 4096
                }
            ),
        ]
        var options = EngineOptions()
        (options.maxModelLength, options.memoryShare) = (200, 1)
        let scarce = #expect(throws: ConfigurationError.self) {
            try EngineConfiguration(program: testProgram(), options: options, availableBytes: 4096)
        }
        #expect(scarce?.description.hasSuffix("and the 16384 bytes that it takes are more than the 4096 that are free; give less, or auto for as many as fit") == true, "\(scarce?.description ?? "")")
        for (words, change) in cases {
            let error = #expect(throws: ConfigurationError.self) { try configure(change) }
            #expect(error?.description.contains(words) == true, "\(words): \(error?.description ?? "")")
        }
    }
}
