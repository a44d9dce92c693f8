import ArgumentParser
import CommandLineSupport

/// Which model is meant, and where it is looked for.
struct ModelFlags: ParsableArguments {
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

    /// The draft model, which is looked for and compiled as the model is; nil for none.
    func draft(_ engine: EngineFlags) -> ArtifactChoice? {
        engine.speculation.draft.map {
            ArtifactChoice(name: $0, store: store, trustsStore: trustStore, compiles: compile, compileFlags: engine.compileFlags)
        }
    }

    func artifact(_ engine: EngineFlags, _ adapters: AdapterFlags, _ compiled: CompiledFlags) -> ArtifactChoice {
        ArtifactChoice(
            name: model, store: store, trustsStore: trustStore, compiles: compile,
            compileFlags: engine.compileFlags + engine.neededFlags + adapters.compileFlags + compiled.compileFlags)
    }
}
