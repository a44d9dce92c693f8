import ArtifactFormat
import CommandLineSupport
import CPUBackend
import HTTPAPI
import Inputs
import ModelRuntime
import Plan
import Serving

/// An artifact as the command line has it served: what its flags say of engine, inputs and answers.
struct ServedArtifact: Sendable {
    /// The artifact's directory.
    let path: String
    let artifact: Artifact
    private let choice: ArtifactChoice
    private let engine: EngineFlags
    private let inputs: InputFlags
    private let seed: UInt64?
    private let reasoning: ReasoningReader.Form?
    private let generation: GenerationDefaults?
    private let overriding: GenerationDefaults
    /// Nil for the model's own.
    private let template: String?

    /// Opens the artifact, and compiles the model first where the choice is one that the store does not have.
    init(_ choice: ArtifactChoice, _ compiled: CompiledFlags, engine: EngineFlags, inputs: InputFlags, answers: AnswerFlags) throws {
        (self.choice, self.engine, self.inputs, seed, reasoning) = (choice, engine, inputs, answers.seed, answers.reasoningParser)
        (generation, overriding, template) = (try answers.generation(), try answers.overriding(), try inputs.template())
        path = try choice.path()
        if let warning = try Store.checkTrust(artifact: path, trustsOthers: choice.trustsOthers) { Console.say("warning: \(warning)") }
        artifact = try Artifact.open(directory: path)
        try artifact.requireRunnable(on: CPUBackend.features)
        try compiled.check(artifact.manifest)
    }

    /// Starts the engine.
    func session(log: @escaping @Sendable (String) -> Void) throws -> Session {
        try Session(
            artifact, on: CPUBackend(threads: engine.threads), options: engine.options(imageCacheBytes: inputs.imageCacheBytes.value), log: log)
    }

    /// - Parameter names: those that requests may use; empty for the model's own and its places.
    func model(_ session: Session, names: [String]) -> ServedModel {
        let own = artifact.manifest.provenance.model
        return ServedModel(
            names: names.isEmpty ? [own, path, choice.name] : names, baseName: names.isEmpty ? own : nil, root: path, engine: session.engine,
            seed: seed, reasoning: reasoning)
    }

    /// What makes prompts of requests, with the flags' defaults of answers.
    func pipeline(_ session: Session) throws -> InputPipeline {
        var pipeline = try session.pipeline(maxImagePixels: inputs.maxImagePixels, template: template)
        pipeline.generation = (generation ?? pipeline.generation).overridden(by: overriding)
        if let fault = pipeline.refusal { Console.say("warning: \(fault)") }
        let bounds = try inputs.pixelBounds
        do throws(ImageError) { return try pipeline.bounding(bounds) } catch {
            throw LaunchError("--mm-processor-kwargs: \(error)")
        }
    }
}
