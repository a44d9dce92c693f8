import HuggingFace
import IR
import Models
import Passes
import Plan
import Testing

/// Models that take adapters: what is left of the ops that add them.
@Suite struct AdapterTests {
    /// Four steps a layer, each over what it changes, and no step runs on a fallback for their sake.
    @Test(arguments: ["qwen2_vl", "qwen2_vl_awq", "demo"]) func layersThatAreJoinedAreAdaptedAtOnce(name: String) throws {
        let directory = TracedModel.repository + (name == "demo" ? "/Artifacts/Demo/model" : "/Tests/EndToEndTests/Fixtures/" + name)
        let definition = try Architectures.definition(for: ModelDirectory(directory))
        var bounds = TraceBounds(tokens: 64, rows: 8, slots: 256, imageRows: 64, patches: 256, features: 64)
        let types = CheckpointTypes(try Checkpoint(directory: directory))
        var plain = try definition.trace(types, bounds: bounds)
        bounds.takesAdapters = true
        var adapted = try definition.trace(types, bounds: bounds)
        #expect(!plain.graphs.contains { $0.nodes.contains { $0.op is Adapt } })
        _ = try TracedModel.pipeline.run(on: &plain)
        _ = try TracedModel.pipeline.run(on: &adapted)
        for graph in adapted.graphs {
            let steps = graph.nodes.filter { $0.op is Adapt }
            guard graph.name != "vision" else {
                #expect(steps.isEmpty)
                continue
            }
            #expect(steps.count == 4 * definition.geometry.layers)
            let first = try #require(steps.first?.op(as: Adapt.self))
            #expect(first.layers == ["q_proj", "k_proj", "v_proj"].map { "model.layers.0.self_attn.\($0)" })
            #expect(Set(steps.flatMap { $0.op(as: Adapt.self)?.layers ?? [] }).count == 7 * definition.geometry.layers)
            for step in steps { #expect(graph[step.result].place == graph[step.operands[0]].place, "\(graph.name) \(step.origin)") }
            // What gates a layer cannot be in it where an adapter comes between.
            let others = graph.nodes.filter { !($0.op is Adapt || $0.op is GatedActivation) }.count
            #expect(others == plain.graph(graph.name)?.nodes.count)
        }
    }
}
