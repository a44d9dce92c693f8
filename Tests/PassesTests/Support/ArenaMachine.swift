import IR
import Passes
import Reference
import Tensors

/// Runs a planned graph as a backend does: every value in its place of one arena, read and written through its view.
///
/// Each step is computed by Reference, so that whatever differs from `Evaluator` is the fault of the plan.
struct ArenaMachine {
    private let graph: Graph
    private let storage: Storage
    private let evaluator: Evaluator
    private var arena: [Float]
    private var inputs: [ValueID: Tensor] = [:]
    private var outputs: [ValueID: [Float]] = [:]
    private var bindings: [String: Int] = [:]

    /// - Parameter evaluator: gives the weights.
    init(_ graph: Graph, evaluator: Evaluator) throws {
        self.graph = graph
        self.evaluator = evaluator
        storage = Storage(graph)
        let ends = graph.nodes.flatMap(\.results).compactMap { graph[$0].place.map { $0.offset + $0.byteCount } }
        arena = Array(repeating: .nan, count: (ends.max() ?? 0) / 4)
    }

    mutating func run(_ given: [String: Tensor], states: [String: Tensor], bindings: [String: Int]) throws -> Rehearsal.Outcome {
        self.bindings = bindings
        for input in graph.inputs { inputs[input.value] = given[input.name] }
        for state in graph.states { inputs[state.value] = states[state.name] }
        for node in storage.runningNodes { try step(node) }
        var updated: [String: Tensor] = [:]
        for state in graph.states { updated[state.name] = inputs[state.value] }
        return (try graph.results.map { try read($0) }, updated)
    }

    private mutating func step(_ node: Node) throws {
        if node.op is StoreKV { return try writeCache(node) }
        let operands = try node.operands.map { try read($0) }
        for (value, tensor) in zip(node.results, try compute(node.op, operands)) { try write(value, tensor) }
    }

    private mutating func writeCache(_ node: Node) throws {
        let caches = node.operands[..<2].compactMap { storage.view($0)?.root }
        var operands: [Tensor] = []
        for cache in caches {
            guard let old = inputs[cache] else { throw EvaluationError("a state without a tensor") }
            operands.append(old)
        }
        for value in node.operands[2...] { operands.append(try read(value)) }
        for (cache, tensor) in zip(caches, try compute(node.op, operands)) { inputs[cache] = tensor }
    }

    private func compute(_ op: any Op, _ operands: [Tensor]) throws -> [Tensor] {
        let module = ModuleBuilder()
        try module.graph("step") { b in
            b.write(op, operands.enumerated().map { b.input("x\($0.offset)", $0.element.type) })
        }
        let names = operands.indices.map { "x\($0)" }
        return try Evaluator().run(module.finish().graphs[0], inputs: Dictionary(uniqueKeysWithValues: zip(names, operands))).results
    }

    private func read(_ value: ValueID) throws -> Tensor {
        guard let view = storage.view(value) else { return try evaluator.constant(value, in: graph) }
        let shape = try extents(value)
        if let tensor = inputs[view.root] { return tensor.reshaped(shape) }
        let (offset, isOutput) = try place(view)
        let memory = isOutput ? outputs[view.root] ?? [] : arena
        let indices = indices(view, offset, shape)
        guard indices.allSatisfy(memory.indices.contains) else { throw EvaluationError("a read outside of memory") }
        return Tensor(indices.map { memory[$0] }, shape)
    }

    private mutating func write(_ value: ValueID, _ tensor: Tensor) throws {
        guard let view = storage.view(value) else { throw EvaluationError("a constant is written") }
        let (offset, isOutput) = try place(view)
        var memory = isOutput ? outputs[view.root] ?? Array(repeating: .nan, count: tensor.count) : arena
        for (index, number) in zip(indices(view, offset, tensor.shape), tensor.floats) {
            guard memory.indices.contains(index) else { throw EvaluationError("a write outside of memory") }
            memory[index] = number
        }
        if isOutput { outputs[view.root] = memory } else { arena = memory }
    }

    /// Where the root of a view starts, in elements.
    private func place(_ view: Storage.View) throws -> (offset: Int, isOutput: Bool) {
        if graph.results.contains(where: { storage.view($0)?.root == view.root }) { return (0, true) }
        guard let place = graph[view.root].place else { throw EvaluationError("a value without a place") }
        return (place.offset / 4, false)
    }

    private func indices(_ view: Storage.View, _ offset: Int, _ shape: [Int]) -> [Int] {
        let width = shape.dropFirst().reduce(1, *)
        return (0..<(shape.first ?? 1)).flatMap { row in
            (0..<width).map { offset + row * (view.stride ?? width) + view.column + $0 }
        }
    }

    private func extents(_ value: ValueID) throws -> [Int] {
        guard let extents = graph.type(of: value).shape.values(bindings) else { throw EvaluationError("an extent without a value") }
        return extents
    }
}
