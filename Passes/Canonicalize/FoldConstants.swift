package import IR
import Reference
import Tensors

/// Computes what depends on literals alone, when all elements of the result are the same.
///
///     %0 = literal {value = 2.0}
///     %1 = literal {value = 0.25}
///     %2 = mul %0, %1                             →      %2 = literal {value = 0.5}
package let foldConstants = Pass("fold-constants", .canonical) { editor in
    for id in editor.graph.nodes.map(\.id) {
        guard let node = editor.graph[id], node.readsLiteralsAlone(in: editor.graph) else { continue }
        editor.rewrite("fold-\(node.op.mnemonic)", at: node) { () throws(Refusal) in
            let number = try number(node.result, in: editor.graph)
            editor.replace(node.result, with: editor.literal(number, editor.type(of: node.result)))
        }
        editor.eraseIfDead(id)
    }
}

/// Most elements of a value that is computed while folding.
private let maximumCount = 1 << 16

/// What every element of `value` is.
private func number(_ value: ValueID, in graph: Graph) throws(Refusal) -> Double {
    guard let extents = graph.type(of: value).shape.fixed else { throw Refusal("its extents are not numbers", at: value) }
    guard extents.reduce(1, { min($0 * min($1, maximumCount), maximumCount) }) < maximumCount else {
        throw Refusal("it has too many elements to compute", at: value)
    }
    let tensor: Tensor
    do throws(EvaluationError) { tensor = try Evaluator().constant(value, in: graph) } catch {
        throw Refusal(error.reason, at: value)
    }
    let numbers = tensor.element.isFloat ? tensor.floats.map(Double.init) : tensor.ints.map(Double.init)
    guard let first = numbers.first, numbers.allSatisfy({ $0 == first }) else {
        throw Refusal("its elements are not one number", at: value)
    }
    return first
}

extension Node {
    /// Whether the node computes one value out of literals and nothing else.
    fileprivate func readsLiteralsAlone(in graph: Graph) -> Bool {
        results.count == 1 && !operands.isEmpty && operands.allSatisfy { graph.op(of: $0, as: Literal.self) != nil }
    }
}
