internal import ArtifactFormat
import Foundation

/// The artifact that a person means by what the command line names, compiled first where that is a model.
package struct ArtifactChoice: Sendable {
    /// A path, `OWNER/NAME` in HuggingFace's cache, the beginning of a key, or a model's name in the store.
    package let name: String
    /// The store that `--store` names.
    package let store: String?
    /// Whether an artifact is used whoever may have written it, as `--trust-store` says.
    package let trustsStore: Bool
    /// Whether a model may be compiled that the store does not have yet.
    package let compiles: Bool
    /// What of the flags is decided when compiling, as `vlmc compile` spells it.
    package let compileFlags: [String]

    package init(name: String, store: String?, trustsStore: Bool, compiles: Bool, compileFlags: [String] = []) {
        (self.name, self.store, self.trustsStore, self.compiles, self.compileFlags) = (name, store, trustsStore, compiles, compileFlags)
    }

    private enum Meaning {
        case artifact(String)
        case model(String)
    }

    /// Whether an artifact is used whoever may have written it.
    package var trustsOthers: Bool { get throws { try Store.trustsOthers(ProcessInfo.processInfo.environment) || trustsStore } }

    /// The same, compiled with further flags.
    package func adding(_ flags: [String]) -> ArtifactChoice {
        ArtifactChoice(name: name, store: store, trustsStore: trustsStore, compiles: compiles, compileFlags: compileFlags + flags)
    }

    /// The folder of a model that is compiled first; nil for an artifact.
    package func folder() throws -> String? {
        guard case .model(let folder) = try meaning() else { return nil }
        return folder
    }

    /// Whether it is a model, which may have to be compiled first.
    package var isModel: Bool {
        if case .model? = try? meaning() { true } else { false }
    }

    /// The directory of the artifact.
    ///
    /// That of a model is the one that `vlmc compile` makes of it as it is now: what changed since is compiled again.
    package func path() throws -> String {
        switch try meaning() {
        case .artifact(let path): return path
        case .model(let directory):
            var arguments = ["compile", directory] + compileFlags
            if let store { arguments += ["--store", store] }
            if trustsStore { arguments.append("--trust-store") }
            arguments += SiblingCompiler.progressFlags + (compiles ? [] : ["--only-stored"])
            return try SiblingCompiler.run(arguments)
        }
    }

    /// What exists as a path is that. A downloaded model comes before artifacts of its name, which may be of an earlier download.
    private func meaning() throws -> Meaning {
        func has(_ file: String) -> Bool { FileManager.default.fileExists(atPath: "\(name)/\(file)") }
        if FileManager.default.fileExists(atPath: name) {
            if name.lowercased().hasSuffix(".gguf") {
                throw ChoiceError("\(name) is a GGUF file, which is not read; give the model's HuggingFace directory, with safetensors")
            }
            if has("manifest.json") || !FileManager.default.fileExists(atPath: "\(name)/.") { return .artifact(name) }
            if has("config.json") || has("snapshots") || has("adapter_config.json") { return .model(name) }
            throw ChoiceError("\(name) is no model's directory, it has no config.json, and no artifact, it has no manifest.json")
        }
        let environment = ProcessInfo.processInfo.environment
        let cache = HuggingFaceCache(environment: environment)
        if let folder = cache.folder(of: name) { return .model(folder) }
        let store = try Store.resolve(option: store, environment: environment, trustsOthers: trustsStore)
        do throws(ArtifactError) { return .artifact(try store.findOne(name)) } catch {
            guard case .notAnArtifact = error, HuggingFaceCache.isMeant(by: name) else { throw error }
            guard HuggingFaceCache.isRepository(name) else { throw ChoiceError(cache.missing(name)) }
            throw ChoiceError("no artifact \(name) in \(store.root), and \(cache.missing(name))")
        }
    }
}

/// Why nothing can be had of what a person named, with the next step.
package struct ChoiceError: Error, CustomStringConvertible {
    package let description: String

    init(_ description: String) { self.description = description }
}
