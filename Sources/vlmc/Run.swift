import ArgumentParser
import ArtifactFormat
import CommandLineSupport
import Execution
import Foundation
import Inputs
import JSON
import Plan

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
        guard maxTokens > 0 else { throw Failure("--max-tokens \(maxTokens) must be at least 1") }
        let clock = ContinuousClock()
        let start = clock.now
        let opened = try OpenedModel(try store.artifact(artifact), threads: computing.threads)
        let prompt = try Failure.wrapping { try opened.prepare([message()], pictures: try pictures(opened.spec.picture)) }
        let limit = opened.artifact.program.limits.maxModelLength
        guard prompt.inputIDs.count < limit else {
            throw Failure("the prompt has \(prompt.inputIDs.count) tokens, the artifact takes \(limit) with the answer")
        }
        let capacity = prompt.inputIDs.count + min(maxTokens, limit - prompt.inputIDs.count)
        let loaded = clock.now
        let (tokens, first) = try answer(opened, prompt, capacity)
        let end = clock.now
        try StandardOutput.write("\n")
        let rate = Double(max(tokens - 1, 0)) / max(seconds(end - first), 1e-9)
        StandardError.say(
            String(
                format: "%d prompt tokens; ready %.2f s, first token %.2f s, %d tokens at %.1f tokens/s", prompt.inputIDs.count,
                seconds(loaded - start), seconds(first - loaded), tokens, rate))
    }

    private func seconds(_ duration: Duration) -> Double {
        Double(duration.components.seconds) + Double(duration.components.attoseconds) * 1e-18
    }

    private func pictures(_ spec: PictureSpec?) throws -> [Image] {
        try images.map { path in
            let bytes = try Failure.wrapping { () throws(FileError) in try InputFile.read(path) }
            do { return try ImageDecoder(spec).decode(bytes) } catch { throw Failure("\(path): \(error)") }
        }
    }

    private func message() -> JSONValue {
        func object(_ members: [(String, JSONValue)]) -> JSONValue {
            var object = JSONObject()
            for (key, value) in members { object[key] = value }
            return .object(object)
        }
        let pictures = images.map { _ in object([("type", "image")]) }
        let text = object([("type", "text"), ("text", .string(question))])
        return object([("role", "user"), ("content", .array(pictures + [text]))])
    }

    /// Streams the answer; returns the number of its tokens and when the first one was there.
    private func answer(
        _ opened: OpenedModel, _ prompt: PreparedPrompt, _ capacity: Int
    ) throws -> (tokens: Int, first: ContinuousClock.Instant) {
        let sequence = try SingleSequence(opened.model, capacity: capacity)
        let features = try sequence.encode(prompt.vision)
        var logits = try sequence.prefill(prompt.sequence(features))
        let first = ContinuousClock().now
        var position = (prompt.positions.ids.max() ?? -1) + 1
        let axis = opened.spec.positions.lengths?.axis(prompt: prompt.tokens.count, known: prompt.tokens.count)
        var decoder = IncrementalDecoder(opened.tokenizer, skipSpecialTokens: true)
        var choice = GreedyChoice(opened.spec, prompt: prompt.tokens)
        var count = 0
        while true {
            count += 1
            let token = choice.token(logits[...])
            choice.append(token)
            if opened.spec.endTokenIDs.contains(token) { break }
            try StandardOutput.write(decoder.append(token))
            guard prompt.inputIDs.count + count < capacity, count < maxTokens else { break }
            logits = try sequence.decode(token, position: position, axis: axis)
            position += 1
        }
        try StandardOutput.write(decoder.finish())
        return (count, first)
    }
}
