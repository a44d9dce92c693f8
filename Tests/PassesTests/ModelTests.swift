import Foundation
import IR
import Models
import Passes
import Plan
import Reference
import Tensors
import Testing

/// The whole pipeline on traced models.
@Suite struct ModelTests {
    static let differenceMax: Float = 1e-4

    @Test(arguments: TracedModel.names)
    func everyStageComputesTheSame(name: String) throws {
        let model = try TracedModel(name)
        let recorder = StageRecorder()
        var module = model.module
        _ = try TracedModel.pipeline.run(on: &module, options: .init(verifies: true), observers: [recorder])
        #expect(recorder.modules.map(\.stage) == Stage.allCases)
        let rehearsal = Rehearsal(model: model)
        let expected = try rehearsal.outcomes(of: model.module)
        for (stage, module) in recorder.modules where stage <= .specialized {
            try expectClose(try rehearsal.outcomes(of: module), expected, "\(name) at \(stage)")
        }
    }

    /// Each rewrite is sound by itself: a pipeline that stops anywhere leaves a module that computes the same.
    @Test(arguments: ["qwen2_vl_v452", "qwen2_vl_awq64"])
    func everyNumberOfRewritesComputesTheSame(name: String) throws {
        let model = try TracedModel(name)
        let rehearsal = Rehearsal(model: model)
        let expected = try rehearsal.outcomes(of: model.module)
        for limit in stride(from: 1, to: 140, by: 17) {
            var module = model.module
            let options = PassPipeline.Options(verifies: true, rewriteLimit: limit, stopAfter: .fused)
            let reports = try TracedModel.pipeline.run(on: &module, options: options)
            #expect(reports.reduce(0) { $0 + $1.rewrites.count } <= limit)
            try expectClose(try rehearsal.outcomes(of: module), expected, "\(name) after \(limit) rewrites")
        }
    }

    @Test(arguments: TracedModel.names)
    func fusesEverything(name: String) throws {
        let model = try TracedModel(name)
        var module = model.module
        _ = try TracedModel.pipeline.run(on: &module)
        let blocks = Set(model.module.weights.compactMap { Self.index($0.name, after: "visual.blocks.") }).count
        let layers = model.geometry.layers
        #expect(
            try census(module, "vision") == [
                "cast": 1, "rotary_table": 1, "layer_norm": 1, "linear": 4 * blocks + 3, "rotary": blocks,
                "attention": blocks, "add_layer_norm": 2 * blocks,
            ])
        // A layer gates its own outputs where the halves are whole panels.
        let extendNodes = try #require(module.graph("extend")).nodes
        let gates = extendNodes.filter { $0.op is GatedActivation }
        for gate in gates { #expect((module.graph("extend")?.type(of: gate.result).shape[1].fixedValue ?? 0) % WeightLayout.panel != 0) }
        #expect(gates.count + extendNodes.count { $0.op(as: Linear.self)?.isGated ?? false } == layers)
        var decoder = [
            "rotary_table": 1, "rms_norm": 1, "linear": 4 * layers, "rotary": layers, "kv_store": layers,
            "attention": layers, "add_rms_norm": 2 * layers,
        ]
        if !gates.isEmpty { decoder["gated_activation"] = gates.count }
        for gear in ["decode.1", "decode.3"] {
            #expect(try census(module, gear) == decoder.merging(["linear": 1, "gather": 1], uniquingKeysWith: +))
        }
        let extend = ["linear": 1, "gather": 2, "select_rows": 1]
        #expect(try census(module, "extend") == decoder.merging(extend, uniquingKeysWith: +))
        let int4 = extendNodes.count { $0.op is PackAWQ }
        #expect(int4 == (name.contains("awq") ? 4 * layers : 0))
    }

    /// A linear layer reads packed rows exactly where its arithmetic is of such, and one packing serves all that read the same rows.
    @Test(arguments: TracedModel.names) func rowsArePackedOnce(name: String) throws {
        var module = try TracedModel(name).module
        _ = try TracedModel.pipeline.run(on: &module)
        for graph in module.graphs {
            for node in graph.nodes {
                guard case .linear(_, let arithmetic)? = node.kernel else { continue }
                #expect((graph.producer(of: node.operands[0])?.op is PackActivations) == arithmetic.packsActivations)
            }
            let packed = graph.nodes.filter { $0.op is PackActivations }.map(\.operands)
            #expect(Set(packed).count == packed.count)
        }
        let nodes = module.graphs.flatMap(\.nodes)
        #expect(nodes.contains { $0.op is PackActivations })
    }

    /// Each layer's keys and values are stored at once, layer after layer.
    @Test func cachesAreWrittenInOrder() throws {
        var module = try TracedModel("demo").module
        _ = try TracedModel.pipeline.run(on: &module)
        for graph in module.graphs {
            #expect(!graph.nodes.contains { $0.op is KVWrite })
            let layers = graph.nodes.filter { $0.op is StoreKV }.compactMap { graph.stateRole(of: $0.result)?.layer }
            #expect(layers == layers.sorted())
        }
    }

    /// What the fixtures compute runs on the kernels that are made for it.
    @Test(arguments: TracedModel.names) func nothingRunsOnAFallback(name: String) throws {
        var module = try TracedModel(name).module
        let reports = try TracedModel.pipeline.run(on: &module)
        let selection = try #require(reports.first { $0.pass == "select-kernels" })
        #expect(selection.misses.isEmpty && selection.rewrites.isEmpty, "\(selection.misses.map(\.reason))")
        #expect(module.graphs.allSatisfy { graph in graph.nodes.allSatisfy { $0.kernel?.isFallback != true } })
    }

    /// How many nodes of each op run, besides those that only pack rows.
    private func census(_ module: Module, _ name: String) throws -> [String: Int] {
        let graph = try #require(module.graph(name))
        let nodes = Storage(graph).runningNodes.filter { !($0.op is PackActivations) }
        return Dictionary(nodes.map { ($0.op.mnemonic, 1) }, uniquingKeysWith: +)
    }

    private static func index(_ name: String, after prefix: String) -> Int? {
        name.hasPrefix(prefix) ? name.dropFirst(prefix.count).split(separator: ".").first.flatMap { Int($0) } : nil
    }
}

/// Fails where two runs differ by more than rounding.
func expectClose(
    _ ours: [(name: String, tensor: Tensor)], _ theirs: [(name: String, tensor: Tensor)], _ what: String
) throws {
    try #require(ours.map(\.name) == theirs.map(\.name))
    for (ours, theirs) in zip(ours, theirs) {
        #expect(ours.tensor.shape == theirs.tensor.shape, "\(ours.name) of \(what)")
        let difference = zip(ours.tensor.floats, theirs.tensor.floats).reduce(0) { max($0, abs($1.0 - $1.1)) }
        #expect(difference <= ModelTests.differenceMax, "\(ours.name) of \(what)")
    }
}
