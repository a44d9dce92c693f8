import ArgumentParser
import ArtifactFormat
import CommandLineSupport
import Foundation

/// Looks into the store of compiled models and tidies it.
@main
struct CacheTool: ToolCommand {
    static let configuration = CommandConfiguration(
        commandName: "vlm-cache",
        abstract: "Shows, checks and tidies compiled models.",
        discussion: """
            An ARTIFACT is a path, the beginning of a key as `ls` prints it, or a model's name (its latest used artifact).
            The store is --store, else $VLM_STORE, else $XDG_CACHE_HOME/vlm, else ~/.cache/vlm.
            """,
        version: toolVersion,
        subcommands: [
            List.self, Show.self, DrawGraph.self, ShowPlan.self, Passes.self, Why.self, Verify.self, DiskUsage.self,
            CollectGarbage.self, Remove.self,
        ])

    static func main() { runTool(undoing: Unfinished.undoAll) }
}

/// What every verb understands.
struct CommonOptions: ParsableArguments {
    @Option(help: ArgumentHelp("The store of compiled models.", valueName: "dir"))
    var store: String?

    @Flag(help: "Use a store or artifact that other users own or may write to; VLM_TRUST_STORE=1 says the same.")
    var trustStore = false

    @Flag(help: "Print JSON.")
    var json = false

    /// The store, which nobody else may write to unless that was allowed.
    func resolvedStore() throws -> Store {
        let store = try Store.resolve(option: store, environment: ProcessInfo.processInfo.environment, trustsOthers: trustStore)
        try store.requireTrusted()
        return store
    }

    /// Opens an artifact without counting it as used.
    func open(_ name: String) throws -> Artifact {
        try Artifact.open(directory: resolvedStore().find(name), recordsUse: false)
    }
}
