internal import Tensors

/// What differs between two modules of which one came out of the other by edits.
package enum ModuleDiff {
    /// Graph by graph, the nodes that went (`- `) and those that came (`+ `), in order. Nodes are compared by identity and
    /// content, so that renumbering makes no difference.
    package static func lines(_ before: Module, _ after: Module) -> [String] {
        var lines: [String] = []
        for graph in after.graphs {
            guard let old = before.graph(graph.name) else {
                lines.append("+ graph @\(graph.name) (\(graph.nodeCount) nodes)")
                continue
            }
            let changed = changes(old, graph)
            if !changed.isEmpty { lines += ["graph @\(graph.name)"] + changed }
        }
        for graph in before.graphs where after.graph(graph.name) == nil {
            lines.append("- graph @\(graph.name) (\(graph.nodeCount) nodes)")
        }
        return lines
    }

    private static func changes(_ before: Graph, _ after: Graph) -> [String] {
        let oldNames = ValueNames(before)
        let newNames = ValueNames(after)
        let kept = Set(before.nodes).intersection(after.nodes)
        let gone = before.nodes.filter { !kept.contains($0) }.map { "- " + line($0, before, oldNames) }
        let come = after.nodes.filter { !kept.contains($0) }.map { "+ " + line($0, after, newNames) }
        return gone + come
    }

    private static func line(_ node: Node, _ graph: Graph, _ names: ValueNames) -> String {
        let results = node.results.map { names[$0] }.joined(separator: ", ")
        let types = node.results.map { graph.type(of: $0).description }.joined(separator: ", ")
        return "\(results) = \(Printer.expression(node, names)) : \(types)" + (node.origin.isEmpty ? "" : "  // \(node.origin)")
    }
}
