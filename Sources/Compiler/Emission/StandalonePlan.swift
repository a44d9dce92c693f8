package import IR
import Passes
package import Plan
import Tensors

/// One graph of a planned module as a plan that runs without an artifact: inputs and results lie in the arena too.
package struct StandalonePlan {
    package let plan: ExecutionPlan
    /// Packed, in the order of the slots' numbers.
    package let weights: [(entry: WeightEntry, bytes: [UInt8])]
    /// Where the caller leaves each input, in bytes.
    package let inputs: [String: Int]
    /// Where it finds the results.
    package let results: [Int]

    /// - Parameter name: of a graph whose weights are constants of its own.
    package init(_ module: Module, graph name: String) throws(CompileError) {
        guard let graph = module.graph(name) else { throw .internalInconsistency("there is no graph @\(name)") }
        let places = Self.places(graph, module.bounds)
        var table = WeightTable()
        var emitter = PlanEmitter(graph, of: module, as: Entry(graphName: name) ?? .extend) { name, _ in
            places.inputs[name].map { .arena(offset: $0, stride: nil) }
        }
        var plan = try emitter.emit(into: &table)
        plan.steps = plan.steps.map { step in
            var step = step
            step.outputs = step.outputs.map { $0.moved(to: places.results) }
            step.inputs = step.inputs.map { $0.moved(to: places.results) }
            return step
        }
        plan.arenaBytes = places.end
        var weights: [(entry: WeightEntry, bytes: [UInt8])] = []
        for request in table.requests {
            var bytes: [UInt8] = []
            try WeightPacker(tensors: [:]).pack(request) { chunk in bytes += chunk }
            let entry = WeightEntry(
                name: request.origin, layout: request.layout, shape: request.shape, offset: 0, byteCount: bytes.count, key: request.recipe.text,
                sources: [])
            weights.append((entry, bytes))
        }
        (self.plan, self.weights, inputs, results) = (plan, weights, places.inputs, places.results)
    }

    /// Room behind the graph's own values.
    private static func places(_ graph: Graph, _ bounds: [String: Int]) -> (inputs: [String: Int], results: [Int], end: Int) {
        var end = graph.nodes.flatMap(\.results).compactMap { graph[$0].place?.region.map { $0.offset + $0.byteCount } }.max() ?? 0
        func room(_ value: ValueID) -> Int {
            let start = (end + 63) / 64 * 64
            end = start + (graph.type(of: value).byteCount(bounds) ?? 0)
            return start
        }
        var inputs: [String: Int] = [:]
        for input in graph.inputs { inputs[input.name] = room(input.value) }
        return (inputs, graph.results.map(room), end)
    }
}

extension Slot {
    /// In the arena where it is a result.
    fileprivate func moved(to results: [Int]) -> Slot {
        guard case .output(let index) = place else { return self }
        let inner = type.shape.dims.dropFirst()
        let stride = inner.contains { $0.symbol != nil } ? nil : inner.reduce(1) { $0 * $1.factor }
        return Slot(.arena(offset: results[index], stride: stride), type)
    }
}
