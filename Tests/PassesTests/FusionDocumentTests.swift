import Foundation
import HuggingFace
import IR
import Models
import Passes
import Plan
import Testing

/// What the passes find in every family, and what of it runs on fallbacks.
@Suite struct FusionDocumentTests {
    @Test func documentIsCurrent() throws {
        let file = URL(filePath: TracedModel.repository).appending(path: "docs/fusions.md")
        let text = FusionDocument.markdown(try FusedFamily.all.get())
        if PassFixture.blesses { try text.write(to: file, atomically: true, encoding: .utf8) }
        #expect(try String(contentsOf: file, encoding: .utf8) == text, "VLM_BLESS=1 writes docs/fusions.md again")
    }

    /// Families that deployment guides name and those that came after them, by the beginning of their directories.
    private static let named = ["llava", "internvl", "minicpmv_2", "qwen_vl", "phi3", "qwen2_vl", "qwen2_5_vl", "qwen3_vl"]
    /// What is in the names of directories whose weights lie in other layouts.
    private static let layouts = ["gptq", "_ct_", "fp8", "gemv"]

    @Test func noBlockOfTheNamedFamiliesRunsOnAFallback() throws {
        for family in try FusedFamily.all.get() where Self.named.contains(where: family.name.hasPrefix) {
            if Self.layouts.contains(where: family.name.contains) { continue }
            let inBlocks = family.fallbacks.filter(\.isInBlock)
            #expect(inBlocks.isEmpty, "\(family.name): \(inBlocks.map { "\($0.count) × \($0.op) in \($0.entry)" })")
        }
    }
}

/// One directory of the families' records after the whole pipeline.
struct FusedFamily {
    struct Fallback: Hashable {
        var entry: String
        /// Whether it is in a block that stands several times.
        var isInBlock: Bool
        var op: String
        var count = 0
    }

    struct Miss: Hashable {
        var pass: String
        var rule: String
        var reason: String
    }

    let name: String
    /// How often each pass has rewritten something.
    private(set) var rewrites: [String: Int] = [:]
    private(set) var misses: Set<Miss> = []
    private(set) var fallbacks: [Fallback] = []

    /// The passes that find larger ops in plain ones.
    static let passes = TracedModel.pipeline.passes.filter { $0.stage == .fused }.map(\.name)

    /// Those that the compiler takes, by name.
    static let all = Result { try readAll() }

    private static func readAll() throws -> [FusedFamily] {
        let folder = TracedModel.repository + "/Tests/Families/Fixtures"
        return try FileManager.default.contentsOfDirectory(atPath: folder).sorted().compactMap { name in
            guard let directory = try? ModelDirectory("\(folder)/\(name)"), let definition = try? Architectures.definition(for: directory) else {
                return nil
            }
            let checkpoint = definition.effective(try Checkpoint(directory: "\(folder)/\(name)"))
            let bounds = TraceBounds(tokens: 64, rows: 8, slots: 256, imageRows: 64, patches: 2048, features: 256)
            return try FusedFamily(name, try definition.trace(CheckpointTypes(checkpoint), bounds: bounds))
        }
    }

    init(_ name: String, _ traced: Module) throws {
        self.name = name
        var module = traced
        for report in try TracedModel.pipeline.run(on: &module) where Self.passes.contains(report.pass) || report.pass == "select-kernels" {
            rewrites[report.pass] = report.rewrites.count
            for miss in report.misses { misses.insert(Miss(pass: report.pass, rule: miss.rule, reason: miss.reason)) }
        }
        var counted: [Fallback: Int] = [:]
        for graph in module.graphs where graph.name != "decode.3" {
            for node in graph.nodes where node.kernel?.isFallback == true {
                let isInBlock = node.origin.contains("layers.") || node.origin.contains("blocks.")
                counted[Fallback(entry: graph.name, isInBlock: isInBlock, op: node.op.mnemonic), default: 0] += 1
            }
        }
        fallbacks = counted.map { Fallback(entry: $0.entry, isInBlock: $0.isInBlock, op: $0.op, count: $1) }
            .sorted { ($0.entry, $0.isInBlock ? 0 : 1, $0.op) < ($1.entry, $1.isInBlock ? 0 : 1, $1.op) }
    }
}

private enum FusionDocument {
    static func markdown(_ families: [FusedFamily]) -> String {
        let title = """
            # Fusions by family

            What the passes make of every directory in `Tests/Families/Fixtures`, for a processor with AVX-512 and bf16 in balanced precision;
            `VLM_BLESS=1 make test` writes it again. `vlmc explain PASS DIR` says it of any directory, with the place.

            ## Rewrites

            """
        let columns = FusedFamily.passes.filter { pass in families.contains { $0.rewrites[pass, default: 0] > 0 } }
        let header = "| directory | \(columns.map { "`\($0)`" }.joined(separator: " | ")) |\n|---|\(columns.map { _ in "---:|" }.joined())\n"
        let rows = families.map { family in
            "| \(family.name) | \(columns.map { pass in family.rewrites[pass].map { $0 == 0 ? "" : "\($0)" } ?? "" }.joined(separator: " | ")) |\n"
        }
        return title + "\n" + header + rows.joined() + "\n" + fallbacks(families) + "\n" + misses(families)
    }

    private static func fallbacks(_ families: [FusedFamily]) -> String {
        var text = """
            ## Steps on fallbacks

            Those of blocks run once for each layer; the others once for each call. Directories that are not listed have none.

            | directory | entry | in blocks | elsewhere |
            |---|---|---|---|

            """
        for family in families {
            let entries: [String] = family.fallbacks.map(\.entry).reduce(into: []) { if !$0.contains($1) { $0.append($1) } }
            for entry in entries {
                func listed(_ isInBlock: Bool) -> String {
                    family.fallbacks.filter { $0.entry == entry && $0.isInBlock == isInBlock }.map { "\($0.count) × \($0.op)" }.joined(separator: ", ")
                }
                text += "| \(family.name) | \(entry) | \(listed(true)) | \(listed(false)) |\n"
            }
        }
        return text
    }

    private static func misses(_ families: [FusedFamily]) -> String {
        var text = """
            ## Misses

            Rules of which more than half was there, or whose check refused, and why; of kernels, why a step runs on a fallback.

            | pass | rule | reason | directories |
            |---|---|---|---|

            """
        let all = Set(families.flatMap(\.misses)).sorted { ($0.pass, $0.rule, $0.reason) < ($1.pass, $1.rule, $1.reason) }
        for miss in all {
            let names = families.filter { $0.misses.contains(miss) }.map(\.name)
            let listed = names.count > 4 ? "\(names.count), \(names[0]) the first" : names.joined(separator: ", ")
            text += "| `\(miss.pass)` | \(miss.rule) | \(miss.reason.replacing("|", with: "\\|")) | \(listed) |\n"
        }
        return text
    }
}
