import Foundation
import Testing

/// `vlmc compile --quantize awq-int4`.
@Suite struct CalibrationTests {
    private struct Report: Decodable {
        struct Calibration: Decodable {
            struct Group: Decodable {
                struct Layer: Decodable {
                    var origin: String
                    var error, nearestError: Double
                }
                var alpha: Double?
                var reason: String?
                var factors: String?
                var layers: [Layer]
            }
            var prompts, pictures, tokens: Int
            var isStored: Bool
            var groups: [Group]
        }
        var artifact: String
        var calibration: Calibration?
    }

    private func compile(_ space: Workspace, _ flags: String...) throws -> (errors: String, report: Report) {
        let file = space.path("report.json")
        let outcome = try Command(
            "vlmc", ["compile", Workspace.demoModel, "--quantize", "awq-int4", "--compile-report", file] + flags, environment: ["VLM_STORE": space.store]
        ).run()
        try #require(outcome.status == 0, "\(outcome.errors)")
        return (outcome.errors, try JSONDecoder().decode(Report.self, from: Data(contentsOf: URL(filePath: file))))
    }

    /// Layers lose less than by rounding to nearest, and what was found is used again.
    @Test func searchedScalesLoseLess() throws {
        let space = try Workspace()
        let (errors, report) = try compile(space)
        #expect(errors.contains("calibrated on builtin: ") && errors.contains("by rounding to nearest), 18 scaled, α "), "\(errors)")
        let found = try #require(report.calibration)
        let layers = found.groups.flatMap(\.layers)
        #expect(layers.count == 24 && found.pictures > 0 && found.tokens <= 2048 && !found.isStored)
        #expect(layers.allSatisfy { $0.error <= $0.nearestError && $0.error > 0 })
        let (searched, nearest) = (layers.reduce(0) { $0 + $1.error }, layers.reduce(0) { $0 + $1.nearestError })
        #expect(searched < 0.9 * nearest, "\(searched) and \(nearest)")
        // Heads of queries share those of values: what leaves attention keeps its channels.
        #expect(found.groups.filter { $0.reason == "several heads share the values of one" }.flatMap(\.layers).allSatisfy { $0.origin.hasSuffix("o_proj") })

        let passes = try space.cache("passes", report.artifact, "--pass", "quantize-layers").output
        #expect(passes.contains("rewrote 48 × awq-int4") && passes.contains("rewrote 36 × awq-scale") && passes.contains("missed 2 × int4: it makes the logits"), "\(passes)")
        #expect(passes.components(separatedBy: "of its outputs").count == 49 && passes.contains("no scales, since several heads"), "\(passes)")
        #expect(try space.cache("verify", report.artifact).status == 0)

        #expect(try compile(space).errors.contains("cache hit"))
        let other = try compile(space, "--max-num-seqs", "2")
        #expect(other.report.calibration?.isStored == true && other.report.artifact != report.artifact)
        // Elsewhere the same is found again, bit by bit.
        let elsewhere = try compile(try Workspace(), "-o", space.path("out"))
        #expect(elsewhere.report.calibration?.isStored == false)
        func bytes(_ path: String, _ name: String) throws -> Data { try Data(contentsOf: URL(filePath: path + "/" + name)) }
        #expect(try bytes(report.artifact, "weights.bin") == bytes(space.path("out"), "weights.bin"))
        #expect(try bytes(report.artifact, "program.json") == bytes(space.path("out"), "program.json"))
    }

    /// A directory's prompts and pictures decide the artifact, and so does every byte of them.
    @Test func directoriesAreRead() throws {
        let space = try Workspace()
        let folder = URL(filePath: space.path("prompts")), samples = Workspace.repository.appending(path: "Artifacts/Demo/samples")
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        func write(_ name: String, _ text: String) throws { try Data(text.utf8).write(to: folder.appending(path: name)) }
        try write("one.txt", "What is in the picture?")
        try FileManager.default.copyItem(at: samples.appending(path: "shapes-count.png"), to: folder.appending(path: "one.png"))
        try FileManager.default.copyItem(at: samples.appending(path: "chart-tallest.png"), to: folder.appending(path: "chart.png"))
        try FileManager.default.copyItem(at: samples.appending(path: "shapes-color.jpg"), to: folder.appending(path: "alone.jpg"))
        try write("more.jsonl", "{\"text\": \"Which bar is the tallest?\", \"images\": [\"chart.png\"], \"answer\": \"red\"}\n\n{\"text\": \"Hello.\"}\n")
        try write("notes.md", "is not read")
        let first = try compile(space, "--calibration", folder.path).report
        let found = try #require(first.calibration)
        #expect(found.prompts == 4 && found.pictures == 3)
        let hit = try compile(space, "--calibration", folder.path)
        #expect(hit.errors.contains("cache hit") && hit.report.artifact == first.artifact)
        try write("one.txt", "What is in this picture?")
        let second = try compile(space, "--calibration", folder.path)
        #expect(second.errors.contains("quantize: awq-int4 calibrated on ") && second.report.artifact != first.artifact, "\(second.errors)")
        #expect(second.report.calibration?.isStored == false)
    }

    @Test(arguments: [
        ([("a.jsonl", "{\"text\": 3}")], "a.jsonl, line 1: has no text"), ([("a.jsonl", "{\"text\": \"x\", \"images\": [\"b.png\"]}")], "a.jsonl, line 1: there is no picture b.png beside it"),
        ([("a.jsonl", "\n{")], "a.jsonl, line 2: "), ([("a.jsonl", "{\"text\": \"x\", \"n\": 1}")], "a.jsonl, line 1: \"n\" is not taken"), ([], "has no prompts"),
        ([("a.png", "no picture")], "prompt 1 of "),
    ]) func badDirectoriesAreRefused(_ files: [(String, String)], _ reason: String) throws {
        let space = try Workspace()
        let folder = URL(filePath: space.path("prompts"))
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        for (name, text) in files { try Data(text.utf8).write(to: folder.appending(path: name)) }
        let outcome = try space.vlmc("compile", Workspace.demoModel, "--quantize", "awq-int4", "--calibration", folder.path)
        #expect(outcome.status == 1 && outcome.errors.contains(reason), "\(outcome.errors)")
        #expect(try FileManager.default.fileExists(atPath: space.store + "/artifacts") == false || FileManager.default.contentsOfDirectory(atPath: space.store + "/artifacts").isEmpty)
    }

    @Test func flagsThatMeanNothingAreRefused() throws {
        let space = try Workspace()
        for (flags, reason) in [
            (["--calibration", "builtin"], "--calibration is for --quantize awq-int4"), (["--quantize", "int4", "--calibration", "x"], "--calibration is for --quantize awq-int4"),
            (["--quantize-bound", "3"], "--quantize-bound is for --quantize"), (["--quantize", "int4", "--quantize-bound", "0"], "above 0 and at most 100"),
        ] {
            let outcome = try Command("vlmc", ["compile", Workspace.demoModel] + flags, environment: ["VLM_STORE": space.store]).run()
            #expect(outcome.status == 64 && outcome.errors.contains(reason), "\(outcome.errors)")
        }
        let missing = try space.vlmc("compile", Workspace.demoModel, "--quantize", "awq-int4", "--calibration", space.path("none"))
        #expect(missing.status == 1 && missing.errors.contains("no directory that can be read"), "\(missing.errors)")
    }

    /// Layers whose outputs are off by more than the bound are int8, and so are those of int4 by their weight.
    @Test(arguments: ["awq-int4", "int4"]) func aBoundKeepsLayersWider(_ rounding: String) throws {
        let space = try Workspace()
        let path = try space.compile(Workspace.demoModel, "--quantize", rounding, "--quantize-bound", "0.5")
        let passes = try space.cache("passes", path, "--pass", "quantize-layers").output
        #expect(passes.contains("rewrote 48 × int8-instead") && passes.contains("above 0.50 %") && !passes.contains("awq-scale"), "\(passes)")
    }

    /// Decoders of other shapes: attention with a head of values for each of queries, and text alone.
    @Test(arguments: ["llama_text", "internvl_llama", "qwen2_text"]) func otherDecodersAreCalibrated(_ family: String) throws {
        let space = try Workspace()
        let outcome = try space.vlmc("compile", Workspace.repository.appending(path: "Tests/Families/Fixtures/\(family)").path, "--quantize", "awq-int4")
        #expect(outcome.status == 0 && outcome.errors.contains("calibrated on builtin"), "\(outcome.errors)")
    }
}
