import ArtifactFormat
import CPUBackend
import Compiler
import Foundation
import HuggingFace
import Inputs
import ModelRuntime
import Models
import Plan
import Reference
import Testing

/// docs/adding-a-model.md followed with its example: a family that is in no table, on a directory that names it.
@Suite struct ToyFamilyTests {
    private static let guide = Oracle.repository + "/docs/adding-a-model.md"
    private static let families = FamilyTable(Architectures.all + [ToyFamily.self])

    /// Runs `body` on a record of LLaVA whose `config.json` asks for the toy family.
    private static func inDirectory(_ body: (String) throws -> Void) throws {
        let files = FileManager.default
        let record = Oracle.repository + "/Tests/Families/Fixtures/llava15_new"
        let path = files.temporaryDirectory.path + "/vlm-toy-\(UUID().uuidString)"
        defer { try? files.removeItem(atPath: path) }
        try files.copyItem(atPath: record, toPath: path)
        let config = try String(contentsOfFile: record + "/config.json", encoding: .utf8)
        let renamed = config.replacing("LlavaForConditionalGeneration", with: ToyFamily.architectures[0])
        try Data(renamed.utf8).write(to: URL(filePath: path + "/config.json"))
        try body(path)
    }

    @Test func theGuideShowsTheExample() throws {
        let source = try String(contentsOfFile: Oracle.repository + "/Tests/ModelsTests/ToyFamily.swift", encoding: .utf8)
        let guide = try String(contentsOfFile: Self.guide, encoding: .utf8)
        #expect(guide.contains("```swift\n\(source)```"), "docs/adding-a-model.md is to show Tests/ModelsTests/ToyFamily.swift as it is")
    }

    /// Step 3: a name that no table has is refused.
    @Test func isUnknownWithoutItsRow() throws {
        try Self.inDirectory { path in
            let files = try ModelDirectory(path)
            let error = #expect(throws: CheckpointError.self) { _ = try Architectures.definition(for: files) }
            #expect(error?.message.hasPrefix("the architecture ToyForConditionalGeneration is unknown; the known ones are: ") == true)
        }
    }

    /// Step 4: what is traced computes what transformers recorded.
    @Test func equalsTheRecord() throws {
        try Self.inDirectory { path in
            let record = try FamilyRecord(path, families: Self.families)
            #expect(record.definition is ToyFamily)
            let (spec, image) = try #require(try record.image())
            let pixels = try #require(record.recorded("inputs.pixel_values"))
            #expect(compare(spec.pixelValues(of: [image]).values, pixels.floats).difference <= 1e-5)
            let features = try record.features(of: image)
            let recorded = try #require(record.recorded("image_features"))
            #expect(compare(features.floats, recorded.floats).difference <= FamilyTests.differenceMax)
            let prefill = try #require(record.recorded("prefill_logits"))
            var sequence = try FamilySequence(record, steps: 1)
            let logits = try sequence.extend(0..<sequence.ids.count, images: features).floats
            #expect(compare(logits.suffix(prefill.count), prefill.floats).difference <= FamilyTests.differenceMax)
        }
    }

    /// Step 5: passes and kernels take it as it is, and the artifact answers a question about an image.
    @Test func compilesAndRuns() throws {
        try Self.inDirectory { path in
            let store = Store(root: path + "/store")
            let source = try ModelSource(directory: path, store: store, families: Self.families)
            var options = CompileOptions(directory: path, target: .best(for: CPUBackend.features))
            options.precision = .exact
            var compilation = try Compilation(source, options: options, store: store, machine: .current(store)) { _ in }
            compilation.golden = { artifact throws(ArtifactError) in
                do { return try SelfTest.record(artifact, on: CPUBackend(threads: 1)) } catch { throw .refused("\(error)") }
            }
            let artifact = try Artifact.open(directory: compilation.run().artifact)
            #expect(artifact.program.plans.contains { $0.entry == .vision })
        }
    }
}
