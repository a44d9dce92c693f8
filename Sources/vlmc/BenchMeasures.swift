import ArtifactFormat
import Budgets
import CommandLineSupport
import Compiler
import Foundation
import Inputs
import JSON
import ModelRuntime
import Plan
import Serving

/// What is measured of an engine.
extension BenchRun {
    func prefill() throws -> BenchSample { try prefill(ids(prompt)) }

    private func prefill(_ ids: [Int32]) throws -> BenchSample {
        let times = TokenTimes(), began = ContinuousClock.now
        _ = try session.engine.answers([request(times, prompt: ids, maxTokens: 1)])
        let rate = Double(ids.count) / Self.seconds(began, times.first)
        return BenchSample(name: "prefill \(ids.count)", unit: BenchFigure.rate, value: rate) { $0.prefillRate(tokens: ids.count) }
    }

    /// Decodes so many sequences; the time counts from when all have a token until the first has them all.
    func decode(_ count: Int) throws -> BenchSample {
        let times = (0..<count).map { _ in TokenTimes() }
        // Prompts are read one after the other, and who is done begins to decode.
        let requests = times.map { request($0, prompt: ids(prompt), maxTokens: tokens + 2 * count) }
        _ = try session.engine.answers(requests)
        guard let from = times.map(\.first).max(), let to = times.map(\.last).min(), from < to else {
            throw Failure("--tokens \(tokens) are too few to see \(count) sequences decode side by side")
        }
        let made = times.reduce(0) { $0 + $1.count(after: from, upTo: to) }
        let context = prompt + tokens / 2
        return BenchSample(name: "decode \(count)", unit: BenchFigure.rate, value: Double(made) / Self.seconds(from, to)) {
            $0.decodeRate(sequences: count, context: context)
        }
    }

    /// The prefill of each length, and by how much a token of one sequence takes longer behind each than behind the first: the median of
    /// turns, in which the prefix cache has the prompts.
    func growth(_ lengths: [Int]) throws -> [BenchSample] {
        let prompts = lengths.map { ids($0) }
        var samples = try prompts.map { try prefill($0) }
        let turns = try (0..<Self.turns).map { _ in try prompts.map { try secondsOfToken(behind: $0) } }
        let first = lengths[0], tokens = tokens
        for (index, length) in lengths.enumerated().dropFirst() {
            // Milliseconds for a thousand tokens are microseconds for one.
            let share = 1e6 / Double(length - first)
            let more = turns.map { $0[index] - $0[0] }.sorted()[Self.turns / 2]
            samples.append(
                BenchSample(name: "a token, per 1 000 of context \(first) … \(length)", unit: BenchFigure.growth, value: more * share) { floors in
                    let rates = [first, length].map { floors.decodeRate(sequences: 1, context: $0 + tokens / 2) }
                    guard let short = rates[0], let long = rates[1] else { return nil }
                    return (1 / long - 1 / short) * share
                })
        }
        return samples
    }

    private static let turns = 5

    private func secondsOfToken(behind prompt: [Int32]) throws -> Double {
        let times = TokenTimes()
        _ = try session.engine.answers([request(times, prompt: prompt, maxTokens: tokens)])
        return Self.seconds(times.first, times.last) / Double(tokens - 1)
    }

    /// From an image's bytes to its embeddings.
    func image(_ path: String) throws -> BenchSample {
        let inputs = try pipeline ?? Failure.wrapping { () throws(SessionError) in try session.pipeline() }
        pipeline = inputs
        let file = EncodedImage(file: try Failure.wrapping { () throws(FileError) in try InputFile.read(path) }, place: path)
        let began = ContinuousClock.now
        let prompt = try WorkBudget.prepare { budget throws(InputError) in
            try inputs.prompt(messages: [.image], images: [file], budget: budget)
        }
        let prepared = Self.seconds(since: began), encoded = session.engine.metrics.imageEncode.sum
        _ = try session.engine.answers([GenerationRequest(prompt: prompt, maxTokens: 1, decoder: TokenTimes().decoder)])
        let encoding = session.engine.metrics.imageEncode.sum - encoded
        let patches = prompt.images.reduce(0) { $0 + $1.input.patches }
        return BenchSample(name: "image \(URL(filePath: path).lastPathComponent)", unit: BenchFigure.seconds, value: prepared + encoding) {
            $0.imageSeconds(patches: patches)
        }
    }

    func ids(_ count: Int) -> [Int32] {
        let range = 0..<Int32(session.artifact.program.vocabularySize)
        return (0..<count).map { _ in Int32.random(in: range) }
    }
    func request(_ times: TokenTimes, prompt ids: [Int32], maxTokens: Int) -> GenerationRequest {
        var sampling = SamplingParameters()
        sampling.temperature = 0
        return GenerationRequest(
            prompt: Prompt(text: ids, axes: session.artifact.program.positionAxes), sampling: sampling, maxTokens: maxTokens, ignoresEnd: true,
            decoder: times.decoder)
    }
}

extension JSONValue {
    /// A user's message of one image.
    fileprivate static var image: JSONValue {
        var part = JSONObject(), message = JSONObject()
        part["type"] = "image"
        message["role"] = "user"
        message["content"] = .array([.object(part)])
        return .object(message)
    }
}
