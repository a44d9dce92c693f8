internal import Execution
package import Plan

/// In which order requests are computed.
package enum SchedulingPolicy: String, Sendable, CaseIterable {
    /// As they come.
    case fcfs
    /// By their priority, then as they come.
    case priority
}

/// What an operator may ask of the engine; nil leaves the choice to the program or the machine.
package struct EngineOptions: Sendable {
    package var maxSequences: Int?
    package var maxModelLength: Int?
    package var maxBatchedTokens: Int?
    package var blockSize = 64
    /// Bytes of the KV cache; wins over `memoryShare`.
    package var kvCacheBytes: Int?
    /// Share of the available memory that the KV cache may take, (0, 1].
    package var memoryShare = 0.5
    /// Nil: unless the model keeps states of sequences, which no other sequence can go on with.
    package var cachesPrefixes: Bool?
    package var imageCacheBytes = 512 << 20
    /// Requests that may wait beyond those that run.
    package var maxQueued = 1024
    /// How tokens are guessed ahead where no draft model guesses them; nil for not at all.
    package var lookup: PromptLookup?
    /// How a draft model guesses them, where there is one.
    package var draft = DraftOptions()
    /// Whether the time of the steps before decides how many tokens are guessed, and how many of prompts come beside others; else there are as many as there
    /// may be, so that a schedule follows from its requests alone.
    package var weighsTimes = true
    /// Whether few tokens of prompts come beside sequences that decode, so that these go on at nearly their pace; else all answers together are soonest.
    package var pacesPrompts = true
    /// Names of the adapters that the model is loaded with.
    package var adapters: [String] = []
    /// Different adapters among the sequences that run.
    package var maxAdapters = 1
    package var schedulingPolicy = SchedulingPolicy.fcfs
    /// Where cached blocks are kept beyond the process; nil for nowhere.
    package var blockStore: BlockStore?

    package init() {}

    /// Throws for what no program could be served with.
    package func check() throws(ConfigurationError) {
        guard [16, 32, 64, 128].contains(blockSize) else { throw .invalid("--block-size \(blockSize) is not one of 16, 32, 64, 128") }
        guard memoryShare > 0, memoryShare <= 1 else { throw .invalid("--gpu-memory-utilization \(memoryShare) is not in (0, 1]") }
        guard imageCacheBytes >= 0 else { throw .invalid("--image-cache-bytes must not be negative") }
        guard (0...1 << 20).contains(maxQueued) else { throw .invalid("--max-num-queued-reqs \(maxQueued) is not in 0 … 1048576") }
        guard blockStore == nil || cachesPrefixes != false else {
            throw .invalid("--kv-cache-dir keeps what prefix caching finds; leave --no-enable-prefix-caching out")
        }
        guard maxAdapters >= 1 else { throw .invalid("--max-loras \(maxAdapters) must be at least 1") }
        for (flag, value) in [("--max-num-seqs", maxSequences), ("--max-model-len", maxModelLength), ("--max-num-batched-tokens", maxBatchedTokens)] {
            if let value, value < 1 { throw .invalid("\(flag) \(value) must be at least 1") }
        }
    }
}

/// The engine's settings once they are known to fit the program.
package struct EngineConfiguration: Sendable {
    package let maxSequences: Int
    /// Tokens of the longest sequence, at most what the KV cache holds.
    package let maxModelLength: Int
    package let maxBatchedTokens: Int
    /// Ascending; the last is the first that takes `maxSequences`, or a sequence and all that is guessed of it.
    package let gears: [Int]
    package let blockSize: Int
    package let blockCount: Int
    package let blockBytes: Int
    /// In what keys and values are kept, such as `f16`.
    package let cacheElement: String
    package let cachesPrefixes: Bool
    /// Whether several answers share the blocks that their prompt fills.
    package let sharesPrompts: Bool
    package let imageCacheBytes: Int
    package let maxQueued: Int
    package let schedulingPolicy: SchedulingPolicy
    /// Where cached blocks are kept beyond the process; nil for nowhere.
    package let blockStore: BlockStore?
    package let maxPatches: Int
    /// How tokens are guessed ahead, by one of these or not at all.
    package let lookup: PromptLookup?
    package let draft: DraftConfiguration?
    /// Whether the time of the steps before decides.
    package let weighsTimes: Bool
    /// Whether few tokens of prompts come beside sequences that decode.
    package let pacesPrompts: Bool
    /// Whether the model keeps a state of each sequence.
    package let keepsStates: Bool
    package let vocabularySize: Int
    /// Names of the adapters, in the order of their places.
    package let adapters: [String]
    /// Different adapters among the sequences that run.
    package let maxAdapters: Int
    /// Numbers of one row of an image's embeddings.
    package let imageWidth: Int

    /// Sequences of the greatest length that the KV cache holds at once, whether as many may run or not.
    package var cacheConcurrency: Double { Double(blockCount * blockSize) / Double(maxModelLength) }

    /// Sequences of the greatest length that run at once.
    package var maxConcurrency: Double { min(cacheConcurrency, Double(maxSequences)) }

    /// Checks `options` against `program`, which serving may ask less of, never more.
    ///
    /// - Parameters:
    ///   - draft: the program of a draft model; nil for none.
    ///   - availableBytes: memory that is free now.
    package init(
        program: Program, draft: Program? = nil, options: EngineOptions, availableBytes: Int
    ) throws(ConfigurationError) {
        let limits = program.limits
        let sequences = try Self.atMost(
            limits.maxSequences, options.maxSequences, flag: "--max-num-seqs", compiled: Program.Limits.sequencesMax)
        let length = try Self.atMost(limits.maxModelLength, options.maxModelLength, flag: "--max-model-len", compiled: nil)
        let batched = try Self.atMost(
            limits.maxBatchedTokens, options.maxBatchedTokens, flag: "--max-num-batched-tokens", compiled: Program.Limits.batchedTokensMax)
        guard batched >= sequences else {
            throw .invalid("--max-num-batched-tokens \(batched) is less than --max-num-seqs \(sequences)")
        }
        try options.check()
        if options.cachesPrefixes == true, program.keepsStates {
            throw .invalid("--enable-prefix-caching: the model keeps a state of each sequence, which cached blocks do not hold; leave it out")
        }
        if let lookup = options.lookup { try Self.check(guesses: lookup.count, program) }
        let drafts = try draft.map { draft throws(ConfigurationError) in
            try DraftConfiguration(draft, of: program, options, sequences: sequences, length: length, batched: batched)
        }
        if let drafts { try Self.check(guesses: drafts.limits.count, program) }
        blockStore = options.blockStore
        try options.blockStore?.check(program)
        let available = try Self.availableBytes(availableBytes, sequences: sequences, stateBytes: program.stateBytes)
        blockBytes = max(program.kvBlockBytes(blockSize: options.blockSize), 1)
        blockSize = options.blockSize
        cacheElement = program.kvElementName
        blockCount = try Self.blockCount(
            options, blockBytes: blockBytes + (drafts?.blockBytes ?? 0), sequences: sequences, length: length, availableBytes: available)
        let capacity = blockCount * blockSize
        if let asked = options.maxModelLength, asked > capacity {
            let bytes = Self.roundUp(asked, blockSize) / blockSize * (blockBytes + (drafts?.blockBytes ?? 0))
            let fact = "--max-model-len \(asked) does not fit the KV cache of \(capacity) tokens"
            guard bytes <= available else {
                throw .invalid("\(fact), and the \(bytes) bytes that it takes are more than the \(available) that are free; give less, or auto for as many as fit")
            }
            throw .invalid("\(fact); raise --kv-cache-bytes to \(bytes), or give auto for as many as fit")
        }
        maxModelLength = min(length, capacity)
        maxSequences = sequences
        maxBatchedTokens = batched
        let rows = max(sequences, (options.lookup?.count ?? drafts?.limits.count ?? 0) + 1)
        let enough = limits.gears.firstIndex { $0 >= rows } ?? limits.gears.count - 1
        gears = Array(limits.gears.prefix(enough + 1))
        cachesPrefixes = options.cachesPrefixes ?? !program.keepsStates
        sharesPrompts = !program.keepsStates
        imageCacheBytes = options.imageCacheBytes
        maxQueued = options.maxQueued
        schedulingPolicy = options.schedulingPolicy
        maxPatches = limits.maxPatches
        lookup = options.lookup
        self.draft = drafts
        weighsTimes = options.weighsTimes
        pacesPrompts = options.pacesPrompts && options.weighsTimes
        keepsStates = program.keepsStates
        vocabularySize = program.vocabularySize
        (adapters, maxAdapters) = (options.adapters, options.maxAdapters)
        imageWidth = program.imageWidth
    }

    /// A guess of k tokens is computed in k + 1 rows of one step, and whatever does not come true is as if it had not been.
    private static func check(guesses: Int, _ program: Program) throws(ConfigurationError) {
        guard !program.keepsStates else {
            throw .invalid("--speculative-model: the model keeps a state of each sequence, which guessed tokens would change; leave it out")
        }
        let rows = min(program.limits.gears.last ?? 0, program.limits.maxSequences, program.limits.maxBatchedTokens)
        guard guesses < rows else {
            throw .invalid(
                "--num-speculative-tokens \(guesses) is more than the artifact's greatest gear of \(rows) rows takes beside the last token (\(max(rows - 1, 0))); "
                    + "compile again with a greater vlmc compile --max-num-seqs")
        }
    }

    /// What is left beside the states of all sequences.
    private static func availableBytes(_ bytes: Int, sequences: Int, stateBytes: Int) throws(ConfigurationError) -> Int {
        let (states, overflow) = sequences.multipliedReportingOverflow(by: stateBytes)
        guard stateBytes == 0 || !overflow && states < bytes else {
            throw .invalid(
                "no memory for the states of \(sequences) sequences: each takes \(stateBytes) bytes, \(bytes) are free; give less --max-num-seqs")
        }
        return bytes - states
    }

    private static func blockCount(
        _ options: EngineOptions, blockBytes: Int, sequences: Int, length: Int, availableBytes: Int
    ) throws(ConfigurationError) -> Int {
        if let bytes = options.kvCacheBytes {
            guard bytes >= blockBytes else {
                throw .invalid("--kv-cache-bytes \(bytes) is less than one block of \(blockBytes) bytes")
            }
            guard bytes <= availableBytes else {
                throw .invalid(
                    "--kv-cache-bytes \(bytes) is more than the \(availableBytes) bytes of memory that are free; "
                        + "give less, or leave it out for a share of them")
            }
            let most = Int(Int32.max) / options.blockSize
            guard bytes / blockBytes <= most else {
                throw .invalid("--kv-cache-bytes \(bytes) is more than \(most * blockBytes), which 2^31 tokens fill")
            }
            return bytes / blockBytes
        }
        // Twice what running sequences can fill leaves room for cached prefixes.
        let useful = 2 * sequences * (roundUp(length, options.blockSize) / options.blockSize)
        let share = Int(Double(availableBytes) * options.memoryShare) / blockBytes
        guard share > 0 else {
            throw .invalid("no memory for the KV cache: \(availableBytes) bytes are free; give --kv-cache-bytes")
        }
        return min(useful, share, Int(Int32.max) / options.blockSize)
    }

    private static func roundUp(_ value: Int, _ unit: Int) -> Int { (value + unit - 1) / unit * unit }

    /// - Parameter compiled: the most that an artifact can be compiled for; nil where that is the model's to say.
    private static func atMost(_ limit: Int, _ asked: Int?, flag: String, compiled: Int?) throws(ConfigurationError) -> Int {
        guard let asked else { return limit }
        guard asked > 0 else { throw .invalid("\(flag) \(asked) must be at least 1") }
        guard asked > limit else { return asked }
        let fact = "\(flag) \(asked) is more than the artifact was compiled for (\(limit))"
        let again = "compile again with vlmc compile \(flag) \(asked)"
        guard let compiled else { throw .invalid("\(fact); give less, or, where the model takes as many, \(again)") }
        throw .invalid(asked > compiled ? "\(fact), and than any can be (\(compiled)); give less" : "\(fact); \(again)")
    }
}

/// Why settings do not fit.
package enum ConfigurationError: Error, Sendable, CustomStringConvertible {
    case invalid(String)

    package var description: String {
        switch self {
        case .invalid(let what): what
        }
    }
}
