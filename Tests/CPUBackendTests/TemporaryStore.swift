import ArtifactFormat
import CPUBackend
import Compiler
import Foundation
import ModelRuntime
import Plan

/// A store of a test's own, removed with it.
final class TemporaryStore {
    let path = FileManager.default.temporaryDirectory.path + "/vlm-cpubackend-\(UUID().uuidString)"
    let store: Store

    init() { store = Store(root: path) }

    deinit { try? FileManager.default.removeItem(atPath: path) }

    /// Compiles one of the tiny models for this machine.
    func compile(_ name: String, _ precision: ArtifactKey.Precision, from folder: String = "EndToEndTests") throws -> Artifact {
        let tests = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent().path
        let directory = "\(tests)/\(folder)/Fixtures/\(name)"
        var options = CompileOptions(directory: directory, target: .here)
        options.precision = precision
        let source = try ModelSource(directory: directory, store: store)
        var compilation = try Compilation(source, options: options, store: store, machine: .current(store)) { _ in }
        compilation.golden = { artifact throws(ArtifactError) in
            do { return try SelfTest.record(artifact, on: CPUBackend(threads: 1)) } catch { throw .refused("\(error)") }
        }
        let report = try compilation.run()
        return try Artifact.open(directory: report.artifact)
    }
}
