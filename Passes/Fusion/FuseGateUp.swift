package import IR

/// Joins the gate and the way up of a gated MLP; where only one of them is int4, that one is unpacked for it.
///
///     %g = linear %x, %wg
///     %u = linear %x, %wu                         →      %y = linear %x, (concat %wg, %wu)
///     %m = mul (mul %g, (sigmoid %g)), %u                %g = slice %y …   %u = slice %y …
package let fuseGateUp = Pass("fuse-gate-up", .fused) { editor in
    for id in editor.graph.nodes.map(\.id) {
        guard let product = editor.graph[id], product.op is Mul, let layers = gateAndUp(of: product, in: editor.graph) else {
            continue
        }
        if !layers[0].op.equals(layers[1].op) { layers.forEach { unpack($0, in: editor) } }
        guard let alike = gateAndUp(of: product, in: editor.graph) else { continue }
        JoinedLayers(alike).join(in: editor, rule: "gate-and-up")
    }
    editor.eraseDead()
}

/// The layers `g` and `u` of `mul (mul g, (sigmoid g)), u`.
private func gateAndUp(of product: Node, in graph: Graph) -> [Node]? {
    guard let product = graph[product.id], let gated = graph.producer(of: product.operands[0]), gated.op is Mul,
        let sigmoid = graph.producer(of: gated.operands[1]), sigmoid.op is Sigmoid, sigmoid.operands[0] == gated.operands[0],
        let gate = graph.producer(of: gated.operands[0]), JoinedLayers.isLayer(gate),
        let up = graph.producer(of: product.operands[1]), JoinedLayers.isLayer(up), gate.id != up.id
    else { return nil }
    return [gate, up]
}

/// The gated activation reads one value, so layers of two kinds become two of the kind that takes any weight.
private func unpack(_ layer: Node, in editor: Editor) {
    guard let op = layer.op(as: QuantizedLinearAWQ.self) else { return }
    editor.rewrite("unpack", at: layer) {
        let weight = editor.dequantizeAWQ(layer.operands[1], layer.operands[2], layer.operands[3], group: op.group)
        let bias = op.hasBias ? layer.operands[4] : nil
        editor.replace(layer.result, with: editor.linear(layer.operands[0], weight, bias: bias))
    }
    editor.eraseIfDead(layer.id)
}
