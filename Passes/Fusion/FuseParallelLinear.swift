package import IR
import Tensors

/// Joins the projections of queries, keys and values: one layer over stacked weights, read by columns.
///
///     %q = linear %x, %wq, %bq
///     %k = linear %x, %wk, %bk                    →      %y = linear %x, (concat %wq, %wk, %wv), (concat %bq, %bk, %bv)
///     %v = linear %x, %wv, %bv                           %q = slice %y …   %k = slice %y …   %v = slice %y …
package let fuseQKV = Pass("fuse-qkv", .fused) { editor in
    for attention in editor.graph.nodes.map(\.id) {
        guard let node = editor.graph[attention], node.op is Attention else { continue }
        let layers = node.operands.prefix(3).map { layer(behind: $0, in: editor.graph) }
        guard let q = layers[0], let k = layers[1], let v = layers[2] else { continue }
        guard Set([q.id, k.id, v.id]).count == 3 else { continue }
        join([q, k, v], in: editor, rule: "query-key-value")
    }
}

/// Joins the gate and the way up of a gated MLP.
///
///     %g = linear %x, %wg
///     %u = linear %x, %wu                         →      %y = linear %x, (concat %wg, %wu)
///     %m = mul (mul %g, (sigmoid %g)), %u                %g = slice %y …   %u = slice %y …
package let fuseGateUp = Pass("fuse-gate-up", .fused) { editor in
    for product in editor.graph.nodes.map(\.id) {
        guard let node = editor.graph[product], node.op is Mul, let gated = editor.graph.producer(of: node.operands[0]),
            gated.op is Mul, let gate = editor.graph.producer(of: gated.operands[0]), isLayer(gate),
            let up = editor.graph.producer(of: node.operands[1]), isLayer(up), gate.id != up.id
        else { continue }
        join([gate, up], in: editor, rule: "gate-up")
    }
}

private func isLayer(_ node: Node) -> Bool { node.op is Linear || node.op is QuantizedLinearAWQ }

/// The layer whose output a value is, through movement, rotation and the cache.
private func layer(behind value: ValueID, in graph: Graph) -> Node? {
    guard let node = graph.producer(of: value) else { return nil }
    switch node.op {
    case is Linear, is QuantizedLinearAWQ: return node
    case is Reshape, is Rotary: return layer(behind: node.operands[0], in: graph)
    case is KVWrite: return node.operand("rows").flatMap { layer(behind: $0, in: graph) }
    default: return nil
    }
}

/// Replaces layers over the same input by one; says why not when they differ in kind.
private func join(_ layers: [Node], in editor: Editor, rule: String) {
    guard let first = layers.min(by: { position($0, editor.graph) < position($1, editor.graph) }) else { return }
    editor.rewrite(rule, at: first) { () throws(Refusal) in
        for layer in layers where layer.operands[0] != first.operands[0] {
            throw Refusal("the layers read different values", at: layer.operands[0])
        }
        for layer in layers where !layer.op.equals(first.op) {
            throw Refusal("the layers differ in kind, group, bias or activation", at: layer.result)
        }
        let isQuantized = first.op is QuantizedLinearAWQ
        if let linear = first.op as? Linear, linear != Linear(hasBias: linear.hasBias) {
            throw Refusal("the layers have an activation or a residual", at: first.result)
        }
        let operands = first.operands.indices.dropFirst().map { index in
            let parts = layers.map { $0.operands[index] }
            return editor.concat(parts, axis: isQuantized && index <= 3 ? 1 : 0)
        }
        let joined = editor.write(first.op, [first.operands[0]] + operands)[0]
        let axis = editor.type(of: joined).shape.rank - 1
        var start = 0
        for layer in layers {
            let width = editor.type(of: layer.result).shape.dims.last?.fixedValue ?? 0
            editor.replace(layer.result, with: editor.slice(joined, axis: axis, start..<start + width))
            start += width
        }
    }
    editor.eraseDead()
}

private func position(_ node: Node, _ graph: Graph) -> Int { graph.nodes.firstIndex { $0.id == node.id } ?? .max }
