import ArgumentParser
import ArtifactFormat
import CHeap
import CommandLineSupport
import ForeignFlags
import Foundation
import Glibc
import HTTPAPI

/// `vlm-serve`: answers chat requests about text and images with a compiled model.
@main
struct VLMServe: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "vlm-serve",
        abstract: "Serves a compiled vision-language model over the APIs of OpenAI and Anthropic.",
        discussion: """
            One command, which compiles the model where the store does not have it as it is now:
              vlm-serve MODEL_DIRECTORY --port 8000
            The same in two:
              vlm-serve "$(vlmc compile MODEL_DIRECTORY)" --port 8000

            A file of requests in OpenAI's batch form is answered without a server (its own flags: vlm-serve run-batch --help):
              vlm-serve run-batch -i requests.jsonl -o results.jsonl MODEL_DIRECTORY

            Routes: POST /v1/chat/completions, /v1/responses, /v1/completions, /v1/embeddings, /generate, /v1/messages, /v1/messages/count_tokens, /tokenize, /detokenize; GET / (the playground, a page for browsers), /docs and /openapi.json (what can be asked), /v1/models, /health, /ready, /live, /ping, /version, /load, /metrics.
            It says "listening on http://HOST:PORT" (https:// with --ssl-certfile) on stderr once it can answer; /health is 503 before, 200 after.
            Messages: roles system, developer (read as system), user, assistant and tool; a message's name is ignored.
            Answers: JSON of a schema, texts of an expression, a grammar or choices (response_format, guided_*, structured_outputs), calls of tools (tools, tool_choice).
            Sizes and lengths may end in \(Size.suffixes): powers of 1000 and of 1024.
            Flags of vllm serve and llama-server are known: what is called otherwise here is translated, what has no effect is said, what cannot be done is an error with the reason. Translated are
              \(ForeignFlag.translations.joined(separator: "\n  "))
            Taken without effect, in parentheses with these values alone: \(ForeignFlag.effectless)
            --no- before a flag of vllm serve, or one of these, that takes no value leaves it out.
            Variables of the environment count where neither the command line nor --config gives their flag:
              \(ForeignVariable.translations.joined(separator: "\n  "))
            SIGTERM and SIGINT refuse new requests, let those at work end, and stop; a second one ends the process at once.
            """,
        version: toolVersion)

    @OptionGroup var choice: ModelFlags
    @OptionGroup(title: "Network") var network: NetworkOptions
    @OptionGroup(title: "TLS") var tls: TLSFlags
    @OptionGroup(title: "Engine") var engine: EngineFlags
    @OptionGroup(title: "Adapters") var adapters: AdapterFlags
    @OptionGroup(title: "Inputs") var inputs: InputFlags
    @OptionGroup(title: "Images by address") var media: MediaFlags
    @OptionGroup(title: "Answers") var answers: AnswerFlags
    @OptionGroup(title: "As compiled") var compiled: CompiledFlags

    static func main() async {
        ProcessSignals.prepare()
        vlm_heap_configure()
        // Until there is something to stop, `StopSignals` has not begun.
        for number in [SIGTERM, SIGINT] {
            signal(number) { number in
                SiblingCompiler.stop(number)
                _exit(0)
            }
        }
        let words = CommandLine.arguments.dropFirst()
        guard !words.isEmpty else { end(with: ValidationError("give a model's directory or an artifact; vlm-serve --help lists the flags")) }
        if words.first == RunBatch.verb { await RunBatch.main(Array(words.dropFirst())) }
        if words.first == "help" { exit(withError: CleanExit.helpRequest(VLMServe.self)) }
        if let error = misreadVerb(Array(words)) { end(with: error) }
        var read = CommandLineWords.Reading(words: Array(words))
        do {
            read = try CommandLineWords.read(read.words, of: VLMServe.self)
            var command = try parseAsRoot(read.words)
            guard let server = command as? VLMServe else {
                try command.run()
                exit()
            }
            ServerLog.begin(server.network.logFormat, level: server.network.logLevel)
            read.notes.forEach { ServerLog.say($0) }
            try await server.run()
            exit()
        } catch {
            end(with: error, words: read.words, origins: read.origins)
        }
    }

    static var _errorPrefix: String { "error: " }

    /// What is said of a first word that is meant as a verb and is none; nil for a model's or an artifact's name.
    private static func misreadVerb(_ words: [String]) -> ValidationError? {
        guard let word = words.first, !word.hasPrefix("-"), !FileManager.default.fileExists(atPath: word) else { return nil }
        if word == "serve" { return ValidationError("serving has no verb here; give the model alone: vlm-serve MODEL") }
        if words.count > 1, !words[1].hasPrefix("-"), let other = Verbs.elsewhere(word, than: "vlm-serve") {
            return ValidationError("vlm-serve has no verb \(word); did you mean \(other)?")
        }
        guard word.count >= RunBatch.verb.count - 2 else { return nil }
        return Spelling.closest(to: word, among: [RunBatch.verb]).map { ValidationError("vlm-serve has no verb \(word); did you mean \($0)?") }
    }

    func run() async throws {
        do {
            let secure = try tls.server()
            let rules = try media.rules()
            network.warnings.forEach(ServerLog.warn)
            inputs.notes.forEach { ServerLog.say("note: \($0)") }
            let (served, port) = try await opened(secure)
            try await Launch(served: served, network: network, port: port, tls: secure, engine: engine, inputs: inputs, media: rules).run()
        } catch let code as ExitCode {
            throw code
        } catch {
            if network.logFormat == .json { ServerLog.fail("\(error)") } else { Console.error("\(error)") }
            throw ExitCode.failure
        }
    }

    /// The artifact, and the port, which is open already where a model may have had to be compiled.
    private func opened(_ secure: ServerTLS?) async throws -> (ServedArtifact, port: OpenPort?) {
        let (artifact, draft, compiled, engine) = (choice.artifact(engine, adapters, compiled), choice.draft(engine), compiled, engine)
        let (adapters, inputs, answers) = (adapters, inputs, answers)
        let open = { @Sendable () throws -> ServedArtifact in
            try ServedArtifact(artifact, compiled, draft: draft, engine: engine, adapters: adapters, inputs: inputs, answers: answers)
        }
        guard artifact.isModel, artifact.compiles else { return (try open(), nil) }
        return try await Lobby(network.options(secure), progress: SiblingCompiler.progress).open { _ in try open() }
    }
}
