import ArgumentParser
import ArtifactFormat
import CHeap
import CommandLineSupport
import CPUBackend
import Foundation
import HostLimits
import Serving

/// `vlm-serve`: answers chat requests about text and images with a compiled model.
@main
struct VLMServe: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "vlm-serve",
        abstract: "Serves a compiled vision-language model over the APIs of OpenAI and Anthropic.",
        discussion: """
            Compile first, then serve:
              artifact=$(vlmc compile MODEL_DIRECTORY)
              vlm-serve "$artifact" --port 8000

            Routes: POST /v1/chat/completions, /v1/responses, /v1/completions, /v1/messages, /v1/messages/count_tokens, /tokenize, /detokenize; GET / (the playground, a page for browsers), /v1/models, /health, /ready, /live, /ping, /version, /load, /metrics.
            It says "listening on http://HOST:PORT" on stderr once it can answer; /health is 503 before, 200 after.
            Messages: roles system, developer (read as system), user, assistant and tool; a message's name is ignored.
            Answers: JSON of a schema, texts of an expression, a grammar or choices (response_format, guided_*, structured_outputs), calls of tools (tools, tool_choice).
            SIGTERM and SIGINT refuse new requests, let those at work end, and stop; a second one ends the process at once.
            """,
        version: toolVersion)

    @Argument(help: "The artifact: its directory as vlmc compile prints it, or its model's name or the beginning of its key as vlm-cache ls prints them.")
    var artifact: String

    @Option(help: ArgumentHelp("Where names and keys are looked up; else $VLM_STORE, else $XDG_CACHE_HOME/vlm, else ~/.cache/vlm.", valueName: "dir"))
    var store: String?

    @Flag(help: "Serve an artifact of a store that other users own or may write to; VLM_TRUST_STORE=1 says the same.")
    var trustStore = false

    @OptionGroup(title: "Network") var network: NetworkOptions
    @OptionGroup(title: "Engine") var engine: EngineFlags
    @OptionGroup(title: "Inputs") var inputs: InputFlags
    @OptionGroup(title: "Answers") var answers: AnswerFlags

    static func main() async {
        ProcessSignals.prepare()
        vlm_heap_configure()
        // Until there is something to stop, `StopSignals` has not begun.
        for number in [SIGTERM, SIGINT] { signal(number) { _ in _exit(0) } }
        do {
            var command = try parseAsRoot()
            if let server = command as? VLMServe { try await server.run() } else { try command.run() }
            exit()
        } catch where exitCode(for: error) != .success && !(error is ExitCode) {
            // The words of the command line are among these.
            StandardError.say(fullMessage(for: error))
            exit(withError: exitCode(for: error))
        } catch {
            exit(withError: error)
        }
    }

    func run() async throws {
        do {
            try await Launch(
                named: artifact, store: store, trustStore: trustStore, network: network, engine: engine, inputs: inputs, answers: answers
            ).run()
        } catch {
            Console.error("\(error)")
            throw ExitCode.failure
        }
    }
}

/// What the engine may use; at most what the artifact was compiled for.
struct EngineFlags: ParsableArguments {
    @Option(help: "Sequences computed at once.")
    var maxNumSeqs: Int?
    @Option(help: "Tokens of the longest sequence, prompt and answer.")
    var maxModelLen: Int?
    @Option(help: "Tokens computed in one step.")
    var maxNumBatchedTokens: Int?
    @Option(help: "Tokens of a KV cache block: 16, 32, 64 or 128.")
    var blockSize = EngineOptions().blockSize
    @Option(help: "Bytes of the KV cache, at most the memory that is free; wins over --gpu-memory-utilization.")
    var kvCacheBytes: Int?
    @Option(
        name: [.customLong("gpu-memory-utilization"), .customLong("memory-utilization")],
        help: "Share of the free memory that the KV cache may take.")
    var memoryUtilization = 0.5
    @Flag(
        inversion: .prefixedNo,
        help: "Reuse the KV cache of prompts that begin alike; done unless the model keeps a state of each sequence, which cannot be reused.")
    var enablePrefixCaching: Bool?
    @Option(help: "Requests that may wait beyond those that run; more are answered 429.")
    var maxNumQueuedReqs = 1024
    @Option(help: "Threads that compute; unless given, one per core that this process may use, not more than its control groups' quota keeps at work.")
    var threads: Int?

    func validate() throws {
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

    func options(imageCacheBytes: Int) -> EngineOptions {
        var options = EngineOptions()
        options.maxSequences = maxNumSeqs
        options.maxModelLength = maxModelLen
        options.maxBatchedTokens = maxNumBatchedTokens
        options.blockSize = blockSize
        options.kvCacheBytes = kvCacheBytes
        options.memoryShare = memoryUtilization
        options.cachesPrefixes = enablePrefixCaching
        options.maxQueued = maxNumQueuedReqs
        options.imageCacheBytes = imageCacheBytes
        return options
    }
}

/// Bounds of what becomes of one request before the model sees it.
struct InputFlags: ParsableArguments {
    @Option(help: "More pixels than this are refused by an image's header alone, and eight times as many in one request.")
    var maxImagePixels = 89_478_485
    @Option(help: "Seconds of processor time that reading one request may take: JSON, images, template, tokens.")
    var maxRequestCpuSeconds = 30.0
    @Option(help: "Seconds until a request must have been read, its turn included; later it is answered 429.")
    var requestDeadline = 120.0
    @Option(help: "Bytes of image embeddings kept for reuse; 0 for none.")
    var imageCacheBytes = 512 << 20

    func validate() throws {
        guard maxImagePixels >= 1 else { throw ValidationError("--max-image-pixels must be at least 1") }
        for (name, value) in [("--max-request-cpu-seconds", maxRequestCpuSeconds), ("--request-deadline", requestDeadline)] {
            guard value > 0, value <= 86400 else { throw ValidationError("\(name) \(value) is not above 0 and at most 86400 seconds") }
        }
        guard imageCacheBytes >= 0 else { throw ValidationError("--image-cache-bytes must not be negative") }
    }
}
