import IR
import Passes
import Plan
import Reference
import Tensors

/// Runs a planned graph as a backend does: every value in its place, which is all that says what shares memory with what.
///
/// Each step is computed by Reference, so that whatever differs from `Evaluator` is the fault of the plan.
struct ArenaMachine {
    private let graph: Graph
    private let constness: Constness
    private let evaluator: Evaluator
    private var arena: [Float]
    private var inputs: [ValueID: Tensor] = [:]
    private var outputs: [Int: [Float]] = [:]
    private var bindings: [String: Int] = [:]
    /// The numbers behind packed rows, whose bytes are marked in the arena.
    private var packed: [ValueID: Tensor] = [:]

    /// - Parameter evaluator: gives the weights.
    init(_ graph: Graph, evaluator: Evaluator) throws {
        self.graph = graph
        self.evaluator = evaluator
        constness = Constness(graph)
        let ends = graph.nodes.flatMap(\.results).compactMap { graph[$0].place?.region.map { $0.offset + $0.byteCount } }
        arena = Array(repeating: .nan, count: (ends.max() ?? 0) / 4)
    }

    mutating func run(_ given: [String: Tensor], states: [String: Tensor], bindings: [String: Int]) throws -> Rehearsal.Outcome {
        self.bindings = bindings
        for input in graph.inputs { inputs[input.value] = given[input.name] }
        for state in graph.states { inputs[state.value] = states[state.name] }
        for node in graph.nodes where constness.runs(node) && node.kernel != .view { try step(node) }
        var updated: [String: Tensor] = [:]
        for state in graph.states { updated[state.name] = inputs[state.value] }
        return (try graph.results.map { try read($0) }, updated)
    }

    private mutating func step(_ node: Node) throws {
        let operands = try node.operands.map { try read($0) }
        for (position, tensor) in try compute(node.op, operands).enumerated() {
            guard let operand = node.op.updatedOperand(ofResult: position) else {
                try write(node.results[position], tensor)
                continue
            }
            let state = state(of: node.operands[operand])
            guard inputs[state] != nil else { throw EvaluationError("a state without a tensor") }
            inputs[state] = tensor
        }
    }

    /// The state that a value has come from through the ops that store into it; the value itself when it is none.
    private func state(of value: ValueID) -> ValueID {
        guard let node = graph.producer(of: value), let position = node.results.firstIndex(of: value),
            let operand = node.op.updatedOperand(ofResult: position)
        else { return value }
        return state(of: node.operands[operand])
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
        if constness.isConstant(value) { return try evaluator.constant(value, in: graph) }
        let shape = try extents(value)
        if let tensor = inputs[state(of: value)] { return tensor.reshaped(shape) }
        if let rows = packed[value] { return try unmarked(value, rows) }
        let memory: [Float], indices: [Int]
        switch graph[value].place {
        case .arena(let region): (memory, indices) = (arena, self.indices(shape, from: region.offset / 4, stride: region.stride))
        case .result(let position): (memory, indices) = (outputs[position] ?? [], self.indices(shape))
        case .input(let name):
            guard let tensor = graph.input(named: name).flatMap({ inputs[$0.value] }) else { throw EvaluationError("an unknown input") }
            return tensor.reshaped(shape)
        case nil: throw EvaluationError("a value without a place")
        }
        guard indices.allSatisfy(memory.indices.contains) else { throw EvaluationError("a read outside of memory") }
        return Tensor(indices.map { memory[$0] }, shape)
    }

    private mutating func write(_ value: ValueID, _ tensor: Tensor) throws {
        switch graph[value].place {
        case .arena(let region):
            if graph.producer(of: value)?.op is PackActivations {
                for index in try marked(value) { arena[index] = Self.mark(value) }
                packed[value] = tensor
                return
            }
            for (index, number) in zip(indices(tensor.shape, from: region.offset / 4, stride: region.stride), tensor.floats) {
                guard arena.indices.contains(index) else { throw EvaluationError("a write outside of memory") }
                arena[index] = number
            }
        case .result(let position): outputs[position] = tensor.floats
        case .input, nil: throw EvaluationError("a value that is written has no memory")
        }
    }

    private func unmarked(_ value: ValueID, _ rows: Tensor) throws -> Tensor {
        guard try marked(value).allSatisfy({ arena[$0] == Self.mark(value) }) else { throw EvaluationError("packed rows are written over") }
        return rows
    }

    /// The elements of the arena that packed rows take.
    private func marked(_ value: ValueID) throws -> Range<Int> {
        guard let start = graph[value].place?.region?.offset, let bytes = graph.storedType(of: value).byteCount(bindings),
            start / 4 + bytes / 4 <= arena.count
        else { throw EvaluationError("packed rows outside of memory") }
        return start / 4..<start / 4 + bytes / 4
    }

    private static func mark(_ value: ValueID) -> Float { 1e9 + Float(value.index) * 64 }

    private func indices(_ shape: [Int], from start: Int = 0, stride: Int? = nil) -> [Int] {
        let width = shape.dropFirst().reduce(1, *)
        return (0..<(shape.first ?? 1)).flatMap { row in (0..<width).map { start + row * (stride ?? width) + $0 } }
    }

    private func extents(_ value: ValueID) throws -> [Int] {
        guard let extents = graph.type(of: value).shape.values(bindings) else { throw EvaluationError("an extent without a value") }
        return extents
    }
}
