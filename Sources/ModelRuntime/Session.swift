package import ArtifactFormat
import Dispatch
package import Execution
internal import Inputs
internal import Plan
package import Serving

/// An artifact at work: an engine that answers prompts, and what makes prompts of requests.
///
/// The server and every tool that asks a model something open artifacts here and nowhere else: what is compared, asked once or tested
/// goes the way of what is served.
package final class Session: Sendable {
    package let artifact: Artifact
    package let engine: Engine

    /// Starts the engine, which checks the weights and loads the model on a thread of its own; its phase says how far it is.
    ///
    /// - Parameters:
    ///   - adapters: those that requests may name by their place.
    ///   - draft: a model of the same tokens that guesses how answers go on, or a head that does it from this one's hidden states; nil for none. Of images
    ///     such a model sees nothing.
    ///   - options: what the engine may use, at most what the artifact was compiled for.
    ///   - availableBytes: memory that is free now.
    ///   - log: takes lines for the operator; called on the engine's thread.
    package init(
        _ artifact: Artifact, adapters: [Adapter] = [], draft: Artifact? = nil, on backend: some Backend, options: EngineOptions = EngineOptions(),
        availableBytes: Int = MachineMemory.availableBytes, log: @escaping @Sendable (EngineNotice) -> Void = { _ in }
    ) throws(ConfigurationError) {
        self.artifact = artifact
        var options = options
        options.adapters = adapters.map(\.name)
        if let draft, draft.program.innerWidthRead > 0 {
            options.draft.tokens = try draft.checkedAsHead(of: artifact)
        } else if let draft {
            options.draft.positions = try draft.checkedAsDraft(of: artifact).positions
        }
        let configuration = try EngineConfiguration(
            program: artifact.program, draft: draft?.program, options: options, availableBytes: availableBytes)
        let loadDraft = draft.map { draft -> Engine.LoadDraft in { try Self.load(draft, adapters: [], beside: $0, on: backend) } }
        let load = { @Sendable () throws -> any LoadedModel in try Self.load(artifact, adapters: adapters, beside: nil, on: backend) }
        engine = Engine(configuration: configuration, log: log, origin: { try artifact.origin }, load: load, loadDraft: loadDraft)
    }

    private static func load(
        _ artifact: Artifact, adapters: [Adapter], beside other: (any LoadedModel)?, on backend: some Backend
    ) throws -> any LoadedModel {
        try artifact.checkWeights()
        DispatchQueue.global(qos: .utility).async { artifact.prefault() }
        return try backend.load(artifact, adapters: adapters, beside: other)
    }

    /// An engine for one request at a time, which computes every prompt as a whole.
    package static func single(_ artifact: Artifact, on backend: some Backend) throws(ConfigurationError) -> Session {
        var options = EngineOptions()
        options.maxSequences = 1
        options.cachesPrefixes = false
        return try Session(artifact, on: backend, options: options)
    }

    /// Reads tokenizer and template, which takes a moment; they are not kept.
    ///
    /// - Parameter template: the source of a chat template in place of the artifact's.
    package func pipeline(maxImagePixels: Int = ImageDecoder.defaultMaxPixels, template: String? = nil) throws(SessionError) -> InputPipeline {
        let configuration = engine.configuration
        return try ModelInputs(artifact, template: template).pipeline(
            maxPatches: configuration.maxPatches, maxImagePixels: maxImagePixels, contextLength: configuration.maxModelLength)
    }
}
