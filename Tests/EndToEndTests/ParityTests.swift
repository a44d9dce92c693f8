import Foundation
import Testing

/// Artifacts beside what transformers computed, in exact arithmetic, through the programs that people use.
@Suite struct ParityTests {
    @Test(arguments: [
        "qwen2_vl", "qwen2_vl_v452", "qwen2_vl_hubstyle", "qwen2_vl_wide_head", "qwen2_vl_awq", "qwen2_vl_awq64",
    ])
    func tinyModels(_ name: String) throws {
        let space = try Workspace()
        let directory = Workspace.fixtures.appending(path: name).path
        let artifact = try space.compile(directory, "--precision", "exact")
        let outcome = try space.vlmc("parity", artifact, "--reference", directory)
        #expect(outcome.status == 0, "\(outcome.output)\(outcome.errors)")
    }

    @Test(arguments: ["one_picture", "two_pictures", "text_only", "long_prompt"], ["cpu", "cpu-avx2", nil])
    func demoModel(_ name: String, _ target: String?) throws {
        let space = try Workspace()
        let flags = target.map { ["--target", $0] } ?? []
        let compiled = try Command(
            "vlmc", ["compile", Workspace.demoModel, "--precision", "exact"] + flags, environment: ["VLM_STORE": space.store]
        ).run()
        let artifact = compiled.output.trimmingCharacters(in: .newlines)
        let reference = Workspace.fixtures.appending(path: "demo_reference/\(name)").path
        let outcome = try space.vlmc("parity", artifact, "--reference", reference)
        #expect(outcome.status == 0, "\(outcome.output)\(outcome.errors)")
    }

    @Test func gearsAboveOne() throws {
        let space = try Workspace()
        let artifact = try space.compile(Workspace.demoModel, "--precision", "exact", "--decode-gears", "2,3")
        let reference = Workspace.fixtures.appending(path: "demo_reference/two_pictures").path
        let outcome = try space.vlmc("parity", artifact, "--reference", reference)
        #expect(outcome.status == 0, "\(outcome.output)\(outcome.errors)")
    }

    /// One vision call takes fewer patches than four images have.
    @Test func imagesOfSeveralVisionCalls() throws {
        let space = try Workspace()
        let artifact = try space.compile(Workspace.demoModel)
        let image = Workspace.repository.appending(path: "Artifacts/Demo/samples/shapes-color.jpg").path
        let images = (0..<8).flatMap { _ in ["--image", image] }
        let outcome = try Command("vlmc", ["run", artifact] + images + ["What is this?"]).run()
        #expect(outcome.status == 0, "\(outcome.errors)")
        #expect(!outcome.output.isEmpty)
    }

    @Test func missedBarsAreAnError() throws {
        let space = try Workspace()
        let artifact = try space.compile(Workspace.fixtures.appending(path: "qwen2_vl").path, "--precision", "exact")
        let other = Workspace.fixtures.appending(path: "qwen2_vl_hubstyle").path
        let outcome = try space.vlmc("parity", artifact, "--reference", other)
        #expect(outcome.status == 1)
    }
}
