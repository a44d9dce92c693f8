import ArgumentParser
import Budgets
import CommandLineSupport
import Foundation
import Inputs
import JSON
import ModelRuntime
import Serving

struct Run: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Ask an artifact one question; the answer is streamed to stdout.",
        discussion: "Decodes greedily, without a server. Timings go to stderr.")

    @Argument(help: "An artifact's directory, the beginning of its key, or its model's name.")
    var artifact: String

    @Argument(help: "The question.")
    var question: String

    @Option(name: .customLong("image"), help: "A \(ImageFormat.list) file; may be given several times.")
    var images: [String] = []

    @Option(help: "Most tokens of the answer.")
    var maxTokens = 256

    @OptionGroup var store: StoreOption
    @OptionGroup var computing: ComputeOptions

    func run() throws {
        guard maxTokens > 0 else { throw ValidationError("--max-tokens \(maxTokens) must be at least 1") }
        let clock = ContinuousClock()
        let start = clock.now
        let session = try computing.session(try store.artifact(artifact))
        let pipeline = try Failure.wrapping { () throws(SessionError) in try session.pipeline() }
        let files = try files()
        let prompt = try WorkBudget.prepare { budget throws(InputError) in
            try pipeline.prompt(messages: [message()], images: files, budget: budget)
        }
        try Failure.wrapping { () throws(EngineFailure) in try session.engine.waitUntilServing() }
        let loaded = clock.now
        let room = session.engine.configuration.maxModelLength - prompt.ids.count
        let request = GenerationRequest(
            prompt: prompt, sampling: pipeline.greedySampling, maxTokens: min(maxTokens, room), endTokens: pipeline.endTokens,
            decoder: pipeline.makeDecoder())
        let (tokens, first) = try answer(session.engine, request)
        let end = clock.now
        try StandardOutput.write("\n")
        let rate = Double(max(tokens - 1, 0)) / max(seconds(end - first), 1e-9)
        StandardError.say(
            String(
                format: "%d prompt tokens; ready %.2f s, first token %.2f s, %d tokens at %.1f tokens/s", prompt.ids.count,
                seconds(loaded - start), seconds(first - loaded), tokens, rate))
    }

    private func seconds(_ duration: Duration) -> Double {
        Double(duration.components.seconds) + Double(duration.components.attoseconds) * 1e-18
    }

    private func files() throws -> [EncodedImage] {
        try images.map { path in
            EncodedImage(file: try Failure.wrapping { () throws(FileError) in try InputFile.read(path) }, place: path)
        }
    }

    private func message() -> JSONValue {
        func object(_ members: [(String, JSONValue)]) -> JSONValue {
            var object = JSONObject()
            for (key, value) in members { object[key] = value }
            return .object(object)
        }
        let images = images.map { _ in object([("type", "image")]) }
        let text = object([("type", "text"), ("text", .string(question))])
        return object([("role", "user"), ("content", .array(images + [text]))])
    }

    /// Streams the answer; returns the number of its tokens and when its first text was there.
    private func answer(_ engine: Engine, _ request: GenerationRequest) throws -> (tokens: Int, first: ContinuousClock.Instant) {
        var first: ContinuousClock.Instant?
        do {
            let completion = try engine.answer(request) { text in
                if first == nil { first = ContinuousClock.now }
                try StandardOutput.write(text)
            }
            return (completion.usage.completionTokens, first ?? ContinuousClock.now)
        } catch let error as OutputError {
            throw error
        } catch {
            throw Failure("\(error)")
        }
    }
}
