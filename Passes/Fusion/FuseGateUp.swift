package import IR

/// Joins the gate and the way up of a gated MLP.
///
///     %g = linear %x, %wg
///     %u = linear %x, %wu                         →      %y = linear %x, (concat %wg, %wu)
///     %m = mul (mul %g, (sigmoid %g)), %u                %g = slice %y …   %u = slice %y …
package let fuseGateUp = Pass("fuse-gate-up", .fused) { editor in
    for id in editor.graph.nodes.map(\.id) {
        guard let product = editor.graph[id], product.op is Mul, let gate = gate(of: product, in: editor.graph),
            let up = editor.graph.producer(of: product.operands[1]), JoinedLayers.isLayer(up), gate.id != up.id
        else { continue }
        JoinedLayers([gate, up]).join(in: editor, rule: "gate-and-up")
    }
    editor.eraseDead()
}

/// The layer `g` of `mul (mul g, (sigmoid g)), …`.
private func gate(of product: Node, in graph: Graph) -> Node? {
    guard let gated = graph.producer(of: product.operands[0]), gated.op is Mul,
        let sigmoid = graph.producer(of: gated.operands[1]), sigmoid.op is Sigmoid, sigmoid.operands[0] == gated.operands[0],
        let gate = graph.producer(of: gated.operands[0]), JoinedLayers.isLayer(gate)
    else { return nil }
    return gate
}
