import ArgumentParser
import ArtifactFormat
import JSON
import ModelRuntime
import Serving

/// Which adapters (LoRA) requests may name in place of the model.
struct AdapterFlags: ParsableArguments {
    @Flag(help: "Serve adapters; a model is compiled to take them (vlmc compile --enable-lora).")
    var enableLora = false
    @Option(
        help: ArgumentHelp(
            "Adapters as PEFT saves them, each a name that requests give as their model and a directory, or JSON with name, path and base_model_name; several may follow one another. Needs --enable-lora.",
            valueName: "name=dir"))
    var loraModules: [String] = []
    @Option(
        name: .customLong("max-loras"),
        help: "Different adapters among the requests that run at once; a request with another one waits, and those behind it. Default: 1.")
    private var givenMaxLoras: Int?
    @Option(name: .customLong("max-lora-rank"), help: "Largest rank of an adapter. Default: 16.")
    private var givenMaxLoraRank: Int?
    @Option(help: "Adapters that memory may hold, at least --max-loras; unless given, those that are named. All are read at the start.")
    var maxCpuLoras: Int?

    static let rankRange = 1...512

    var maxLoras: Int { givenMaxLoras ?? 1 }
    private var maxLoraRank: Int { givenMaxLoraRank ?? 16 }

    func validate() throws {
        for (flag, isGiven) in [("--max-loras", givenMaxLoras != nil), ("--max-lora-rank", givenMaxLoraRank != nil), ("--max-cpu-loras", maxCpuLoras != nil)] {
            guard enableLora || !isGiven else { throw ValidationError("\(flag) needs --enable-lora") }
        }
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
        var names: Set<String> = []
        for module in try modules {
            guard names.insert(module.name).inserted else { throw ValidationError("--lora-modules names \(module.name) twice") }
        }
    }

    /// An adapter as the command line names it.
    struct Module {
        var name: String
        var directory: String
        /// What its model is called; nil where nothing is said.
        var base: String?
    }

    /// In either of vLLM's forms: `name=directory`, or JSON with `name`, `path` and perhaps `base_model_name`.
    var modules: [Module] {
        get throws {
            try loraModules.map { text in
                guard text.hasPrefix("{") else {
                    let parts = text.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false).map(String.init)
                    guard parts.count == 2, parts.allSatisfy({ !$0.isEmpty }) else { throw ValidationError("--lora-modules \(text) is not name=directory") }
                    return Module(name: parts[0], directory: parts[1])
                }
                let object = (try? JSONValue(parsing: Array(text.utf8)))?.objectValue
                guard let object, let name = object["name"]?.stringValue, let path = object["path"]?.stringValue, !name.isEmpty, !path.isEmpty else {
                    throw ValidationError("--lora-modules \(text) is no JSON object with the strings name and path")
                }
                if let other = object.keys.first(where: { !["name", "path", "base_model_name"].contains($0) }) {
                    throw ValidationError("--lora-modules \(text): \(other) is not known; name, path and base_model_name are")
                }
                let base = object["base_model_name"] ?? .null
                guard base.isNull || base.stringValue != nil else { throw ValidationError("--lora-modules \(text): base_model_name is \(base.kind), not a string") }
                return Module(name: name, directory: path, base: base.stringValue)
            }
        }
    }

    /// As `vlmc compile` spells it.
    var compileFlags: [String] { enableLora ? ["--enable-lora"] : [] }

    /// Throws where a directory holds no adapter, which needs no artifact to be found.
    func checkDirectories() throws {
        for module in try modules {
            do { try LoadedAdapter.check(module.directory) } catch { throw LaunchError("--lora-modules \(module.name)=\(module.directory): \(error)") }
        }
    }

    /// The adapters, read and checked against the artifact's layers.
    func adapters(for artifact: Artifact) throws -> [LoadedAdapter] {
        guard enableLora else { return [] }
        guard artifact.manifest.key.takesAdapters else {
            throw LaunchError("--enable-lora: the artifact takes no adapters; compile the model again: vlmc compile DIR --enable-lora")
        }
        return try modules.map { module in
            try LoadedAdapter(name: module.name, directory: module.directory, for: artifact.program, LoadedAdapter.Rules(maxRank: maxLoraRank))
        }
    }
}
