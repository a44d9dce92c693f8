import ArtifactFormat
import Budgets
import CPUBackend
import CommandLineSupport
import Compiler
import Foundation
import HostLimits
import Inputs
import JSON
import ModelRuntime
import Plan
import Serving

/// The engine that a server would run, measured.
struct BenchRun {
    let start: BenchFigure
    let heading: String
    let session: Session
    let floors: SpeedFloors
    let clock = StepClock()
    let prompt, tokens: Int
    private var pipeline: InputPipeline?
    private var dice = SystemRandomNumberGenerator()

    /// - Parameter timesKernels: whether `kernels()` is asked for, which costs a little time for each step.
    init(_ directory: String, threads: Int?, machine: Machine, prompt: Int, tokens: Int, timesKernels: Bool) throws {
        let began = ContinuousClock.now
        let artifact = try Failure.wrapping { () throws(ArtifactError) in try Artifact.open(directory: directory) }
        var options = EngineOptions()
        options.cachesPrefixes = false
        options.imageCacheBytes = 0
        let backend = CPUBackend(threads: threads, clock: timesKernels ? clock : nil)
        session = try Failure.wrapping { () throws(ConfigurationError) in
            try Session(artifact, on: backend, options: options)
        }
        let engine = session.engine
        try Failure.wrapping { () throws(EngineFailure) in try engine.waitUntilServing() }
        clock.reset()
        start = BenchFigure(name: "start", unit: BenchFigure.seconds, values: [Self.seconds(since: began)])
        let count = threads ?? Processors.ofThisProcess.threads
        floors = SpeedFloors(artifact.program, weights: artifact.weights, machine: machine, threads: count)
        heading = "\(artifact.manifest.provenance.model), \(artifact.manifest.key.precision.rawValue), \(count) \(count == 1 ? "thread" : "threads") of \(machine.processor)"
        let room = engine.configuration.maxModelLength
        guard prompt + tokens + 2 * engine.configuration.maxSequences <= room else {
            throw Failure("--prompt \(prompt) and --tokens \(tokens) do not fit into the context of \(room) tokens")
        }
        (self.prompt, self.tokens) = (prompt, tokens)
    }

    var gears: [Int] { session.engine.configuration.gears }
    /// The longest prompt that leaves room for the tokens that are decoded.
    var contextMax: Int { session.engine.configuration.maxModelLength - tokens }

    mutating func prefill() throws -> BenchFigure {
        let times = TokenTimes(), began = ContinuousClock.now
        _ = try session.engine.answers([request(times, prompt: prompt, maxTokens: 1)])
        let rate = Double(prompt) / Self.seconds(began, times.first)
        return BenchFigure(name: "prefill \(prompt)", unit: BenchFigure.rate, values: [rate], floor: floors.prefillRate(tokens: prompt))
    }

    /// Decodes so many sequences; the time counts from when all have a token until the first has them all.
    mutating func decode(_ count: Int) throws -> BenchFigure {
        let times = (0..<count).map { _ in TokenTimes() }
        // Prompts are read one after the other, and who is done begins to decode.
        let requests = times.map { request($0, prompt: prompt, maxTokens: tokens + 2 * count) }
        _ = try session.engine.answers(requests)
        guard let from = times.map(\.first).max(), let to = times.map(\.last).min(), from < to else {
            throw Failure("--tokens \(tokens) are too few to see \(count) sequences decode side by side")
        }
        let made = times.reduce(0) { $0 + $1.count(after: from, upTo: to) }
        return BenchFigure(
            name: "decode \(count)", unit: BenchFigure.rate, values: [Double(made) / Self.seconds(from, to)],
            floor: floors.decodeRate(sequences: count, context: prompt + tokens / 2))
    }

    /// The prefill of each length, and by how much a token of one sequence takes longer behind each than behind the first.
    mutating func growth(_ lengths: [Int]) throws -> [BenchFigure] {
        var figures: [BenchFigure] = []
        var first: (length: Int, seconds: Double, floor: Double?)?
        for length in lengths {
            let times = TokenTimes(), began = ContinuousClock.now
            _ = try session.engine.answers([request(times, prompt: length, maxTokens: tokens)])
            let rate = Double(length) / Self.seconds(began, times.first)
            figures.append(BenchFigure(name: "prefill \(length)", unit: BenchFigure.rate, values: [rate], floor: floors.prefillRate(tokens: length)))
            let token = Self.seconds(times.first, times.last) / Double(tokens - 1)
            let floor = floors.decodeRate(sequences: 1, context: length + tokens / 2).map { 1 / $0 }
            guard let first else {
                first = (length, token, floor)
                continue
            }
            // Milliseconds for a thousand tokens are microseconds for one.
            let share = 1e6 / Double(length - first.length)
            let least = floor.flatMap { floor in first.floor.map { (floor - $0) * share } }
            figures.append(
                BenchFigure(
                    name: "a token, per 1 000 of context \(first.length) … \(length)", unit: BenchFigure.growth, values: [(token - first.seconds) * share],
                    floor: least))
        }
        return figures
    }

    /// From an image's bytes to its embeddings.
    mutating func image(_ path: String) throws -> BenchFigure {
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
        return BenchFigure(
            name: "image \(URL(filePath: path).lastPathComponent)", unit: BenchFigure.seconds, values: [prepared + encoding],
            floor: floors.imageSeconds(patches: patches))
    }

    private mutating func request(_ times: TokenTimes, prompt length: Int, maxTokens: Int) -> GenerationRequest {
        let program = session.artifact.program
        let ids = (0..<length).map { _ in Int32.random(in: 0..<Int32(program.vocabularySize), using: &dice) }
        var sampling = SamplingParameters()
        sampling.temperature = 0
        return GenerationRequest(
            prompt: Prompt(text: ids, axes: program.positionAxes), sampling: sampling, maxTokens: maxTokens, ignoresEnd: true,
            decoder: times.decoder)
    }

    private static func seconds(_ from: ContinuousClock.Instant, _ to: ContinuousClock.Instant) -> Double {
        (to - from) / .seconds(1)
    }

    private static func seconds(since began: ContinuousClock.Instant) -> Double { seconds(began, .now) }
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
