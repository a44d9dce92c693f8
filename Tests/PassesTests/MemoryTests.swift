import IR
import Models
import Passes
import Plan
import Reference
import Seeded
import Tensors
import Testing

/// Where values are stored: on traced models, on random graphs and on random lives.
@Suite struct MemoryTests {
    @Test(arguments: TracedModel.names)
    func plannedModelsComputeInTheirArena(name: String) throws {
        let model = try TracedModel(name)
        var module = model.module
        _ = try TracedModel.pipeline.run(on: &module, options: .init(verifies: true))
        let rehearsal = Rehearsal(model: model)
        let evaluated = try rehearsal.outcomes(of: module)
        let computed = try rehearsal.outcomes(of: module) { graph, inputs, states in
            var machine = try ArenaMachine(graph, evaluator: model.evaluator)
            let rows = (inputs["sample_rows"] ?? inputs["slots"])?.count ?? 0
            let bindings = [
                "T": inputs["ids"]?.count ?? 0, "B": rows, "S": Rehearsal.slots, "M": (inputs["pixels"]?.shape[0] ?? 0) / 4,
                "I": inputs["image_embeds"]?.shape[0] ?? 0,
            ]
            return try machine.run(inputs, states: states, bindings: bindings)
        }
        try expectClose(computed, evaluated, "\(name) in its arena")
    }

    @Test(arguments: TracedModel.names)
    func livesOfModelsDoNotOverlap(name: String) throws {
        var module = try TracedModel(name).module
        _ = try TracedModel.pipeline.run(on: &module)
        for graph in module.graphs {
            let storage = Storage(graph)
            try expectSound(LifeTimes(graph, storage), storage, graph, module.bounds)
        }
    }

    @Test(arguments: 0..<200)
    func randomGraphsComputeInTheirArena(seed: Int) throws {
        var random = RandomLayers(seed: UInt64(seed))
        var module = try random.make()
        let inputs = random.inputs(of: module.graphs[0])
        let expected = try Evaluator().run(module.graphs[0], inputs: inputs)
        let passes = PassPipeline([selectKernels(KernelPolicy(isExact: true, features: [], arithmetic: .f32)), packWeights, planMemory])
        _ = try passes.run(on: &module, options: .init(verifies: true))
        var machine = try ArenaMachine(module.graphs[0], evaluator: Evaluator())
        let computed = try machine.run(inputs, states: [:], bindings: ["T": RandomLayers.rows])
        for (ours, theirs) in zip(computed.results, expected.results) { #expect(ours == theirs, "seed \(seed)") }
    }

    @Test(arguments: 0..<50)
    func randomLivesDoNotOverlap(seed: Int) {
        var random = Dice(UInt64(seed))
        let values = (0..<Int.random(in: 0...60, using: &random)).map { _ in
            let first = Int.random(in: 0...40, using: &random)
            return MemoryPlan.Value(
                byteCount: Int.random(in: 0...5000, using: &random), first: first, last: first + Int.random(in: 0...10, using: &random))
        }
        let plan = MemoryPlan(values)
        #expect(plan.offsets.count == values.count)
        #expect(plan.offsets.allSatisfy { $0 >= 0 && $0 % MemoryPlan.alignment == 0 })
        #expect(plan.peakBytes <= plan.unsharedBytes)
        #expect(plan == MemoryPlan(values))
        for (i, a) in values.enumerated() {
            #expect(plan.offsets[i] + a.byteCount <= plan.peakBytes)
            for (j, b) in values.enumerated() where i < j && a.first <= b.last && b.first <= a.last {
                let apart = plan.offsets[i] + a.byteCount <= plan.offsets[j] || plan.offsets[j] + b.byteCount <= plan.offsets[i]
                #expect(apart, "\(i) and \(j) of seed \(seed)")
            }
        }
    }

    @Test func memoryIsSharedByValuesThatDoNotMeet() {
        let plan = MemoryPlan((0..<10).map { .init(byteCount: 1000, first: $0, last: $0 + 1) })
        #expect(plan.peakBytes == 2 * 1024)
        #expect(plan.unsharedBytes == 10 * 1024)
    }

    /// The planned places of values that live at the same step are apart, and rotation happens in place.
    private func expectSound(_ lifeTimes: LifeTimes, _ storage: Storage, _ graph: Graph, _ bounds: [String: Int]) throws {
        var places: [(life: LifeTimes.Life, place: Place.Region)] = []
        for life in lifeTimes.lives { places.append((life, try #require(graph[life.root].place?.region))) }
        for (index, a) in places.enumerated() {
            #expect(a.place.byteCount >= graph.storedType(of: a.life.root).byteCount(bounds) ?? .max)
            for b in places.dropFirst(index + 1) where a.life.first <= b.life.last && b.life.first <= a.life.last {
                let apart =
                    a.place.offset + a.place.byteCount <= b.place.offset || b.place.offset + b.place.byteCount <= a.place.offset
                #expect(apart, "@\(graph.name): \(a) and \(b)")
            }
        }
        for node in graph.nodes where node.op is Rotary {
            #expect(graph[node.result].place == graph[node.operands[0]].place, "a rotation copies in @\(graph.name)")
        }
    }
}
