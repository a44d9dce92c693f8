import ArtifactFormat
import ArtifactSamples
import Foundation
import Testing

@Suite struct CacheToolTests {
    private let sample: Sample
    private let tool: Tool
    private let first: String
    private let second: String

    init() throws {
        sample = try Sample()
        tool = Tool(store: sample.store.root)
        first = try sample.write(model: "first")
        let writer = try ArtifactWriter(store: sample.store, key: Sample.key(gears: [1, 2]))
        _ = try writer.useStoredWeights(Artifact.manifest(directory: first).weightsKey)
        second = try Sample.finish(writer, gears: [1, 2], model: "second")
    }

    @Test func listsAndShows() throws {
        let list = try tool.run("ls")
        #expect(list.status == 0 && list.output.contains("first") && list.output.contains("second"))
        #expect(list.output.hasPrefix("KEY"))
        let lines = try #require(try tool.run("ls", "--json").json() as? [[String: Any]])
        #expect(Set(lines.compactMap { $0["path"] as? String }) == [first, second])
        let show = try tool.run("show", "first")
        for text in ["linear_bf16_f32", "decode.4", "bf16 panels", "max-num-batched-tokens", "64 B per token", "runs here"] {
            #expect(show.output.contains(text), "\(text) is not shown")
        }
        let summary = try #require(try tool.run("show", first, "--json").json() as? [String: Any])
        #expect((summary["entries"] as? [[String: Any]])?.first?["steps"] as? Int == 5)
        #expect((summary["cache"] as? [String: Any])?["bytesPerToken"] as? Int == 64)
    }

    @Test func terminalSequencesInNamesAreSpelledOut() throws {
        let sample = try Sample()
        let path = try sample.write(model: "\u{1b}]0;title\u{7}name")
        for arguments in [["ls"], ["show", path]] {
            let shown = try Tool(store: sample.store.root).run(arguments)
            #expect(shown.status == 0 && !shown.output.contains("\u{1b}") && !shown.output.contains("\u{7}"))
            #expect(shown.output.contains("\\u{1b}]0;title\\u{7}name"))
        }
    }

    @Test func costsFollowFromSteps() throws {
        let artifact = try Artifact.open(directory: first)
        let summary = ArtifactSummary(artifact, features: [], processor: "Test CPU")
        let gear = try #require(summary.entries.first { $0.entry == "decode.4" })
        #expect(gear.flopsPerRow == 2 * 8 * 8 + 5 * 8)
        #expect(gear.weightBytesPerRow == (32 + 128) / 4)
        #expect(gear.attentionFlopsPerContextToken == 4 * 8)
        #expect(gear.cacheBytesPerContextToken == 64)
        #expect(summary.layers.first?.origin == "model.layers.0.self_attn")
        #expect(summary.verdict.note == "runs here, tuned for this machine")
    }

    @Test func printsGraphs() throws {
        #expect(try tool.run("graph", "first").output.hasPrefix("// vir 1\n"))
        #expect(try tool.run("graph", "first", "--stage", "fused", "--entry", "extend", "--format", "dot").output.hasPrefix("digraph"))
        #expect(try tool.run("graph", "first", "--format", "svg").output.hasPrefix("<svg"))
        let unknown = try tool.run("graph", "first", "--stage", "melted")
        #expect(unknown.status == 1 && unknown.output.isEmpty && unknown.errors.contains("there are: fused"))
    }

    @Test func printsPlans() throws {
        let plan = try tool.run("plan", "first", "--entry", "decode.4")
        #expect(plan.output.contains("paged_attention") && plan.output.contains("weight layers.0.qkv"))
        let listings = try #require(try tool.run("plan", "first", "--json").json() as? [[String: Any]])
        #expect(listings.compactMap { $0["entry"] as? String } == ["extend", "decode.1", "decode.4"])
        let steps = try #require(listings[0]["steps"] as? [[String: Any]])
        let outputs = try #require(steps[1]["outputs"] as? [[String: Any]])
        #expect(outputs[0]["livesUntil"] as? Int == 3)
        #expect(try tool.run("plan", "first", "--entry", "nonsense").status == 1)
    }

    @Test func printsPasses() throws {
        let passes = try tool.run("passes", "first")
        #expect(passes.status == 0)
        for text in ["fuse-rms-norm@1", "fused", "scale is not a constant", "at @extend %3"] {
            #expect(passes.output.contains(text), "\(text) is not printed")
        }
        #expect(try tool.run("passes", "first", "--diff", "fuse-rms-norm").output == "graph @extend\n- %0 = square %x\n+ %0 = rms_norm %x\n")
        #expect(try tool.run("passes", "first", "--diff", "melt").errors.contains("there are: fuse-rms-norm"))
    }

    @Test func saysWhy() throws {
        let why = try tool.run("why", "first", "second")
        #expect(why.output.contains("gears") && why.output.contains("max-num-seqs"))
        #expect(why.output.contains("program: own   weights: shared"))
        let answer = try #require(try tool.run("why", "first", "second", "--json").json() as? [String: Any])
        #expect((answer["differences"] as? [[String: Any]])?.map { $0["field"] as? String } == ["gears", "max-num-seqs"])
        #expect(try tool.run("why", "first", "first").output.contains("the keys are equal"))
    }

    @Test func verifiesAndNamesTheDamage() throws {
        #expect(try tool.run("verify").status == 0)
        var bytes = try #require(FileManager.default.contents(atPath: first + "/tokenizer.bin"))
        bytes[2] ^= 1
        try bytes.write(to: URL(fileURLWithPath: first + "/tokenizer.bin"))
        let verdict = try tool.run("verify", "first")
        #expect(verdict.status == 1 && verdict.errors.contains("section tokenizer.bin is damaged"))
        let json = try #require(try tool.run("verify", "--json").json() as? [[String: Any]])
        #expect(json.count { $0["isIntact"] as? Bool == true } == 1)
        truncate(first + "/manifest.json", 7)
        #expect(try tool.run("verify").errors.contains("manifest.json is damaged"))
        #expect(try tool.run("show", first).errors.contains("manifest.json is damaged"))
        #expect(try tool.run("ls").errors.contains("warning"))
    }

    @Test func measuresAndCollects() throws {
        let use = try #require(try tool.run("du", "--json").json() as? [String: Any])
        let parts = try #require(use["parts"] as? [[String: Any]])
        #expect(use["totalBytes"] as? Int == parts.reduce(0) { $0 + ($1["ownBytes"] as? Int ?? 0) })
        #expect(try tool.run("du").output.contains("weights/"))
        let planned = try tool.run("gc", "--keep-last", "1", "--dry-run")
        #expect(planned.output.contains("would remove \(first)") && sample.store.list().count == 2)
        #expect(try tool.run("gc", "--keep-last", "1", "--json").status == 0)
        #expect(sample.store.list().map(\.path) == [second])
        #expect(try tool.run("gc", "--max-bytes", "much").status == 64)
        #expect(try tool.run("gc", "--keep-last", "-1").status == 64)
    }

    @Test func removesByNameAndKey() throws {
        #expect(try tool.run("rm", "first").status == 0)
        #expect(!FileManager.default.fileExists(atPath: first))
        let gone = try tool.run("rm", "first")
        #expect(gone.status == 1 && gone.errors.hasPrefix("error: no artifact first"))
        #expect(try tool.run("rm", String(Sample.key(gears: [1, 2]).digest.prefix(6))).status == 0)
        #expect(sample.store.list().isEmpty)
    }

    @Test func aNameOfSeveralIsNotRemovedUnasked() throws {
        let sample = try Sample()
        let tool = Tool(store: sample.store.root)
        try sample.write(model: "one")
        try sample.write(Sample.key(gears: [1, 2]), model: "one")
        let refused = try tool.run("rm", "one")
        #expect(refused.status == 1 && refused.errors.hasPrefix("error: one means several artifacts; give the beginning of a key:\n  "))
        #expect(refused.errors.hasSuffix("\n--all removes them all\n") && refused.errors.split(separator: "\n").count == 4, "\(refused.errors)")
        for key in [Sample.key(), Sample.key(gears: [1, 2])] { #expect(refused.errors.contains(key.digest.prefix(12))) }
        #expect(sample.store.list().count == 2)
        let open = try Artifact.open(directory: sample.store.path(of: Sample.key()))
        let kept = try tool.run("rm", "one", "--all")
        #expect(kept.status == 1 && kept.errors.contains("is in use by process \(getpid()); nothing was removed"), "\(kept.errors)")
        #expect(sample.store.list().count == 2)
        #expect(try tool.run("rm", "one", "--all", "--force").status == 0)
        withExtendedLifetime(open) {}
        #expect(sample.store.list().isEmpty)
    }

    @Test func storeMayBeNamedOrMissing() throws {
        let other = Tool(store: sample.root + "/nowhere")
        #expect(try other.run("ls").output.isEmpty)
        #expect(try other.run("ls", "--json").output == "[\n\n]\n")
        #expect(try other.run("ls", "--store", sample.store.root).output.contains("first"))
        #expect(try other.run("gc").status == 0)
        #expect(!FileManager.default.fileExists(atPath: other.store))
    }

    @Test(arguments: ["--help", "--version-nonsense", "show", "graph"]) func neverEndsBySignal(_ argument: String) throws {
        #expect(try tool.run(argument).hasExited)
    }
}
