import ArtifactFormat
import CommandLineSupport
import Foundation
import JSON

/// The artifact that a person means by what the command line names, compiled first where that is a model.
struct ArtifactChoice {
    /// A path, `OWNER/NAME` in HuggingFace's cache, the beginning of a key, or a model's name in the store.
    let name: String
    /// The store that `--store` names.
    let store: String?
    /// Whether an artifact is served whoever may have written it, as `--trust-store` says.
    let trustsStore: Bool
    /// Whether a model may be compiled that the store does not have yet.
    let compiles: Bool
    /// What of the server's flags is decided when compiling, as `vlmc compile` spells it.
    let compileFlags: [String]

    private enum Meaning {
        case artifact(String)
        case model(String)
    }

    /// Whether an artifact is served whoever may have written it.
    var trustsOthers: Bool { trustsStore || Store.trustsOthers(ProcessInfo.processInfo.environment) }

    /// The same, compiled with further flags.
    private func adding(_ flags: [String]) -> ArtifactChoice {
        ArtifactChoice(name: name, store: store, trustsStore: trustsStore, compiles: compiles, compileFlags: compileFlags + flags)
    }

    /// The folder of a model that is compiled first; nil for an artifact.
    private func folder() throws -> String? {
        guard case .model(let folder) = try meaning() else { return nil }
        return folder
    }

    /// A model and the EAGLE head that guesses its tokens, each compiled for the other; nil where `draft` is no head by its config.json.
    ///
    /// - Parameter isHead: whether it is one whatever that says.
    func with(head draft: ArtifactChoice, isHead: Bool) throws -> (model: ArtifactChoice, head: ArtifactChoice)? {
        guard let head = try draft.folder() else { return nil }
        guard try draft.isHead(head) || isHead else { return nil }
        guard let model = try folder() else {
            throw LaunchError(
                "--speculative-model \(draft.name) is the directory of a head, and \(name) an artifact: give the model's directory as well, or artifacts of vlmc compile MODEL --speculative-model HEAD and vlmc compile HEAD --head-of MODEL")
        }
        return (adding(["--speculative-model", head]), draft.adding(["--head-of", model]))
    }

    /// Whether a folder's config.json is that of an EAGLE head; throws for others that guess tokens from another model's hidden states.
    private func isHead(_ folder: String) throws(LaunchError) -> Bool {
        guard let data = FileManager.default.contents(atPath: "\(folder)/config.json"), let config = try? JSONValue(parsing: Array(data)) else { return false }
        let names = (config["architectures"]?.arrayValue ?? []).compactMap(\.stringValue) + [config["model_type"]?.stringValue].compactMap(\.self)
        let heads = ["medusa", "mlpspeculator", "mlp_speculator", "mtp"]
        if let head = names.first(where: { name in heads.contains { name.lowercased().contains($0) } }) {
            throw LaunchError(
                "--speculative-model \(name): \(head) guesses from another model's hidden states, which is not served; give an EAGLE head, a whole model of the same tokens, or '[ngram]'")
        }
        return config["draft_vocab_size"] != nil || names.contains { $0.lowercased().contains("eagle") }
    }

    /// Whether it is a model, which may have to be compiled first.
    var isModel: Bool {
        if case .model? = try? meaning() { true } else { false }
    }

    /// The directory of the artifact.
    ///
    /// That of a model is the one that `vlmc compile` makes of it as it is now: what changed since is compiled again.
    func path() throws -> String {
        switch try meaning() {
        case .artifact(let path): return path
        case .model(let directory):
            var arguments = ["compile", directory] + compileFlags
            if let store { arguments += ["--store", store] }
            if trustsStore { arguments.append("--trust-store") }
            arguments += compiles ? SiblingCompiler.progressFlags : ["--only-stored"]
            return try SiblingCompiler.run(arguments)
        }
    }

    /// What exists as a path is that. A downloaded model comes before artifacts of its name, which may be of an earlier download.
    private func meaning() throws -> Meaning {
        func has(_ file: String) -> Bool { FileManager.default.fileExists(atPath: "\(name)/\(file)") }
        if FileManager.default.fileExists(atPath: name) {
            if name.lowercased().hasSuffix(".gguf") {
                throw LaunchError("\(name) is a GGUF file, which is not read; give the model's HuggingFace directory, with safetensors")
            }
            if has("manifest.json") || !FileManager.default.fileExists(atPath: "\(name)/.") { return .artifact(name) }
            if has("config.json") || has("snapshots") || has("adapter_config.json") { return .model(name) }
            throw LaunchError("\(name) is no model's directory, it has no config.json, and no artifact, it has no manifest.json")
        }
        let environment = ProcessInfo.processInfo.environment
        let cache = HuggingFaceCache(environment: environment)
        if let folder = cache.folder(of: name) { return .model(folder) }
        let store = try Store.resolve(option: store, environment: environment, trustsOthers: trustsStore)
        do throws(ArtifactError) { return .artifact(try store.findOne(name)) } catch {
            guard case .notAnArtifact = error, HuggingFaceCache.isMeant(by: name) else { throw error }
            throw LaunchError("no artifact \(name) in \(store.root), and \(cache.missing(name))")
        }
    }
}
