package import IR
internal import Tensors

/// Computes graphs op by op in f32, slowly and obviously: what every pass and every kernel must agree with.
package struct Evaluator {
    /// What a call leaves.
    package struct Outcome: Sendable {
        package var results: [Tensor]
        /// Every state after the call, by name.
        package var states: [String: Tensor]
    }

    /// The most elements that one value may have.
    package static let maximumCount = 1 << 31

    private let weight: (String) throws(EvaluationError) -> Tensor

    /// - Parameter weights: gives a weight by its name in the graph; called once per node and run.
    package init(weights: @escaping (_ name: String) throws(EvaluationError) -> Tensor) { weight = weights }

    /// An evaluator of graphs without weights.
    package init() {
        self.init { name throws(EvaluationError) in throw EvaluationError("there is no weight @\(name)") }
    }

    /// Runs a graph; symbols take their values from the shapes of inputs and states.
    ///
    /// - Parameters:
    ///   - bindings: values of symbols that no input has.
    ///   - observe: sees every node with its results, in execution order.
    package func run(
        _ graph: Graph, inputs: [String: Tensor] = [:], states: [String: Tensor] = [:], bindings: [String: Int] = [:],
        observe: ((Node, [Tensor]) -> Void)? = nil
    ) throws(EvaluationError) -> Outcome {
        var bindings = bindings
        var values: [Tensor?] = Array(repeating: nil, count: graph.valueCount)
        for input in graph.inputs {
            values[input.value.index] = try Self.given(input.name, inputs, graph.type(of: input.value), &bindings)
        }
        for state in graph.states {
            values[state.value.index] = try Self.given(state.name, states, graph.type(of: state.value), &bindings)
        }
        let liveness = Liveness(graph)
        for (position, node) in graph.nodes.enumerated() {
            let results = try evaluate(node, graph, values, bindings)
            observe?(node, results)
            for (id, tensor) in zip(node.results, results) { values[id.index] = tensor }
            for operand in node.operands where liveness.range(of: operand)?.upperBound == position + 1 {
                values[operand.index] = nil
            }
        }
        var outcome = Outcome(results: [], states: [:])
        for result in graph.results { outcome.results.append(try Self.taken(result, values)) }
        for state in graph.states { outcome.states[state.name] = try Self.taken(state.updated, values) }
        return outcome
    }

    /// Evaluates a value that depends on nothing but weights and literals.
    package func constant(_ value: ValueID, in graph: Graph) throws(EvaluationError) -> Tensor {
        let recipe = graph.extracting([value])
        guard recipe.inputs.isEmpty, recipe.states.isEmpty else { throw EvaluationError("the value depends on inputs") }
        return try run(recipe).results[0]
    }

    func evaluate(
        _ node: Node, _ graph: Graph, _ values: [Tensor?], _ bindings: [String: Int]
    ) throws(EvaluationError) -> [Tensor] {
        let place = node.op.mnemonic + (node.origin.isEmpty ? "" : " (\(node.origin))")
        guard let op = node.op as? any Evaluable else { throw EvaluationError("the op has no evaluator", place: place) }
        do throws(EvaluationError) {
            var types: [(element: DType, shape: [Int])] = []
            for result in node.results {
                let type = graph.type(of: result)
                types.append((type.element, try Self.resolved(type.shape, bindings)))
            }
            var operands: [Tensor] = []
            for operand in node.operands { operands.append(try Self.taken(operand, values)) }
            return try op.evaluate(Call(operands: operands, results: types, weight: weight))
        } catch {
            throw EvaluationError(error.reason, place: error.place.isEmpty ? place : error.place)
        }
    }

    static func taken(_ id: ValueID, _ values: [Tensor?]) throws(EvaluationError) -> Tensor {
        guard let value = values[id.index] else { throw EvaluationError("a value is read before it is computed") }
        return value
    }

    private static func resolved(_ shape: Shape, _ bindings: [String: Int]) throws(EvaluationError) -> [Int] {
        guard let extents = shape.values(bindings) else { throw EvaluationError("a symbol of \(shape) has no value") }
        var count = 1
        for extent in extents {
            let (product, overflow) = count.multipliedReportingOverflow(by: extent)
            guard !overflow, product <= maximumCount else { throw EvaluationError("\(extents) has too many elements") }
            count = product
        }
        return extents
    }

    /// The tensor for an input, after its shape has bound the symbols of the type.
    static func given(
        _ name: String, _ tensors: [String: Tensor], _ type: TensorType, _ bindings: inout [String: Int]
    ) throws(EvaluationError) -> Tensor {
        guard let tensor = tensors[name] else { throw EvaluationError("no tensor is given for %\(name): \(type)") }
        let mismatch = EvaluationError("%\(name) is \(type), the tensor given is \(tensor.type)")
        guard tensor.element == type.element, tensor.shape.count == type.shape.rank else { throw mismatch }
        for (extent, dim) in zip(tensor.shape, type.shape.dims) {
            if let symbol = dim.symbol, bindings[symbol] == nil, dim.factor > 0, extent % dim.factor == 0 {
                bindings[symbol] = extent / dim.factor
            }
            guard dim.value(bindings) == extent else { throw mismatch }
        }
        return tensor
    }
}
