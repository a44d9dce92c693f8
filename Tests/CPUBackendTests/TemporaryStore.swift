import ArtifactFormat
import Compiler
import Foundation
import Plan

/// A store of a test's own, removed with it.
final class TemporaryStore {
    let path = FileManager.default.temporaryDirectory.path + "/vlm-cpubackend-\(UUID().uuidString)"
    let store: Store

    init() { store = Store(root: path) }

    deinit { try? FileManager.default.removeItem(atPath: path) }

    /// Compiles one of the tiny models for this machine.
    func compile(_ name: String, _ precision: ArtifactKey.Precision) throws -> Artifact {
        let tests = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent().path
        let directory = tests + "/EndToEndTests/Fixtures/" + name
        var options = CompileOptions(directory: directory, target: .here)
        options.precision = precision
        let source = try ModelSource(directory: directory, store: store)
        let report = try Compilation(source, options: options, store: store, machine: .current(store)) { _ in }.run()
        return try Artifact.open(directory: report.artifact)
    }
}
