package import IR

/// Computes once what is computed twice.
///
///     %1 = square %0
///     %2 = square %0
///     %3 = add %1, %2                             →      %3 = add %1, %1
package let eliminateCommonSubexpressions = Pass("eliminate-common-subexpressions", .canonical) { editor in
    var known: [Computation: [ValueID]] = [:]
    for id in editor.graph.nodes.map(\.id) {
        guard let node = editor.graph[id] else { continue }
        let computation = Computation(op: node.op, operands: node.operands)
        guard let earlier = known[computation] else {
            known[computation] = node.results
            continue
        }
        editor.rewrite("same-computation", at: node) {
            for (old, new) in zip(node.results, earlier) { editor.replace(old, with: new) }
        }
    }
    editor.eraseDead()
}

/// An op with its attributes, and what it is applied to.
private struct Computation: Hashable {
    let op: any Op
    let operands: [ValueID]

    static func == (left: Computation, right: Computation) -> Bool {
        left.op.equals(right.op) && left.operands == right.operands
    }

    func hash(into hasher: inout Hasher) {
        op.hash(into: &hasher)
        hasher.combine(operands)
    }
}
