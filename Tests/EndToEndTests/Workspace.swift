import Foundation

/// A temporary directory with a store of its own, removed at the end.
final class Workspace {
    let url: URL
    /// Where the repository's files are.
    static let repository = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
        .deletingLastPathComponent()
    static let demoModel = repository.appending(path: "Artifacts/Demo/model").path
    static let fixtures = repository.appending(path: "Tests/EndToEndTests/Fixtures")

    init() throws {
        url = FileManager.default.temporaryDirectory.appending(path: "vlm-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: url, withIntermediateDirectories: true)
    }

    deinit { try? FileManager.default.removeItem(at: url) }

    var store: String { url.appending(path: "store").path }

    func path(_ name: String) -> String { url.appending(path: name).path }

    func vlmc(_ arguments: String..., input: String = "") throws -> Command.Outcome {
        try Command("vlmc", arguments, environment: ["VLM_STORE": store]).run(input: input)
    }

    func cache(_ arguments: String...) throws -> Command.Outcome {
        try Command("vlm-cache", arguments, environment: ["VLM_STORE": store]).run()
    }

    /// Compiles a model and returns the artifact's path.
    func compile(_ model: String, _ flags: String...) throws -> String {
        let outcome = try Command("vlmc", ["compile", model] + flags, environment: ["VLM_STORE": store]).run()
        guard outcome.status == 0 else { throw CompileFailure(message: outcome.errors) }
        return outcome.output.trimmingCharacters(in: .newlines)
    }

    /// A copy of the demo model to damage.
    func copyOfDemo() throws -> String {
        let copy = path("model")
        try FileManager.default.copyItem(atPath: Self.demoModel, toPath: copy)
        return copy
    }

    struct CompileFailure: Error { let message: String }
}
