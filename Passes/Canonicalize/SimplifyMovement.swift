package import IR
import Tensors

/// Drops movement that moves nothing, joins movement that follows movement, and casts tables before rows are taken.
///
///     %1 = reshape %0 {dims = [4, 2]}
///     %2 = reshape %1 {dims = [8]}                →      %1 = reshape %0 {dims = [8]}
package let simplifyMovement = Pass("simplify-movement", .canonical) { editor throws(PassError) in
    dropWhatMovesNothing(editor)
    try editor.apply([reshapeOfReshape, transposeOfTranspose, castOfGather])
    dropWhatMovesNothing(editor)
}

private func dropWhatMovesNothing(_ editor: Editor) {
    for id in editor.graph.nodes.map(\.id) {
        // What stands before may be gone.
        guard let node = editor.graph[id], node.movesNothing(in: editor.graph) else { continue }
        editor.rewrite("moves-nothing", at: node) { editor.replace(node.result, with: node.operands[0]) }
        editor.eraseIfDead(node.id)
    }
}

private let reshapeOfReshape = Rule("reshape-of-reshape") { p in
    p.some(Reshape.self, p.shared(p.some(Reshape.self, p.value("x"))), named: "y")
} rewrite: { m, e throws(Refusal) in e.reshape(m["x"], try m.op("y", as: Reshape.self).dims) }

private let transposeOfTranspose = Rule("transpose-of-transpose") { p in
    p.some(Transpose.self, p.shared(p.some(Transpose.self, p.value("x"), named: "inner")), named: "outer")
} rewrite: { m, e throws(Refusal) in
    let inner = try m.op("inner", as: Transpose.self).perm
    return e.transpose(m["x"], try m.op("outer", as: Transpose.self).perm.map { inner[$0] })
}

/// A table of weights is widened where it is packed, not row by row.
private let castOfGather = Rule("cast-of-gather") { p in
    p.some(Cast.self, p.some(Gather.self, p.value("table"), p.value("index")), named: "y")
} rewrite: { m, e throws(Refusal) in
    guard m.graph.op(of: m["table"], as: Weight.self) != nil else {
        throw Refusal("the table is not a weight", at: m["table"])
    }
    return e.gather(e.cast(m["table"], to: try m.op("y", as: Cast.self).to), m["index"])
}

extension Node {
    /// Whether the result is the operand: movement that keeps the type keeps the elements, but a transposition need not.
    fileprivate func movesNothing(in graph: Graph) -> Bool {
        switch op {
        case is Reshape, is Cast, is Expand, is Slice: graph.type(of: operands[0]) == graph.type(of: result)
        case is Concat: operands.count == 1
        case let op as Repeat: op.count == 1
        case let op as Transpose: op.perm == Array(op.perm.indices)
        default: false
        }
    }
}
