import Foundation
import Testing

/// Directories of every family beside what transformers computed, in exact arithmetic, through the programs that people use.
///
/// The records are those of the repository and those that `make families` makes.
@Suite struct FamilyParityTests {
    static let folders = [
        Workspace.repository.appending(path: "Tests/Families/Fixtures"), Workspace.repository.appending(path: ".build/families"),
    ]

    static let directories: [URL] = folders.flatMap { folder in
        let names = (try? FileManager.default.contentsOfDirectory(atPath: folder.path)) ?? []
        return names.sorted().map { folder.appending(path: $0) }.filter {
            FileManager.default.fileExists(atPath: $0.appending(path: "expected.safetensors").path)
        }
    }

    /// What is refused, with a word of the message.
    static let refused: [String: String] = [:]

    @Test(arguments: directories) func equalsTransformers(_ directory: URL) throws {
        let space = try Workspace()
        let name = directory.lastPathComponent
        if let word = Self.refused[name] {
            let outcome = try space.vlmc("compile", directory.path, "--precision", "exact")
            #expect(outcome.status == 1 && outcome.errors.contains(word), "\(name): \(outcome.errors)")
            return
        }
        let artifact = try space.compile(directory.path, "--precision", "exact")
        let outcome = try space.vlmc("parity", artifact, "--reference", directory.path)
        #expect(outcome.status == 0, "\(name):\n\(outcome.output)\(outcome.errors)")
    }
}
