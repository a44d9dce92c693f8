import ArgumentParser
import CommandLineSupport
import Foundation
import HTTPAPI
import MediaFetching
import ModelRuntime
import Serving

/// `vlm-serve run-batch`: answers the requests of a file, and writes the answers to another.
struct RunBatch: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "vlm-serve run-batch",
        abstract: "Answers a file of requests in OpenAI's batch form with a compiled model, without a server.",
        discussion: """
            Each line of the input is a request, and each line of the output its result, in the order in which they are done:
              {"custom_id": "1", "method": "POST", "url": "/v1/chat/completions", "body": {"model": …, "messages": …}}
              {"id": …, "custom_id": "1", "response": {"status_code": 200, "request_id": …, "body": …}, "error": null}
            A request that cannot be answered has a result as well, with its error. Urls: /v1/chat/completions, /v1/completions,
            /v1/responses, /v1/embeddings.
            Whatever ended a run: the same command goes on with the lines that have no result yet.
            It exits with 0 once every line has its result, errors among them, and with 1 where it could not go on.
            """)

    @Option(name: [.customShort("i"), .long], help: ArgumentHelp("Requests, a JSON object in each line.", valueName: "file"))
    var inputFile: String

    @Option(
        name: [.customShort("o"), .long],
        help: ArgumentHelp("Where results go; what it holds of an earlier run stays, and is not asked again.", valueName: "file"))
    var outputFile: String

    @OptionGroup var choice: ModelFlags
    @Option(name: .customLong("served-model-name"), help: "A name that requests may use; may be given more than once.")
    var servedModelNames: [String] = []
    @Option(help: "Most bytes of a request.")
    var maxBodyBytes = Size(argument: "64Mi") ?? Size(64 << 20)

    @OptionGroup(title: "Engine") var engine: EngineFlags
    @OptionGroup(title: "Adapters") var adapters: AdapterFlags
    @OptionGroup(title: "Inputs") var inputs: InputFlags
    @OptionGroup(title: "Images by address") var media: MediaFlags
    @OptionGroup(title: "Answers") var answers: AnswerFlags
    @OptionGroup(title: "As compiled") var compiled: CompiledFlags

    static var _errorPrefix: String { "error: " }
    static let verb = "run-batch"

    /// Runs the command with the words behind its verb, and ends the process.
    static func main(_ words: [String]) async -> Never {
        var read = CommandLineWords.Reading(words: words)
        do {
            read = try CommandLineWords.read(words, of: RunBatch.self)
            var command = try parseAsRoot(read.words)
            ServerLog.begin(.text, level: .info)
            read.notes.forEach { ServerLog.say($0) }
            if let batch = command as? RunBatch { try await batch.run() } else { try command.run() }
            exit()
        } catch {
            end(with: error, words: read.words, origins: read.origins)
        }
    }

    func validate() throws {
        if inputFile == "-" || outputFile == "-" { throw ValidationError("- stands for no file here: requests are read twice, and results are what the next run goes on from") }
        guard (1...1 << 40).contains(maxBodyBytes.value) else { throw ValidationError("--max-body-bytes \(maxBodyBytes.value) is not in 1 … 2^40") }
    }

    func run() async throws {
        do {
            var engine = engine
            engine.pacedPrompts = engine.pacedPrompts ?? false
            inputs.notes.forEach { ServerLog.say("note: \($0)") }
            try BatchFiles.check(input: inputFile, output: outputFile)
            let rules = try media.rules()
            let served = try ServedArtifact(
                choice.artifact(engine, adapters, compiled), compiled, draft: choice.draft(engine), engine: engine, adapters: adapters, inputs: inputs, answers: answers)
            let signals = await StopSignals()
            defer { signals.cancel() }
            let file = try BatchFiles(input: inputFile, output: outputFile, lineBytesMax: maxBodyBytes.value)
            let work = Task { try await answer(file, served, rules) }
            signals.onFirst(grace: .seconds(5)) { work.cancel() }
            try await work.value
        } catch let code as ExitCode {
            throw code
        } catch is CancellationError {
            Console.error("stopped; the same command goes on with the lines that have no result yet")
            throw ExitCode.failure
        } catch {
            Console.error("\(error)")
            throw ExitCode.failure
        }
    }

    private func answer(_ files: BatchFiles, _ served: ServedArtifact, _ rules: MediaRules) async throws {
        let session = try served.session { notice in if case .warning(let text) = notice { Console.error("warning: \(text)") } }
        defer { session.engine.stop() }
        let model = try served.model(session, names: servedModelNames)
        model.pipeline = try await Task.detached { try served.pipeline(session) }.value
        while !model.isReady {
            if case .failed(let reason) = session.engine.phase { throw LaunchError(reason) }
            try await Task.sleep(for: .milliseconds(2))
        }
        var options = APIServer.Options()
        options.maxBodyBytes = maxBodyBytes.value
        try inputs.set(&options)
        options.media = rules
        let batch = BatchAnswers(model: model, options: options)
        // As many again are read while others are computed.
        let figures = try await BatchRun(files: files, batch: batch, width: 2 * session.engine.configuration.maxSequences).run()
        Console.say(figures.description)
    }
}
