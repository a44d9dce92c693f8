import Foundation
import HuggingFace
import IR
import Models
import Passes
import Plan
import Reference
import Seeded
import Tensors

/// A model directory, traced, with its weights at hand.
struct TracedModel {
    let module: Module
    let geometry: ModelGeometry
    private let checkpoint: Checkpoint

    static let repository = URL(filePath: #filePath).deletingLastPathComponent().appending(path: "../../..").standardized.path
    /// Tiny models: untied f32, f16, bf16 tied, wide heads, AWQ with groups of 32 and 64; then the demo model.
    static let names = [
        "qwen2_vl", "qwen2_vl_v452", "qwen2_vl_hubstyle", "qwen2_vl_wide_head", "qwen2_vl_awq", "qwen2_vl_awq64", "demo",
    ]

    init(_ name: String) throws {
        let directory = Self.repository + (name == "demo" ? "/Artifacts/Demo/model" : "/Tests/EndToEndTests/Fixtures/" + name)
        checkpoint = try Checkpoint(directory: directory)
        let definition = try Architectures.definition(for: ModelDirectory(directory))
        geometry = definition.geometry
        let bounds = TraceBounds(tokens: 64, rows: 8, slots: 256, imageRows: 64, patches: 256, features: 64)
        module = try definition.trace(CheckpointTypes(checkpoint), bounds: bounds)
    }

    /// The whole pipeline as tests run it.
    static let pipeline = Passes.pipeline(
        gears: [1, 3], policy: KernelPolicy(isExact: false, features: [.avx512f, .avx512bf16], arithmetic: .bf16))

    /// Bytes of a patch that the vision entry reads.
    var patchBytes: Int {
        guard let graph = module.graph("vision"), let pixels = graph.input(named: "pixels") else { return 0 }
        return graph[pixels.value].type.shape[1].fixedValue ?? 0
    }

    /// An evaluator that reads weights of the checkpoint.
    var evaluator: Evaluator {
        let sources = Dictionary(uniqueKeysWithValues: module.weights.map { ($0.name, $0.source) })
        return Evaluator { name throws(EvaluationError) in
            guard let view = sources[name].flatMap({ checkpoint[$0] }),
                let tensor = view.withBytes({ Tensor(view.type.element, view.type.shape.fixed ?? [], bytes: $0) })
            else { throw EvaluationError("no weight \(name)") }
            return tensor
        }
    }
}

/// Remembers the module at each stage that a pipeline reaches.
final class StageRecorder: PassObserver {
    var modules: [(stage: Stage, module: Module)] = []

    func didReach(_ stage: Stage, _ module: Module) { modules.append((stage, module)) }
}

/// The three entries run as a server would: two images, two prompts read in two chunks each, two steps of decoding.
struct Rehearsal {
    let model: TracedModel
    static let slots = 24

    typealias Outcome = (results: [Tensor], states: [String: Tensor])
    typealias Run = (_ graph: Graph, _ inputs: [String: Tensor], _ states: [String: Tensor]) throws -> Outcome

    /// Everything that leaves the entries of `module` by Reference, by a name that says where.
    func outcomes(of module: Module) throws -> [(name: String, tensor: Tensor)] {
        let evaluator = model.evaluator
        return try outcomes(of: module) { graph, inputs, states in
            let outcome = try evaluator.run(graph, inputs: inputs, states: states)
            return (outcome.results, outcome.states)
        }
    }

    /// Everything that leaves the entries of `module` when `step` runs them.
    func outcomes(of module: Module, run step: Run) throws -> [(name: String, tensor: Tensor)] {
        var outcomes: [(name: String, tensor: Tensor)] = []
        guard let vision = module.graph("vision"), let extend = module.graph("extend"),
            let one = module.graph("decode.1") ?? module.graph("decode"),
            let three = module.graph("decode.3") ?? module.graph("decode")
        else { throw EvaluationError("an entry is missing") }
        func run(_ graph: Graph, _ inputs: [String: Tensor], _ states: [String: Tensor] = [:]) throws -> Outcome {
            try step(graph, inputs.merging(call(inputs).matrices(of: graph)) { given, _ in given }, states)
        }
        let features = try run(vision, images).results[0]
        outcomes.append(("vision", features))
        var states = emptyCache
        for (index, inputs) in [firstChunk(features), secondChunk(features)].enumerated() {
            let outcome = try run(extend, inputs, states)
            outcomes.append(("extend \(index)", outcome.results[0]))
            states = outcome.states
        }
        for (graph, inputs) in [(one, tokens([7])), (three, batch)] {
            let outcome = try run(graph, inputs, states)
            outcomes.append(("decode of \(inputs["ids"]?.count ?? 0)", outcome.results[0]))
            states = outcome.states
        }
        outcomes += states.sorted { $0.key < $1.key }.map { ($0.key, $0.value) }
        return outcomes
    }

    private var emptyCache: [String: Tensor] {
        let shape = [Self.slots, model.geometry.kvHeads, model.geometry.headDim]
        let zero = Tensor(Array(repeating: 0, count: shape.reduce(1, *)), shape)
        let names = (0..<model.geometry.layers).flatMap { ["kv.\($0).k", "kv.\($0).v"] }
        return Dictionary(uniqueKeysWithValues: names.map { ($0, zero) })
    }

    /// Images of 4×2 and 2×2 patches.
    private var images: [String: Tensor] {
        var random = Dice(1)
        let width = model.patchBytes
        let bytes = (0..<12 * width).map { _ in Int32.random(in: 0...255, using: &random) }
        let rows: [Int32] = [0, 0, 1, 1, 2, 2, 3, 3, 0, 0, 1, 1]
        let columns: [Int32] = [0, 1, 0, 1, 0, 1, 0, 1, 0, 1, 0, 1]
        return [
            "pixels": Tensor(ints: bytes, [12, width], .u8), "patch_positions": Tensor(ints: rows + columns, [2, 12]),
        ]
    }

    /// What the masks of a call need: of images their bounds, of tokens the slots; those without one see nothing.
    private func call(_ inputs: [String: Tensor]) -> MaskedCall {
        func token(_ slot: Int) -> MaskedCall.Token? { slot < 0 ? nil : .init(sequence: slot / 12, position: slot % 12) }
        guard let slots = inputs["slots"]?.ints else { return MaskedCall(bounds: ["images": [0, 8, 12]]) }
        return MaskedCall(queries: slots.map { token(Int($0)) }, keys: (0..<Self.slots).map(token))
    }

    /// Tokens of two sequences; the first has slots from 0, the second from 12.
    private func chunk(_ first: Range<Int>, _ second: Range<Int>, sampled: [Int32], _ images: Tensor) -> [String: Tensor] {
        let slots = first.map { $0 } + second.map { $0 + 12 }
        let count = slots.count
        let imageRows = slots.map { (2..<4).contains($0) ? Int32($0 - 2) : $0 == 14 ? 2 : -1 }
        return tokens(slots).merging(
            [
                "image_rows": Tensor(ints: imageRows, [count]), "image_embeds": images,
                "sample_rows": Tensor(ints: sampled, [sampled.count]),
            ]
        ) { a, _ in a }
    }

    private func firstChunk(_ images: Tensor) -> [String: Tensor] { chunk(0..<5, 0..<3, sampled: [4, 7], images) }
    private func secondChunk(_ images: Tensor) -> [String: Tensor] { chunk(5..<7, 3..<6, sampled: [1, 4], images) }

    /// One token of each sequence; the third row is padding, which writes nothing.
    private var batch: [String: Tensor] { tokens([8, 18, -1]) }

    private func tokens(_ slots: [Int]) -> [String: Tensor] {
        let count = slots.count
        let place = slots.map { $0 % 12 }
        let positions = place.map(Int32.init) + place.map { Int32($0 / 2 + 1) } + place.map { Int32($0 % 5) }
        return [
            "ids": Tensor(ints: place.map { Int32(($0 + 1) * 37 % 256) }, [count]),
            "positions": Tensor(ints: positions, [3, count]), "slots": Tensor(ints: slots.map(Int32.init), [count]),
        ]
    }
}
