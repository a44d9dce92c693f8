import Foundation
import Testing

/// Directories of every family beside what transformers computed, in exact arithmetic, through the programs that people use.
///
/// The records are those of the repository, those that `make families` makes, and those of a folder that VLM_FAMILIES names.
@Suite struct FamilyParityTests {
    static let folders = [
        Workspace.repository.appending(path: "Tests/Families/Fixtures"), Workspace.repository.appending(path: ".build/families"),
    ] + [ProcessInfo.processInfo.environment["VLM_FAMILIES"]].compactMap(\.self).map { URL(fileURLWithPath: $0) }

    static let directories: [URL] = folders.flatMap { folder in
        let names = (try? FileManager.default.contentsOfDirectory(atPath: folder.path)) ?? []
        return names.sorted().map { folder.appending(path: $0) }.filter {
            FileManager.default.fileExists(atPath: $0.appending(path: "expected.safetensors").path)
        }
    }

    @Test(arguments: directories) func equalsTransformers(_ directory: URL) throws {
        let space = try Workspace()
        let name = directory.lastPathComponent
        let artifact = try space.compile(directory.path, "--precision", "exact")
        let outcome = try space.vlmc("parity", artifact, "--reference", directory.path)
        #expect(outcome.status == 0, "\(name):\n\(outcome.output)\(outcome.errors)")
    }
}
