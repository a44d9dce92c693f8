import Foundation
import HuggingFace
import IR
import Models
import Plan
import Reference
import Tensors

/// A model directory with what transformers computed for one prompt.
struct Oracle {
    let module: Module
    let checkpoint: Checkpoint
    let definition: any ModelDefinition
    private let imageToken: Int32
    let expected: SafetensorsFile

    static let repository = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
        .deletingLastPathComponent().path
    static let fixtures = repository + "/Tests/EndToEndTests/Fixtures"
    static let demoModel = repository + "/Artifacts/Demo/model"

    /// What the processor of every fixture does with pixels.
    static let normalization = PixelSpec.Normalization(
        mean: [0.48145466, 0.4578275, 0.40821073], deviation: [0.26862954, 0.26130258, 0.27577711])
    static let bounds = TraceBounds(tokens: 512, rows: 512, slots: 1024, imageRows: 512, patches: 2048, features: 512)

    init(model: String, reference: String) throws {
        let directory = try ModelDirectory(model)
        definition = try Architectures.definition(for: directory)
        imageToken = try definition.inputs(TokenNames(text: { _ in nil }, token: { _ in nil })).image?.prompt.token ?? -1
        checkpoint = try Checkpoint(directory: model)
        module = try definition.trace(CheckpointTypes(checkpoint), bounds: Self.bounds)
        expected = try SafetensorsFile(path: reference + "/expected.safetensors")
    }

    func recorded(_ name: String) -> Tensor? {
        expected[name].flatMap { view in
            view.withBytes { Tensor(view.type.element, view.type.shape.fixed ?? [], bytes: $0) }
        }
    }

    /// Runs an entry; `call` makes the matrices of its masks.
    func run(_ entry: String, _ inputs: [String: Tensor], _ call: MaskedCall, states: [String: Tensor] = [:]) throws -> Evaluator.Outcome {
        let sources = Dictionary(uniqueKeysWithValues: module.weights.map { ($0.name, $0.source) })
        let evaluator = Evaluator { name throws(EvaluationError) in
            guard let view = sources[name].flatMap({ checkpoint[$0] }),
                let tensor = view.withBytes({ Tensor(view.type.element, view.type.shape.fixed ?? [], bytes: $0) })
            else { throw EvaluationError("no weight \(name)") }
            return tensor
        }
        guard let graph = module.graph(entry) else { throw EvaluationError("no entry \(entry)") }
        return try evaluator.run(graph, inputs: inputs.merging(call.matrices(of: graph)) { given, _ in given }, states: states)
    }

    /// Features of the recorded images.
    func imageFeatures() throws -> Tensor? {
        guard let values = recorded("inputs.pixel_values"), let grids = recorded("inputs.image_grid_thw")?.ints else { return nil }
        let patches = values.shape[0]
        var bounds = [0]
        var rows: [Int32] = []
        var columns: [Int32] = []
        for index in 0..<grids.count / 3 {
            let (height, width) = (Int(grids[3 * index + 1]), Int(grids[3 * index + 2]))
            for (row, column) in Self.mergeOrder(height, width) {
                rows.append(Int32(row))
                columns.append(Int32(column))
            }
            bounds.append(rows.count)
        }
        return try run(
            "vision",
            [
                "pixels": Tensor(ints: Self.bytes(values.floats), [patches, 1176], .u8),
                "patch_positions": Tensor(ints: rows + columns, [2, patches]),
            ], MaskedCall(bounds: ["images": bounds])
        ).results[0]
    }

    /// Row and column of the patches of a grid in the order of `pixel_values`: 2×2 cells, row by row.
    static func mergeOrder(_ height: Int, _ width: Int) -> [(Int, Int)] {
        var places: [(Int, Int)] = []
        for row in stride(from: 0, to: height, by: 2) {
            for column in stride(from: 0, to: width, by: 2) {
                places += [(row, column), (row, column + 1), (row + 1, column), (row + 1, column + 1)]
            }
        }
        return places
    }

    /// The bytes that normalized `pixel_values` were made of.
    static func bytes(_ values: [Float]) -> [Int32] {
        return stride(from: 0, to: values.count, by: 1176).flatMap { start in
            (0..<3).flatMap { channel in
                (0..<392).map { pixel in
                    let value = Double(values[start + channel * 392 + pixel])
                    return Int32(((value * normalization.deviation[channel] + normalization.mean[channel]) * 255).rounded())
                }
            }
        }
    }

    /// A sequence being computed: its cache and how much of it is filled.
    struct Sequence {
        var states: [String: Tensor]
        var length = 0
        let slots: Int
    }

    func emptySequence(slots: Int) throws -> Sequence {
        let geometry = definition.geometry
        let shape = [slots, geometry.kvHeads, geometry.headDim]
        let zero = Tensor(Array(repeating: 0, count: shape.reduce(1, *)), shape)
        var states: [String: Tensor] = [:]
        for layer in 0..<geometry.layers {
            states["kv.\(layer).k"] = zero
            states["kv.\(layer).v"] = zero
        }
        return Sequence(states: states, slots: slots)
    }

    /// Adds a range of the recorded prompt to a sequence; returns the logits of each of its tokens.
    func extend(_ sequence: inout Sequence, _ range: Range<Int>, images: Tensor?) throws -> Tensor {
        let ids = recorded("inputs.input_ids")!.ints
        let positions = recorded("position_ids")!.ints
        var next: Int32 = -1
        let rows = ids.map { id -> Int32 in
            guard id == imageToken else { return -1 }
            next += 1
            return next
        }
        let width = definition.geometry.hiddenSize
        let count = range.count
        let chunk = (0..<3).flatMap { axis in range.map { positions[axis * ids.count + $0] } }
        let outcome = try run(
            "extend",
            [
                "ids": Tensor(ints: Array(ids[range]), [count]),
                "image_rows": Tensor(ints: Array(rows[range]), [count]),
                "image_embeds": images ?? Tensor([], [0, width]),
                "positions": Tensor(ints: chunk, [3, count]),
                "slots": Tensor(ints: range.map(Int32.init), [count]),
                "sample_rows": Tensor(ints: (0..<count).map(Int32.init), [count]),
            ], MaskedCall(range, slots: sequence.slots), states: sequence.states)
        sequence.states = outcome.states
        sequence.length = range.upperBound
        return outcome.results[0]
    }

    /// Adds one token by the `decode` entry; returns its logits.
    func decode(_ sequence: inout Sequence, _ token: Int32) throws -> Tensor {
        let position = Int32(sequence.length) + recorded("rope_deltas")!.ints[0]
        let outcome = try run(
            "decode",
            [
                "ids": Tensor(ints: [token], [1]),
                "positions": Tensor(ints: [position, position, position], [3, 1]),
                "slots": Tensor(ints: [Int32(sequence.length)], [1]),
            ], MaskedCall(sequence.length..<sequence.length + 1, slots: sequence.slots), states: sequence.states)
        sequence.states = outcome.states
        sequence.length += 1
        return outcome.results[0]
    }
}

/// The largest absolute difference and the cosine of two lists of numbers.
func compare(_ a: some Collection<Float>, _ b: some Collection<Float>) -> (difference: Float, cosine: Double) {
    var (difference, dot, aa, bb): (Float, Double, Double, Double) = (a.count == b.count ? 0 : .infinity, 0, 0, 0)
    for (x, y) in zip(a, b) {
        difference = max(difference, abs(x - y))
        dot += Double(x) * Double(y)
        aa += Double(x) * Double(x)
        bb += Double(y) * Double(y)
    }
    return (difference, dot / (aa * bb).squareRoot())
}
