import ArgumentParser
import Foundation
import Inputs
import ModelRuntime
import Plan
import Serving

struct Parity: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Compare an artifact with recorded inputs and outputs of HuggingFace transformers.",
        discussion: """
            The reference directory holds expected.json, expected.safetensors and the images that they were recorded with. \
            Token ids and grids must be equal, pixel values within 1e-5, image features and logits within 1e-3 with a cosine \
            of at least 0.99999, greedy tokens identical. Where layers round what they read (the record has \
            weight_only_step_logits), a cosine of 0.9995 is asked of logits. Exit code 1 when a bar is missed: compile with \
            --precision exact for these bars.
            """)

    @Argument(help: "An artifact's directory, the beginning of its key, or its model's name.")
    var artifact: String

    @Option(help: "Directory with expected.json and expected.safetensors.")
    var reference: String

    @OptionGroup var store: StoreOption
    @OptionGroup var computing: ComputeOptions

    func run() throws {
        let recording = try Recording(reference)
        let session = try computing.session(try store.artifact(artifact))
        let rows = try compare(session, recording)
        print("what             max abs diff   cosine      bar        verdict")
        let judged = recording.roundsInputs ? rows.map(\.byDirection) : rows
        for row in judged { print(row.text) }
        guard judged.allSatisfy(\.passes) else { throw ExitCode(1) }
    }

    private func compare(_ session: Session, _ recording: Recording) throws -> [ParityRow] {
        let pipeline = try Failure.wrapping { () throws(SessionError) in try session.pipeline() }
        let prepared = try recording.prepared(pipeline)
        var rows = [ParityRow(equal: "token ids", prepared.inputIDs, recording.ids)]
        if let positions = recording.integers("position_ids") {
            rows.append(ParityRow(equal: "position ids", prepared.positions.ids, positions))
        }
        if let pixels = recording.floats("inputs.pixel_values"), let image = pipeline.spec.image {
            let values = image.pixelValues(of: prepared.images.map(\.image)).values
            rows.append(ParityRow(close: "pixel values", values, pixels, within: 1e-5, cosine: nil))
        }
        return try Failure.wrapping { () throws(SessionError) in try rows + outputs(session, pipeline, prepared, recording) }
    }

    /// What the engine computes of the recorded prompt and the recorded tokens behind it.
    private func outputs(
        _ session: Session, _ pipeline: InputPipeline, _ prepared: PreparedPrompt, _ recording: Recording
    ) throws(SessionError) -> [ParityRow] {
        let prompt = pipeline.prompt(prepared)
        let penalty = pipeline.defaultSampling.repetitionPenalty
        let tokens = recording.newTokens
        let found = try session.outputs(of: prompt, continuation: tokens.isEmpty ? [0] : tokens, repetitionPenalty: penalty)
        var rows: [ParityRow] = []
        if let expected = recording.imageFeatures() {
            rows.append(ParityRow(close: "image features", Array(found.images.joined()), expected))
        }
        if let expected = recording.floats("prefill_logits") ?? recording.floats("prefill_logits_last64") {
            let logits = try session.outputs(of: prompt, continuation: [0], readsWholePrompt: true).prompt
            rows.append(ParityRow(close: "prefill logits", Array(logits.suffix(expected.count)), expected))
        }
        if let expected = recording.floats("step_logits") {
            rows.append(ParityRow(close: "step logits", Array(found.steps.joined().prefix(expected.count)), expected))
        }
        let greedy = found.choices.prefix(tokens.count).map { $0 ?? -1 }
        return rows + [ParityRow(equal: "greedy tokens", greedy, tokens)]
    }
}

/// One line of the table.
struct ParityRow {
    private(set) var text: String
    private(set) var passes: Bool
    /// Between the numbers; nil for integers.
    private var cosine: Double?

    /// Integers that must be the same.
    init(equal name: String, _ found: [Int32], _ expected: [Int32]) {
        let first = zip(found, expected).enumerated().first { $0.element.0 != $0.element.1 }
        passes = found == expected
        let title = name.padding(toLength: 16, withPad: " ", startingAt: 0)
        let verdict: String
        if passes {
            verdict = "ok, \(expected.count) equal"
        } else if let first {
            verdict = "MISSED: first at \(first.offset), \(first.element.0) instead of \(first.element.1)"
        } else {
            verdict = "MISSED: \(found.count) instead of \(expected.count)"
        }
        text = "\(title) -              -           equal      \(verdict)"
    }

    /// Numbers that must be near; `cosine` is the least that passes.
    init(close name: String, _ found: [Float], _ expected: [Float], within bar: Float = 1e-3, cosine least: Double? = 0.99999) {
        var (worst, place) = (Float(0), -1)
        var (dot, own, other) = (0.0, 0.0, 0.0)
        for (index, (a, b)) in zip(found, expected).enumerated() {
            let difference = abs(a - b)
            if !(difference <= bar), place < 0 { place = index }
            worst = difference.isNaN ? .infinity : max(worst, difference)
            dot += Double(a) * Double(b)
            own += Double(a) * Double(a)
            other += Double(b) * Double(b)
        }
        let cosine = own > 0 && other > 0 ? dot / (own * other).squareRoot() : 1
        self.cosine = found.count == expected.count ? cosine : nil
        passes = found.count == expected.count && worst <= bar && cosine >= (least ?? -1)
        let verdict =
            passes
            ? "ok, \(expected.count) values"
            : found.count != expected.count
                ? "MISSED: \(found.count) values instead of \(expected.count)"
                : "MISSED" + (place >= 0 ? ": first at element \(place)" : "")
        let title = name.padding(toLength: 16, withPad: " ", startingAt: 0)
        text = title + String(format: " %-14.3g %-11.7f %-10.0e ", Double(worst), cosine, Double(bar)) + verdict
    }
}

extension ParityRow {
    /// The row of layers that round what they read: a number between two steps goes either way, and all that follows with it, so that
    /// logits are told by their direction.
    var byDirection: ParityRow {
        guard !passes, text.hasPrefix("prefill logits") || text.hasPrefix("step logits"), let cosine, cosine >= 0.9995 else { return self }
        var row = self
        row.passes = true
        row.text = text.replacing(/MISSED.*/, with: "ok by direction: layers round what they read")
        return row
    }
}

extension Recording {
    /// Whether the recorded layers round what they read.
    fileprivate var roundsInputs: Bool { floats("weight_only_step_logits") != nil }
}
