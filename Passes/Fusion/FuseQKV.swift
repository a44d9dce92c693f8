package import IR

/// Joins the projections of queries, keys and values: one layer over stacked weights, read by columns.
///
///     %q = linear %x, %wq, %bq
///     %k = linear %x, %wk, %bk                    →      %y = linear %x, (concat %wq, %wk, %wv), (concat %bq, %bk, %bv)
///     %v = linear %x, %wv, %bv                           %q = slice %y …   %k = slice %y …   %v = slice %y …
package let fuseQKV = Pass("fuse-qkv", .fused, isOptional: true) { editor in
    for id in editor.graph.nodes.map(\.id) {
        guard let attention = editor.graph[id], attention.op is Attention,
            let q = layer(behind: attention.operands[0], in: editor.graph),
            let k = layer(behind: attention.operands[1], in: editor.graph),
            let v = layer(behind: attention.operands[2], in: editor.graph), Set([q.id, k.id, v.id]).count == 3
        else { continue }
        JoinedLayers([q, k, v], in: editor.graph).join(in: editor, rule: "queries-keys-values")
    }
    editor.eraseDead()
}

/// The layer, or the node that adapts it, whose output a value is, through heads, rotation and the cache.
private func layer(behind value: ValueID, in graph: Graph) -> Node? {
    guard let node = graph.producer(of: value) else { return nil }
    switch node.op {
    case is Linear, is any QuantizedLayer: return node
    case is Adapt: return JoinedLayers.givesLayer(node, in: graph) ? node : nil
    case is Reshape, is Rotary: return layer(behind: node.operands[0], in: graph)
    case is KVWrite: return node.operand("rows").flatMap { layer(behind: $0, in: graph) }
    default: return nil
    }
}
