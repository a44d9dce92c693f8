internal import ArtifactFormat
internal import Budgets
internal import CPUBackend
public import Foundation
internal import Inputs
internal import ModelRuntime
internal import Plan
internal import Serving
internal import VideoDecoding

/// Loads the artifact in a directory, as `vlmc compile` prints it, and returns once the model answers.
public func loadModelContainer(directory: URL, options: ModelOptions = ModelOptions()) async throws(ModelError) -> ModelContainer {
    let engineOptions = try options.engineOptions()
    let workers = WorkerPool(count: 2)
    return try await ModelError.wrapping {
        let container = try await workers.run(.long, .generous()) {
            let artifact = try Artifact.open(directory: directory.path)
            let session = try Session(artifact, on: CPUBackend(threads: options.threads), options: engineOptions)
            var pipeline = try session.pipeline(maxImagePixels: options.maxImagePixels)
            if let decoder = options.videoProgram.map({ FrameProgram(path: $0.path) }) ?? .sibling() { pipeline.videoDecoder = decoder }
            return ModelContainer(session, pipeline, workers)
        }
        try await container.waitUntilServing()
        return container
    }
}

/// A model at work. Requests from any number of tasks are computed together, as a server's are; what they share is computed once.
///
/// Its memory is free once nobody holds it or reads one of its answers.
public final class ModelContainer: Sendable {
    let session: Session
    private let pipeline: InputPipeline
    private let workers: WorkerPool

    fileprivate init(_ session: Session, _ pipeline: InputPipeline, _ workers: WorkerPool) {
        (self.session, self.pipeline, self.workers) = (session, pipeline, workers)
    }

    /// Tokens of prompt and answer together.
    public var contextLength: Int { session.engine.configuration.maxModelLength }

    /// Requests that are computed at once; more wait for their turn.
    public var maxSequences: Int { session.engine.configuration.maxSequences }

    /// Whether prompts may have images.
    public var takesImages: Bool { pipeline.spec.image != nil }

    /// Whether prompts may have videos.
    public var takesVideos: Bool { MediaTaken(pipeline.spec).videos }

    /// What the model is doing.
    public var load: ModelLoad {
        let metrics = session.engine.metrics
        return ModelLoad(running: metrics.running, waiting: metrics.waiting, kvCacheUsage: metrics.kvUsage)
    }

    /// Answers a question about images and videos, which stand before it.
    public func generate(
        prompt: String, images: [UserInput.Image] = [], videos: [UserInput.Video] = [], parameters: GenerateParameters = GenerateParameters()
    ) async throws(ModelError) -> GenerationStream {
        try await generate(input: UserInput(prompt: prompt, images: images, videos: videos), parameters: parameters)
    }

    /// Answers a conversation. Returns once the prompt is made, and throws for images and messages that the model does not take.
    public func generate(input: UserInput, parameters: GenerateParameters = GenerateParameters()) async throws(ModelError) -> GenerationStream {
        try await generate(input: input, parameters: parameters) { _ in }
    }

    /// - Parameter onEnd: told once of the answer's text, whether it is whole or was left.
    func generate(
        input: UserInput, parameters: GenerateParameters, onEnd: @escaping @Sendable (_ text: String) -> Void
    ) async throws(ModelError) -> GenerationStream {
        try parameters.validate()
        guard !input.chat.isEmpty else { throw .input("the conversation has no messages") }
        return try await ModelError.wrapping {
            let prompt = try await prepare { pipeline, budget in
                try pipeline.prompt(messages: input.messages, images: input.files(), budget: budget)
            }
            let request = try parameters.request(prompt, pipeline, contextLength: contextLength)
            return GenerationStream(try session.engine.submit(request), of: self, onEnd: onEnd)
        }
    }

    /// Whole answers to many inputs, in their order; as many as fit are computed together. An input that fails does not touch the others.
    public func generate(
        batch inputs: [UserInput], parameters: GenerateParameters = GenerateParameters()
    ) async -> [Result<GenerateResult, ModelError>] {
        await withTaskGroup(of: (Int, Result<GenerateResult, ModelError>).self) { group in
            var results: [Result<GenerateResult, ModelError>] = Array(repeating: .failure(.cancelled), count: inputs.count)
            // Twice as many as are computed at once, so that prompts are ready when a place is.
            let width = max(2, min(2 * maxSequences, maxSequences + session.engine.configuration.maxQueued))
            for (index, input) in inputs.enumerated() {
                if index >= width, let (done, result) = await group.next() { results[done] = result }
                group.addTask { (index, await self.result(of: input, parameters)) }
            }
            for await (done, result) in group { results[done] = result }
            return results
        }
    }

    private func result(of input: UserInput, _ parameters: GenerateParameters) async -> Result<GenerateResult, ModelError> {
        do throws(ModelError) {
            return .success(try await GenerateResult(try await generate(input: input, parameters: parameters)))
        } catch {
            return .failure(error)
        }
    }

    /// What the decoder reads of each image in place of tokens; remembered for questions about the same image.
    public func imageEmbeddings(of images: [UserInput.Image]) async throws(ModelError) -> [ImageEmbeddings] {
        try await ModelError.wrapping {
            var embeddings: [ImageEmbeddings] = []
            for (index, image) in images.enumerated() {
                let (prompt, size) = try await prepare { pipeline, budget in
                    try pipeline.imageAlone(image.file(place: "images[\(index)]"), budget: budget)
                }
                let values = try await session.engine.imageEmbeddings(of: prompt)
                embeddings.append(ImageEmbeddings(values: values, rows: prompt.images[0].tokens.count, imageSize: size))
            }
            return embeddings
        }
    }

    /// The tokens of a text in which special tokens may be spelled out, with those that the tokenizer puts around it.
    public func encode(_ text: String) async throws(ModelError) -> [Int] {
        try await ModelError.wrapping {
            try await prepare { pipeline, budget in try pipeline.tokens(of: text, addsSpecialTokens: true, budget: budget).map { Int($0) } }
        }
    }

    /// The text of tokens, without special ones.
    public func decode(tokenIds: [Int]) async throws(ModelError) -> String {
        let size = pipeline.spec.vocabularySize
        if let stray = tokenIds.first(where: { !(0..<size).contains($0) }) { throw .input("token \(stray) is outside the vocabulary of \(size)") }
        return try await ModelError.wrapping {
            try await prepare { pipeline, budget in try pipeline.text(of: tokenIds.map { Int32($0) }, TokenShowing(), budget: budget) }
        }
    }

    /// Refuses further requests and lets those at work end; after `timeout` they are cancelled.
    public func stop(timeout: Duration = .seconds(30)) async { await session.engine.drain(timeout: timeout) }

    /// Makes inputs on a thread that nothing else waits for.
    private func prepare<Value: Sendable>(_ work: @escaping @Sendable (InputPipeline, WorkBudget) throws -> Value) async throws -> Value {
        let budget = WorkBudget.generous()
        return try await workers.run(.long, budget) { [pipeline] in try work(pipeline, budget) }
    }

    fileprivate func waitUntilServing() async throws {
        while true {
            switch session.engine.phase {
            case .serving: return
            case .failed(let reason): throw ModelError.artifact(reason)
            case .draining, .stopped: throw ModelError.cancelled
            case .loading, .warming: try await Task.sleep(for: .milliseconds(2))
            }
        }
    }
}

/// How busy a model is.
public struct ModelLoad: Sendable {
    /// Requests that are computed, and those that wait for a place or for memory.
    public let running: Int
    public let waiting: Int
    /// Share of the KV cache that they use, 0 … 1.
    public let kvCacheUsage: Double
}

/// A whole answer.
public struct GenerateResult: Sendable {
    public let text: String
    /// The tokens, where `GenerateParameters.logprobs` asks for them.
    public let tokens: [TokenInfo]
    public let info: GenerateCompletionInfo

    /// Reads an answer to its end.
    public init(_ stream: GenerationStream) async throws(ModelError) {
        var (text, tokens) = ("", [TokenInfo]())
        for try await piece in stream {
            switch piece {
            case .chunk(let more): text += more
            case .token(let token): tokens.append(token)
            case .info(let info):
                (self.text, self.tokens, self.info) = (text, tokens, info)
                return
            }
        }
        throw .cancelled
    }
}

/// An image as the decoder reads it.
public struct ImageEmbeddings: Sendable, Hashable {
    /// f32[rows, width], row after row.
    public let values: [Float]
    /// Tokens of the prompt that stand for the image.
    public let rows: Int
    /// Of the image, in pixels: how its tokens stand follows from it.
    let imageSize: ImageSize

    /// Numbers of one row.
    public var width: Int { rows > 0 ? values.count / rows : 0 }

    var given: GivenEmbeddings { GivenEmbeddings(values: values, rows: rows, origin: .size(imageSize)) }
}
