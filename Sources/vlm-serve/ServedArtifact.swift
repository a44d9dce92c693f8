import ArtifactFormat
import CommandLineSupport
import CPUBackend
import HTTPAPI
import Inputs
import ModelRuntime
import Plan
import Serving
import VideoDecoding

/// An artifact as the command line has it served: what its flags say of engine, inputs and answers.
struct ServedArtifact: Sendable {
    /// The artifact's directory.
    let path: String
    let artifact: Artifact
    /// In the order of their places in the engine.
    let adapters: [LoadedAdapter]
    /// The draft model; nil for none.
    let draft: Artifact?
    private let choice: ArtifactChoice
    private let maxAdapters: Int
    /// What command line calls the model of an adapter, by the adapter's name.
    private let bases: [(adapter: String, base: String)]
    private let engine: EngineFlags
    private let inputs: InputFlags
    private let seed: UInt64?
    private let reasoning: ReasoningReader.Form?
    private let generation: GenerationDefaults?
    private let overriding: GenerationDefaults
    /// Nil for the model's own.
    private let template: String?

    /// Opens the artifact, and compiles the model first where the choice is one that the store does not have; what the flags name beside it is
    /// checked before.
    init(
        _ choice: ArtifactChoice, _ compiled: CompiledFlags, draft: ArtifactChoice?, engine: EngineFlags, adapters: AdapterFlags, inputs: InputFlags, answers: AnswerFlags
    ) throws {
        maxAdapters = adapters.maxLoras
        bases = try adapters.modules.compactMap { module in module.base.map { (module.name, $0) } }
        let pair = try draft.flatMap { try choice.with(head: $0, isHead: engine.speculation.isHead) }
        (self.choice, self.engine, self.inputs, seed, reasoning) = (choice, engine, inputs, answers.seed?.value, answers.reasoningParser)
        (generation, overriding, template) = (try answers.generation(), try answers.overriding(), try inputs.template())
        try adapters.checkDirectories()
        try engine.stored.checkDirectory()
        (path, artifact) = try Self.open(pair?.model ?? choice)
        try compiled.check(artifact.manifest)
        try engine.check(artifact.manifest)
        self.adapters = try adapters.adapters(for: artifact)
        self.draft = try (pair?.head ?? draft).map { try Self.open($0).artifact }
    }

    private static func open(_ choice: ArtifactChoice) throws -> (path: String, artifact: Artifact) {
        let path = try choice.path()
        if let warning = try Store.checkTrust(artifact: path, trustsOthers: choice.trustsOthers) { ServerLog.warn(warning) }
        let artifact = try Artifact.open(directory: path)
        try artifact.requireRunnable(on: CPUBackend.features)
        return (path, artifact)
    }

    /// Starts the engine.
    func session(log: @escaping @Sendable (EngineNotice) -> Void) throws -> Session {
        var options = engine.options(imageCacheBytes: inputs.imageCacheBytes.value)
        options.maxAdapters = maxAdapters
        return try Session(
            artifact, adapters: adapters.map(\.adapter), draft: draft, on: CPUBackend(threads: engine.threads), options: options, log: log)
    }

    /// - Parameter names: those that requests may use; empty for the model's own and its places.
    /// - Throws: where an adapter has a name of the model.
    func model(_ session: Session, names: [String]) throws(LaunchError) -> ServedModel {
        let own = artifact.manifest.provenance.allNames
        func model(_ adapters: [ServedAdapter]) -> ServedModel {
            ServedModel(
                names: names.isEmpty ? own + [path, choice.name] : names, baseNames: names.isEmpty ? own : [], root: path, adapters: adapters,
                engine: session.engine, seed: seed, reasoning: reasoning)
        }
        let plain = model([])
        if let taken = adapters.first(where: { plain.answers(to: $0.name) }) {
            throw LaunchError("--lora-modules \(taken.name): the model itself is called so; give the adapter another name")
        }
        if let other = bases.first(where: { !plain.answers(to: $0.base) }) {
            throw LaunchError("--lora-modules \(other.adapter): base_model_name \(other.base) is not the model that is served, \(plain.name)")
        }
        guard !adapters.isEmpty else { return plain }
        return model(
            adapters.enumerated().map { index, adapter in
                ServedAdapter(name: adapter.name, root: adapter.directory, chosen: ChosenAdapter(index: index, digest: adapter.digest))
            })
    }

    /// What makes prompts of requests, with the flags' defaults of answers.
    func pipeline(_ session: Session) throws -> InputPipeline {
        var pipeline = try session.pipeline(maxImagePixels: inputs.maxImagePixels, template: template)
        pipeline.generation = (generation ?? pipeline.generation).overridden(by: overriding)
        if let fault = pipeline.refusal { ServerLog.warn("\(fault)") }
        if let decoder = FrameProgram.sibling() { pipeline.videoDecoder = decoder }
        let (bounds, sampling) = try inputs.processorArguments
        do throws(ImageError) { return try pipeline.bounding(bounds).sampling(sampling) } catch {
            throw LaunchError("--mm-processor-kwargs: \(error)")
        }
    }
}
