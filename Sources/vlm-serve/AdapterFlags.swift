import ArgumentParser
import ArtifactFormat
import ModelRuntime
import Serving

/// Which adapters (LoRA) requests may name in place of the model.
struct AdapterFlags: ParsableArguments {
    @Flag(help: "Serve adapters; a model is compiled to take them (vlmc compile --enable-lora).")
    var enableLora = false
    @Option(
        help: ArgumentHelp(
            "Adapters as PEFT saves them, each a name that requests give as their model and a directory; several may follow one another behind the model. Needs --enable-lora.",
            valueName: "name=dir"))
    var loraModules: [String] = []
    @Option(help: "Different adapters among the requests that run at once; a request with another one waits, and those behind it.")
    var maxLoras = 1
    @Option(help: "Largest rank of an adapter.")
    var maxLoraRank = 16
    @Option(help: "Adapters that memory may hold, at least --max-loras; unless given, those that are named. All are read at the start.")
    var maxCpuLoras: Int?

    static let rankRange = 1...512

    func validate() throws {
        guard maxLoras >= 1 else { throw ValidationError("--max-loras \(maxLoras) must be at least 1") }
        guard Self.rankRange.contains(maxLoraRank) else {
            throw ValidationError("--max-lora-rank \(maxLoraRank) is not in \(Self.rankRange.lowerBound) … \(Self.rankRange.upperBound)")
        }
        guard enableLora || loraModules.isEmpty else { throw ValidationError("--lora-modules needs --enable-lora") }
        if let maxCpuLoras {
            guard maxCpuLoras >= maxLoras else { throw ValidationError("--max-cpu-loras \(maxCpuLoras) is less than --max-loras \(maxLoras)") }
            guard loraModules.count <= maxCpuLoras else {
                throw ValidationError("--lora-modules names \(loraModules.count) adapters, more than --max-cpu-loras \(maxCpuLoras)")
            }
        }
        var names: Set<Substring> = []
        for module in loraModules {
            let parts = module.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
            guard parts.count == 2, !parts[0].isEmpty, !parts[1].isEmpty else { throw ValidationError("--lora-modules \(module) is not name=directory") }
            guard names.insert(parts[0]).inserted else { throw ValidationError("--lora-modules names \(parts[0]) twice") }
        }
    }

    /// As `vlmc compile` spells it.
    var compileFlags: [String] { enableLora ? ["--enable-lora"] : [] }

    /// The adapters, read and checked against the artifact's layers.
    func adapters(for artifact: Artifact) throws -> [LoadedAdapter] {
        guard enableLora else { return [] }
        guard artifact.manifest.key.takesAdapters else {
            throw LaunchError("--enable-lora: the artifact takes no adapters; compile the model again: vlmc compile DIR --enable-lora")
        }
        return try loraModules.map { module in
            let parts = module.split(separator: "=", maxSplits: 1).map(String.init)
            return try LoadedAdapter(name: parts[0], directory: parts[1], for: artifact.program, LoadedAdapter.Rules(maxRank: maxLoraRank))
        }
    }
}
