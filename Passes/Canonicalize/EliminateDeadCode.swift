package import IR

/// Erases what nobody reads.
///
///     %1 = square %0
///     %2 = neg %0
///     return %2                                   →      %1 = neg %0
package let eliminateDeadCode = Pass("eliminate-dead-code", .canonical) { editor in
    for node in editor.graph.nodes.reversed() where node.results.allSatisfy({ editor.useCount($0) == 0 }) {
        editor.rewrite("dead", at: node) { editor.eraseIfDead(node.id) }
    }
    editor.eraseDead()
}
