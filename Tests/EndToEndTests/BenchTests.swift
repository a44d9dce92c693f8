import Foundation
import Testing

@Suite struct BenchTests {
    @Test func measuresEachFigureBesideItsFloor() throws {
        let space = try Workspace()
        let image = Workspace.repository.appending(path: "Artifacts/Demo/samples").path
        let first = try #require(try FileManager.default.contentsOfDirectory(atPath: image).sorted().first { $0.hasSuffix(".png") })
        let outcome = try space.vlmc(
            "bench", space.compile(Workspace.demoModel), "--prompt", "40", "--tokens", "8", "--rounds", "3", "--sequences", "1,2", "--image",
            "\(image)/\(first)", "--kernels", "--json")
        #expect(outcome.status == 0, "\(outcome.errors)")
        let report = try #require(try JSONSerialization.jsonObject(with: Data(outcome.output.utf8)) as? [String: Any])
        let figures = try #require(report["figures"] as? [[String: Any]])
        #expect(figures.compactMap { $0["name"] as? String } == ["memory", "start", "start to first token", "prefill 40", "decode 1", "decode 2", "image \(first)"])
        for (figure, count) in zip(figures, [13, 1, 1, 3, 3, 3, 3]) {
            let values = try #require(figure["values"] as? [Double]), floors = try #require(figure["floors"] as? [Any])
            #expect(values.count == count && values.allSatisfy { $0 > 0 } && floors.count == count)
            let share = figure["share"] as? Double
            #expect((share ?? 1) > 0 && (share != nil) == (floors as? [Double] != nil) && (share != nil) == (count == 3), "\(figure)")
        }
        // Every step of the entries that ran is counted, in one row; their times are no longer than what was measured around them.
        let kernels = try #require(report["kernels"] as? [[String: Any]])
        let entries = Dictionary(grouping: kernels) { $0["entry"] as? String ?? "" }
        #expect(Set(entries.keys) == ["vision", "extend", "decode.1", "decode.2"])
        for (entry, rows) in entries {
            let seconds = rows.map { $0["seconds"] as? Double ?? 0 }
            #expect(seconds.allSatisfy { $0 > 0 } && seconds == seconds.sorted(by: >), "\(entry)")
            #expect(rows.count == Set(rows.map { "\($0["name"] ?? "")" }).count, "\(entry)")
        }
        let rate = try #require((figures[4]["values"] as? [Double])?.min())
        let decode = try #require(entries["decode.1"]).reduce(0) { $0 + ($1["seconds"] as? Double ?? 0) }
        #expect(decode > 0.1 / rate && decode < 2 / rate)
    }

    @Test func tablesShowWhereTheTimeGoes() throws {
        let space = try Workspace()
        let outcome = try space.vlmc(
            "bench", space.compile(Workspace.demoModel), "--prompt", "40", "--tokens", "8", "--rounds", "1", "--sequences", "1", "--kernels")
        #expect(outcome.status == 0, "\(outcome.errors)")
        for words in ["GB/s", "extend, mean run", "decode.1, mean run", "model.layers.*", "together"] {
            #expect(outcome.output.contains(words), "\(words)")
        }
        #expect(!outcome.output.contains("vision, mean run"))
    }

    @Test func aPageHoldsTheReportAndLoadsNothing() throws {
        let space = try Workspace(), page = space.store + "/bench.html"
        let outcome = try space.vlmc(
            "bench", space.compile(Workspace.demoModel), "--prompt", "40", "--tokens", "8", "--rounds", "1", "--sequences", "1", "--json", "--html", page)
        #expect(outcome.status == 0, "\(outcome.errors)")
        let text = try String(contentsOfFile: page, encoding: .utf8)
        let data = try #require(text.firstMatch(of: #/(?s)<script type="application/json" id="report">(.*?)</script>/#)?.1)
        let inside = try JSONSerialization.jsonObject(with: Data(data.utf8)) as? NSDictionary
        let printed = try #require(try JSONSerialization.jsonObject(with: Data(outcome.output.utf8)) as? NSDictionary)
        #expect(inside == printed && text.firstMatch(of: #/(src|href)=/#) == nil)
        // Every layer of the decoder has a time, and they do not take longer than all kernels.
        let layers = try #require(printed["layers"] as? [[String: Any]]).filter { $0["entry"] as? String == "decode.1" }
        let kernels = try #require(printed["kernels"] as? [[String: Any]]).filter { $0["entry"] as? String == "decode.1" }
        #expect(layers.compactMap { $0["layer"] as? Int } == Array(0..<6))
        let sums = [layers, kernels].map { $0.reduce(0) { $0 + ($1["seconds"] as? Double ?? 0) } }
        #expect(sums[0] > 0.3 * sums[1] && sums[0] <= sums[1])
        #expect(kernels.contains { $0["operations"] as? Double ?? 0 > 0 && $0["bytes"] as? Double ?? 0 > 0 })
    }

    @Test func saysWhatDoesNotFit() throws {
        let space = try Workspace(), artifact = try space.compile(Workspace.demoModel)
        for (flags, words) in [
            (["--prompt", "100000"], "do not fit into the context"), (["--tokens", "1"], "--tokens 1 must be at least 2"),
            (["--sequences", "1,x"], "\"x\" is no number of at least 1"), (["--sequences", "1000"], "1000 is not in 1 …"),
        ] {
            let outcome = try Command("vlmc", ["bench", artifact] + flags, environment: ["VLM_STORE": space.store]).run()
            #expect(outcome.status == (words.contains("at least") ? 64 : 1) && outcome.errors.contains(words), "\(outcome.errors)")
        }
    }
}
