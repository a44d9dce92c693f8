import CommandLineSupport
import Compiler
import Foundation
import Plan

/// What is known of a model directory, as people read it.
struct DiagnosisText {
    private let diagnosis: Diagnosis

    init(_ diagnosis: Diagnosis) { self.diagnosis = diagnosis }

    var text: String {
        var parts = [head]
        if let memory = diagnosis.memory { parts.append(lines(memory)) }
        if let speed = diagnosis.speed { parts.append(lines(speed)) }
        parts.append(findings)
        return parts.map { $0.joined(separator: "\n") + "\n" }.joined(separator: "\n")
    }

    private var head: [String] {
        let architectures = diagnosis.architectures.joined(separator: ", ")
        let family = diagnosis.family ?? "unknown"
        var rows: [(String, String)] = []
        rows.append(("model", "\(diagnosis.name) in \(diagnosis.directory)"))
        rows.append(("family", architectures.isEmpty ? family : "\(family), \(architectures)"))
        rows.append(("decoder", diagnosis.decoder.map(described) ?? "unknown"))
        rows.append(("vision", diagnosis.vision.map(described) ?? (diagnosis.decoder == nil ? "unknown" : "none in config.json")))
        rows.append(("quantization", diagnosis.quantization ?? (diagnosis.decoder == nil ? "unknown" : "none")))
        if let quantize = diagnosis.quantize { rows.append(("quantize", "\(quantize), \(LayerRounding(rawValue: quantize)?.summary ?? "unknown")")) }
        rows.append(("weights", diagnosis.weights.map(described) ?? "unknown"))
        rows.append(("tokenizer", diagnosis.tokenizer.map { "\($0.file), \($0.tokens ?? 0) tokens" } ?? "unknown"))
        rows.append(("template", diagnosis.template?.file ?? "none"))
        if let media = diagnosis.media { rows.append(("takes", media.summary)) }
        if let image = diagnosis.image {
            rows.append(("images", "one of \(image.width) × \(image.height) is \(image.tokens) tokens"))
        }
        return rows.map { $0.0.padding(toLength: 14, withPad: " ", startingAt: 0) + $0.1 }
    }

    private func described(_ weights: Diagnosis.Weights) -> String {
        let types = weights.elements.sorted { $0.key < $1.key }.map { "\($0.value) of \($0.key)" }.joined(separator: ", ")
        let files = weights.files == 1 ? "1 file" : "\(weights.files) files"
        return "\(Figures.bytes(weights.bytes)) in \(files), \(weights.tensors) tensors: \(types)"
    }

    private func described(_ part: Diagnosis.Part) -> String {
        var words: [String] = []
        if let type = part.type { words.append(type) }
        if let layers = part.layers, let width = part.width { words.append("\(layers) layers of \(width)") }
        if let heads = part.heads { words.append("\(heads) heads" + (part.kvHeads.map { " over \($0)" } ?? "")) }
        if let patch = part.patchSize { words.append("patches of \(patch)") }
        if let vocabulary = part.vocabulary { words.append("vocabulary of \(vocabulary)") }
        if let context = part.context { words.append("context of \(context)") }
        return words.isEmpty ? "config.json says nothing of it" : words.joined(separator: ", ")
    }

    private func lines(_ need: MemoryNeed) -> [String] {
        let gears = Set(need.cases.map(\.gear)).sorted()
        let groups = Dictionary(grouping: need.cases) { [$0.context, $0.images] }.sorted { $0.key.lexicographicallyPrecedes($1.key) }
        var rows: [[String]] = []
        for (key, cases) in groups {
            var row = ["\(key[0])", "\(key[1])"]
            for gear in gears {
                let bytes = cases.first { $0.gear == gear }?.bytes
                row.append(bytes.map { Figures.bytes($0) } ?? "–")
            }
            rows.append(row)
        }
        var lines = ["Memory by context, images in each, and sequences at once:"]
        lines += Self.table(["context", "images"] + gears.map { "× \($0)" }, rows)
        lines.append(
            "weights \(Figures.bytes(need.weights)), shared by processes; \(Figures.bytes(need.arena)) to compute in; "
                + "\(Figures.bytes(need.cachePerToken)) for each token")
        if diagnosis.image != nil {
            lines.append("\(Figures.bytes(need.imageArena)) to compute an image in; \(Figures.bytes(need.perImage)) for each image's features")
        }
        return lines
    }

    private func lines(_ speed: ExpectedSpeed) -> [String] {
        let gears = Set(speed.cases.map(\.gear)).sorted()
        var rows: [[String]] = []
        for (context, cases) in Dictionary(grouping: speed.cases, by: \.context).sorted(by: { $0.key < $1.key }) {
            var row = ["\(context)"]
            for gear in gears {
                let rate = cases.first { $0.gear == gear }?.tokensPerSecond
                row.append(rate.map(Self.rounded) ?? "–")
            }
            rows.append(row)
        }
        var lines = ["Tokens in a second at most, of all sequences together, by context and sequences at once:"]
        lines += Self.table(["context"] + gears.map { "× \($0)" }, rows)
        let image = speed.secondsPerImage.map { ", an image in \(Self.rounded($0)) s" } ?? ""
        lines.append("prompts are read at \(Self.rounded(speed.promptTokensPerSecond)) tokens/s\(image)")
        lines.append("by the rates of \(speed.processor), \(speed.threads) \(speed.threads == 1 ? "thread" : "threads")")
        return lines
    }

    private var findings: [String] {
        var lines = diagnosis.warnings.map { "warning: \($0)" }
        lines += diagnosis.unknown.map { "not known: \($0)" }
        lines += diagnosis.faults.map { "error: \($0)" }
        lines.append(diagnosis.wouldCompile ? "It would compile." : "It would not compile.")
        return lines
    }

    /// Two digits, or all before the point.
    private static func rounded(_ value: Double) -> String {
        String(format: value >= 10 ? "%.0f" : "%.2g", value)
    }

    private static func table(_ header: [String], _ rows: [[String]]) -> [String] {
        var table = TextTable(header.map { ($0, .right) }, gap: 3)
        rows.forEach { table.add($0) }
        return table.lines
    }
}
