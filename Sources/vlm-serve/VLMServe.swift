import ArgumentParser
import ArtifactFormat
import CHeap
import CommandLineSupport
import ForeignFlags
import Foundation

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

            Routes: POST /v1/chat/completions, /v1/responses, /v1/completions, /v1/messages, /v1/messages/count_tokens, /tokenize, /detokenize; GET / (the playground, a page for browsers), /docs and /openapi.json (what can be asked), /v1/models, /health, /ready, /live, /ping, /version, /load, /metrics.
            It says "listening on http://HOST:PORT" on stderr once it can answer; /health is 503 before, 200 after.
            Messages: roles system, developer (read as system), user, assistant and tool; a message's name is ignored.
            Answers: JSON of a schema, texts of an expression, a grammar or choices (response_format, guided_*, structured_outputs), calls of tools (tools, tool_choice).
            Sizes and lengths may end in \(Size.suffixes): powers of 1000 and of 1024.
            Flags of vllm serve and llama-server are known: what is called otherwise here is translated, what has no effect is said, what cannot be done is an error with the reason. Translated are
              \(ForeignFlag.translations.joined(separator: "\n  "))
            Variables of the environment count where neither the command line nor --config gives their flag:
              \(ForeignVariable.translations.joined(separator: "\n  "))
            SIGTERM and SIGINT refuse new requests, let those at work end, and stop; a second one ends the process at once.
            """,
        version: toolVersion)

    @Argument(
        help: ArgumentHelp(
            "A HuggingFace model directory, or OWNER/NAME in HuggingFace's cache; or an artifact: its directory as vlmc compile prints it, or its model's name or the beginning of its key as vlm-cache ls prints them.",
            valueName: "model"))
    var model: String

    @Flag(inversion: .prefixedNo, help: "Compile a model that the store does not have as it is now, by the vlmc beside this program.")
    var compile = true

    @Option(help: ArgumentHelp("Where names and keys are looked up; else $VLM_STORE, else $XDG_CACHE_HOME/vlm, else ~/.cache/vlm.", valueName: "dir"))
    var store: String?

    @Option(help: ArgumentHelp("Flags and their values in YAML, such as max-model-len: 4096, as vllm serve --config takes them; the command line wins.", valueName: "file"))
    var config: String?

    @Flag(help: "Serve an artifact of a store that other users own or may write to; VLM_TRUST_STORE=1 says the same.")
    var trustStore = false

    @OptionGroup(title: "Network") var network: NetworkOptions
    @OptionGroup(title: "Engine") var engine: EngineFlags
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
        do {
            var command = try parseAsRoot(CommandLineWords.read())
            if let server = command as? VLMServe { try await server.run() } else { try command.run() }
            exit()
        } catch {
            end(with: error)
        }
    }

    static var _errorPrefix: String { "error: " }

    func run() async throws {
        do {
            let choice = ArtifactChoice(
                name: model, store: store, trustsStore: trustStore, compiles: compile, compileFlags: engine.compileFlags + compiled.compileFlags)
            try await Launch(choice, compiled, network: network, engine: engine, inputs: inputs, media: media, answers: answers).run()
        } catch let code as ExitCode {
            throw code
        } catch {
            Console.error("\(error)")
            throw ExitCode.failure
        }
    }
}
