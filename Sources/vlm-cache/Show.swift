import ArgumentParser
import ArtifactFormat
import CommandLineSupport
import CPUBackend
import Plan

struct Show: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Shows what an artifact is made of and what it costs to run.")

    @OptionGroup var options: CommonOptions
    @Argument(help: "A path, the beginning of a key, or a model's name.") var artifact: String

    func run() throws {
        let summary = ArtifactSummary(
            try options.open(artifact), features: CPUBackend.features, processor: ThisMachine.processor())
        if options.json { return try Terminal.printJSON(summary) }
        let terminal = Terminal()
        printHead(summary, terminal)
        printEntries(summary, terminal)
        printWeights(summary, terminal)
    }

    private func printHead(_ summary: ArtifactSummary, _ terminal: Terminal) {
        let verdict = summary.verdict
        print("\(terminal.heading(summary.model))  \(summary.architecture.visible())")
        if summary.names.count > 1 { print("  names     \(summary.names.joined(separator: ", ").visible())") }
        print("  path      \(summary.path.visible())")
        print("  size      \(Figures.bytes(summary.bytes)), written by vlmc \(summary.compiler.visible())")
        if let media = summary.media { print("  takes     \(media.summary.visible())") }
        print("  machine   \(verdict.runsHere ? terminal.good(verdict.note) : terminal.bad(verdict.note))")
        if !summary.rates.isEmpty {
            for (index, rate) in summary.rates.sorted(by: { $0.key < $1.key }).enumerated() {
                print("  \(index == 0 ? "measured" : "        ")  \(rate.key.visible()): \(Figures.count(rate.value))")
            }
        }
        print("")
        var table = TextTable([("KEY", .left), (summary.keyDigest, .left)])
        for field in summary.key {
            for (index, line) in Self.wrapped(field.value.isEmpty ? "(none)" : shortened(field.value)).enumerated() {
                table.add(index == 0 ? field.name : "", line)
            }
        }
        print(table.text(terminal) + "\n")
    }

    /// Words in lines of at most so many characters, but for a word that is longer.
    private static func wrapped(_ text: String, width: Int = 100) -> [String] {
        var lines: [String] = []
        for word in text.split(separator: " ") {
            if let last = lines.last, last.count + 1 + word.count <= width { lines[lines.count - 1] += " \(word)" } else { lines.append(String(word)) }
        }
        return lines
    }

    private func shortened(_ value: String) -> String {
        let isDigest = value.count == 64 && value.allSatisfy(\.isHexDigit)
        return isDigest ? String(value.prefix(16)) + "…" : value
    }

    private func printEntries(_ summary: ArtifactSummary, _ terminal: Terminal) {
        var table = TextTable([
            ("ENTRY", .left), ("STEPS", .right), ("ARENA", .right), ("UNSHARED", .right), ("FLOPS/TOKEN", .right),
            ("WEIGHTS/TOKEN", .right), ("+FLOPS/CONTEXT", .right), ("+KV/CONTEXT", .right),
        ])
        for entry in summary.entries {
            table.add(
                entry.entry, "\(entry.steps)", Figures.bytes(entry.arenaBytes), Figures.bytes(entry.unsharedBytes),
                Figures.count(entry.flopsPerRow), Figures.bytes(entry.weightBytesPerRow),
                Figures.count(entry.attentionFlopsPerContextToken), Figures.bytes(entry.cacheBytesPerContextToken))
        }
        print(table.text(terminal))
        for entry in summary.entries where !entry.fallbacks.isEmpty {
            print("\(terminal.heading(entry.entry))  \(Figures.fallbacks(entry.fallbacks, of: entry.steps))")
        }
        for (reason, count) in summary.fallbackReasons.sorted(by: { ($1.value, $0.key) < ($0.value, $1.key) }) {
            print("  \(count) × \(reason.visible())")
        }
        print(terminal.dim("per token of a full batch (vision: per patch); + for each token of context attended to") + "\n")
        let cache = summary.cache
        let kinds = cache.kinds.map { "\($0.layers)×\($0.heads)×\($0.headDim)" }.joined(separator: " + ")
        let blocks = cache.bytesPerBlock.compactMap { size, bytes in Int(size).map { ($0, bytes) } }.sorted { $0.0 < $1.0 }
        print(
            terminal.heading("KV CACHE")
                + "  layers × heads × size: \(kinds), \(cache.element): "
                + "\(Figures.bytes(cache.bytesPerToken)) per token")
        print("  blocks    " + blocks.map { "\($0.0): \(Figures.bytes($0.1))" }.joined(separator: "  ") + "\n")
    }

    private func printWeights(_ summary: ArtifactSummary, _ terminal: Terminal) {
        var table = TextTable([("WEIGHTS", .left), ("TENSORS", .right), ("ELEMENTS", .right), ("BYTES", .right)])
        for group in summary.weights {
            table.add(
                group.layout, "\(group.tensors)", Figures.count(Double(group.elements)), Figures.bytes(group.bytes))
        }
        print(table.text(terminal) + "\n")
        var layers = TextTable([
            ("ENTRY", .left), ("LINEAR LAYERS", .left), ("KERNEL", .left), ("WEIGHTS", .left), ("OUT×IN", .right),
            ("COUNT", .right), ("BYTES", .right),
        ])
        for layer in summary.layers {
            layers.add(
                layer.entry, layer.origin, layer.kernel, layer.weights, "\(layer.outputs)×\(layer.inputs)",
                "\(layer.count)", Figures.bytes(layer.bytes))
        }
        print(layers.text(terminal))
    }
}
