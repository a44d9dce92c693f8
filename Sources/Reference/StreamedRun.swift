internal import Dispatch
package import IR
internal import Synchronization
import Tensors

/// One graph over several calls at once, node by node: each constant is computed when the first node reads it, used for all calls and dropped
/// behind its last reader, so that a model's weights are never in memory together.
package struct StreamedRun {
    /// What one call is given.
    package struct Given: Sendable {
        package var inputs: [String: Tensor]
        package var states: [String: Tensor]
        /// Values of symbols that no input has.
        package var bindings: [String: Int]

        package init(inputs: [String: Tensor], states: [String: Tensor] = [:], bindings: [String: Int] = [:]) {
            (self.inputs, self.states, self.bindings) = (inputs, states, bindings)
        }
    }

    /// Where constants come from.
    package struct Constants: Sendable {
        /// All of a constant.
        package var whole: @Sendable (ValueID) throws(EvaluationError) -> Tensor
        /// Rows of a constant, which may be a table far larger than what is read of it.
        package var rows: @Sendable (ValueID, [Int32]) throws(EvaluationError) -> Tensor

        package init(
            whole: @escaping @Sendable (ValueID) throws(EvaluationError) -> Tensor,
            rows: @escaping @Sendable (ValueID, [Int32]) throws(EvaluationError) -> Tensor
        ) { (self.whole, self.rows) = (whole, rows) }
    }

    private let graph: Graph
    private let constness: Constness
    private let constants: Constants

    package init(_ graph: Graph, _ constants: Constants) { (self.graph, constness, self.constants) = (graph, Constness(graph), constants) }

    /// Runs all calls; returns each one's results.
    ///
    /// - Parameter visit: sees each node that runs before it does, and its operands of all calls by `operand(position)`; false ends the run there,
    ///   and then there are no results.
    package func run(
        _ calls: [Given], visit: (_ node: Node, _ operand: (Int) -> [Tensor]) throws(EvaluationError) -> Bool = { _, _ in true }
    ) throws(EvaluationError) -> [[Tensor]] {
        var frames: [Frame] = []
        for call in calls { frames.append(try Frame(graph, call)) }
        let liveness = Liveness(graph)
        var held: [ValueID: Tensor] = [:]
        for (position, node) in graph.nodes.enumerated() where constness.runs(node) {
            let current = frames
            guard try visit(node, { place in current.compactMap { $0.values[node.operands[place].index] } }) else { return [] }
            let isTable = node.op is Gather && constness.isConstant(node.operands[0])
            for operand in node.operands.dropFirst(isTable ? 1 : 0) where constness.isConstant(operand) && held[operand] == nil {
                held[operand] = try constants.whole(operand)
            }
            let made = try results(of: node, frames, held, isTable: isTable)
            for index in frames.indices {
                for (id, tensor) in zip(node.results, made[index]) { frames[index].values[id.index] = tensor }
                for operand in node.operands where liveness.range(of: operand)?.upperBound == position + 1 { frames[index].values[operand.index] = nil }
            }
            for operand in node.operands where liveness.range(of: operand)?.upperBound == position + 1 { held[operand] = nil }
        }
        var results: [[Tensor]] = []
        for frame in frames {
            var own: [Tensor] = []
            for result in graph.results { own.append(try Evaluator.taken(result, frame.values)) }
            results.append(own)
        }
        return results
    }

    /// The values of one call.
    private struct Frame {
        var values: [Tensor?]
        var bindings: [String: Int]

        init(_ graph: Graph, _ call: Given) throws(EvaluationError) {
            bindings = call.bindings
            values = Array(repeating: nil, count: graph.valueCount)
            for input in graph.inputs { values[input.value.index] = try Evaluator.given(input.name, call.inputs, graph.type(of: input.value), &bindings) }
            for state in graph.states { values[state.value.index] = try Evaluator.given(state.name, call.states, graph.type(of: state.value), &bindings) }
        }
    }

    /// What a node makes in each call, all calls side by side.
    private func results(
        of node: Node, _ frames: [Frame], _ held: [ValueID: Tensor], isTable: Bool
    ) throws(EvaluationError) -> [[Tensor]] {
        let state = Mutex<(made: [[Tensor]], failure: EvaluationError?)>((Array(repeating: [], count: frames.count), nil))
        DispatchQueue.concurrentPerform(iterations: frames.count) { index in
            do throws(EvaluationError) {
                let made = isTable ? [try rows(node, frames[index])] : try result(of: node, frames[index], held)
                state.withLock { $0.made[index] = made }
            } catch {
                state.withLock { $0.failure = $0.failure ?? error }
            }
        }
        return try state.withLock { state throws(EvaluationError) in
            if let failure = state.failure { throw failure }
            return state.made
        }
    }

    private func rows(_ node: Node, _ frame: Frame) throws(EvaluationError) -> Tensor {
        let numbers = try Evaluator.taken(node.operands[1], frame.values)
        let rows = try constants.rows(node.operands[0], numbers.ints)
        return rows.reshaped(numbers.shape + rows.shape.dropFirst())
    }

    private func result(of node: Node, _ frame: Frame, _ held: [ValueID: Tensor]) throws(EvaluationError) -> [Tensor] {
        var values = frame.values
        for operand in node.operands { if let constant = held[operand] { values[operand.index] = constant } }
        return try Evaluator().evaluate(node, graph, values, frame.bindings)
    }
}
