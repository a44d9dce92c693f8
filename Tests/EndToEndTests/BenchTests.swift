import Foundation
import Testing

@Suite struct BenchTests {
    @Test func measuresEachFigureBesideItsFloor() throws {
        let space = try Workspace()
        let image = Workspace.repository.appending(path: "Artifacts/Demo/samples").path
        let first = try #require(try FileManager.default.contentsOfDirectory(atPath: image).sorted().first { $0.hasSuffix(".png") })
        let outcome = try space.vlmc(
            "bench", space.compile(Workspace.demoModel), "--prompt", "40", "--tokens", "8", "--rounds", "3", "--sequences", "1,2", "--image",
            "\(image)/\(first)", "--json")
        #expect(outcome.status == 0, "\(outcome.errors)")
        let figures = try #require(try JSONSerialization.jsonObject(with: Data(outcome.output.utf8)) as? [[String: Any]])
        #expect(figures.compactMap { $0["name"] as? String } == ["start", "prefill 40", "decode 1", "decode 2", "image \(first)"])
        for figure in figures {
            let values = try #require(figure["values"] as? [Double])
            #expect(values.count == (figure["name"] as? String == "start" ? 1 : 3) && values.allSatisfy { $0 > 0 } && values == values.sorted())
            #expect((figure["floor"] as? Double ?? 0 > 0) == (figure["name"] as? String != "start"))
        }
    }

    @Test func saysWhatDoesNotFit() throws {
        let space = try Workspace(), artifact = try space.compile(Workspace.demoModel)
        for (flags, words) in [
            (["--prompt", "100000"], "do not fit into the context"), (["--tokens", "1"], "--tokens at least 2"),
            (["--sequences", "1,x"], "\"x\" is not in 1 …"), (["--sequences", "1000"], "\"1000\" is not in 1 …"),
        ] {
            let outcome = try Command("vlmc", ["bench", artifact] + flags, environment: ["VLM_STORE": space.store]).run()
            #expect(outcome.status == (flags == ["--tokens", "1"] ? 64 : 1) && outcome.errors.contains(words), "\(outcome.errors)")
        }
    }
}
