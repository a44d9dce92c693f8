import ArgumentParser
import ArtifactFormat
import CPUBackend
import CommandLineSupport
import HostLimits
import Plan
import Serving

/// What the engine may use; at most what the artifact was compiled for.
struct EngineFlags: ParsableArguments {
    @Option(help: "Sequences computed at once.")
    var maxNumSeqs: Int?
    @Option(
        parsing: .unconditional,
        help: "Tokens of the longest sequence, prompt and answer; auto or -1, and unless given: as many as the artifact takes and the KV cache holds.")
    var maxModelLen: ModelLength?
    @Option(help: "Tokens computed in one step.")
    var maxNumBatchedTokens: Size?
    @Option(help: "Tokens of a KV cache block: 16, 32, 64 or 128.")
    var blockSize = EngineOptions().blockSize
    @Option(help: "Bytes of the KV cache, at most the memory that is free; wins over --gpu-memory-utilization.")
    var kvCacheBytes: Size?
    @Option(
        name: [.customLong("gpu-memory-utilization"), .customLong("memory-utilization")],
        help: "Share of the free memory that the KV cache may take.")
    var memoryUtilization = 0.5
    @Flag(
        inversion: .prefixedNo,
        help: "Reuse the KV cache of prompts that begin alike; done unless the model keeps a state of each sequence, which cannot be reused.")
    var enablePrefixCaching: Bool?
    @Flag(
        inversion: .prefixedNo,
        help: """
            Read few tokens of prompts, and encode images little, between two tokens of an answer, so that answers go on at more than half their pace; \
            else all are soonest together. Done unless a file of requests is answered.
            """)
    var pacedPrompts: Bool?
    @OptionGroup var stored: StoredBlockFlags
    @Option(help: "Answers that may wait beyond those that run; while so many do, requests are answered 429.")
    var maxNumQueuedReqs = 1024
    @OptionGroup var speculation: SpeculationFlags
    @Option(help: "fcfs: requests are computed as they come. priority: by their priority, the smallest first, which also takes the places of others.")
    var schedulingPolicy = SchedulingPolicy.fcfs
    @Option(help: "Threads that compute; unless given, one per core that this process may use, not more than its control groups' quota keeps at work.")
    var threads: Int?

    func validate() throws {
        do throws(ConfigurationError) { try options(imageCacheBytes: 0).check() } catch { throw ValidationError("\(error)") }
        for (flag, value, most) in [
            ("--max-num-seqs", maxNumSeqs, Program.Limits.sequencesMax), ("--max-num-batched-tokens", maxNumBatchedTokens?.value, Program.Limits.batchedTokensMax),
        ] {
            if let value, value > most { throw ValidationError("\(flag) \(value) is above \(most)") }
        }
        if let sequences = maxNumSeqs, let tokens = maxNumBatchedTokens?.value, tokens < sequences {
            throw ValidationError("--max-num-batched-tokens \(tokens) is below --max-num-seqs \(sequences): a step takes one token of each")
        }
        if let threads, !CPUBackend.threadRange.contains(threads) {
            throw ValidationError("--threads \(threads) is not in \(CPUBackend.threadRange.lowerBound) … \(CPUBackend.threadRange.upperBound)")
        }
    }

    /// How many threads compute, and for what reason.
    var threadsAndWhy: String {
        let found = Processors.ofThisProcess
        let byItself = "\(found.threads), \(found.reason)"
        return threads.map { "\($0), by --threads; without it \(byItself)" } ?? byItself
    }

    /// What a model is compiled for, as `vlmc compile` spells it: a step takes one sequence's guesses at least.
    var compileFlags: [String] {
        let rows = speculation.rows.map { max($0, maxNumSeqs ?? Program.Limits.sequencesDefault) } ?? maxNumSeqs
        let limits = [("--max-num-seqs", rows), ("--max-num-batched-tokens", maxNumBatchedTokens?.value)]
        return limits.flatMap { name, value in value.map { [name, "\($0)"] } ?? [] }
    }

    /// What the model must take, so that nothing is compiled in vain.
    var neededFlags: [String] { maxModelLen?.tokens.map { ["--least-model-len", "\($0)"] } ?? [] }

    func options(imageCacheBytes: Int) -> EngineOptions {
        var options = EngineOptions()
        options.maxSequences = maxNumSeqs
        options.maxModelLength = maxModelLen?.tokens
        options.maxBatchedTokens = maxNumBatchedTokens?.value
        options.blockSize = blockSize
        options.kvCacheBytes = kvCacheBytes?.value
        options.memoryShare = memoryUtilization
        options.cachesPrefixes = enablePrefixCaching
        options.pacesPrompts = pacedPrompts ?? true
        options.maxQueued = maxNumQueuedReqs
        options.blockStore = stored.store
        options.lookup = speculation.lookup
        options.draft.count = speculation.draft == nil ? nil : speculation.numSpeculativeTokens
        options.schedulingPolicy = schedulingPolicy
        options.imageCacheBytes = imageCacheBytes
        return options
    }
}

extension SchedulingPolicy: ExpressibleByArgument {}

extension EngineFlags {
    /// Throws where an artifact takes fewer tokens than are asked for, with what can be done.
    func check(_ manifest: Manifest) throws(LaunchError) {
        let most = manifest.key.limits.maxModelLength
        guard let asked = maxModelLen?.tokens, asked > most else { return }
        let fact = "--max-model-len \(asked) is more than the artifact was compiled for (\(most))"
        guard let possible = manifest.provenance.contextLength else {
            throw LaunchError("\(fact); give less, or auto, or compile the model again where it takes as many: vlmc compile DIR --max-model-len \(asked)")
        }
        guard asked <= possible else { throw LaunchError("\(fact), and the model takes \(possible) at most (max_position_embeddings); give less, or auto") }
        throw LaunchError("\(fact); give less, or auto, or compile the model again, which takes \(possible): vlmc compile DIR --max-model-len \(asked)")
    }
}
