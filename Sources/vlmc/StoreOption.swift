import ArgumentParser
import ArtifactFormat
import CommandLineSupport
import Foundation

/// Which store; the same everywhere.
struct StoreOption: ParsableArguments {
    @Option(name: .customLong("store"), help: "Store directory; else $VLM_STORE, else $XDG_CACHE_HOME/vlm, else ~/.cache/vlm.")
    var path: String?

    @Flag(help: "Use a store that other users own or may write to; VLM_TRUST_STORE=1 says the same.")
    var trustStore = false

    /// The store, which nobody else may write to unless that was allowed.
    func resolved() throws -> Store {
        try Failure.wrapping { () throws(ArtifactError) in
            let store = try Store.resolve(option: path, environment: ProcessInfo.processInfo.environment, trustsOthers: trustStore)
            try store.requireTrusted()
            return store
        }
    }
}

/// Whether verbs that run a model may compile it.
struct CompilingOption: ParsableArguments {
    @Flag(inversion: .prefixedNo, help: "Compile a model directory that the store does not have as it is now.")
    var compile = true
}

extension StoreOption {
    /// The path of the artifact that `vlm-serve` would serve under this name: a model's is compiled where the store does not have it.
    func artifact(_ name: String, _ compiling: CompilingOption) throws -> String {
        let choice = ArtifactChoice(name: name, store: path, trustsStore: trustStore, compiles: compiling.compile)
        do { return try trusted(choice.path()) } catch let error as ExitCode { throw error } catch { throw Failure("\(error)") }
    }

    /// The path of the one artifact that a path, the beginning of a key or a model's name means, and that others may not write to.
    func artifact(_ name: String) throws -> String {
        if FileManager.default.fileExists(atPath: name) { return try trusted(name) }
        let store = try resolved()
        return try trusted(try Failure.wrapping { () throws(ArtifactError) in try store.findOne(name) })
    }

    /// The path, once it is known that others may not write to the store where it lies; warns where they may and it lies elsewhere.
    private func trusted(_ path: String) throws -> String {
        let warning = try Failure.wrapping { () throws(ArtifactError) in
            let trustsOthers = try Store.trustsOthers(ProcessInfo.processInfo.environment) || trustStore
            return try Store.checkTrust(artifact: path, trustsOthers: trustsOthers)
        }
        if let warning { Terminal.warn(warning) }
        return path
    }

    /// The same where model directories and files will do; a path where nothing is stays as it is, for its reader to say.
    func source(_ name: String) throws -> String {
        let files = FileManager.default
        if files.fileExists(atPath: name) { return files.fileExists(atPath: name + "/manifest.json") ? try trusted(name) : name }
        if let folder = ModelName.downloaded(name) { return folder }
        let store = try resolved()
        let found: String
        do throws(ArtifactError) { found = try store.findOne(name) } catch {
            switch error {
            case .notFound, .notAnArtifact: return try ModelName.directory(name)
            default: throw Failure("\(error)")
            }
        }
        return try trusted(found)
    }
}
