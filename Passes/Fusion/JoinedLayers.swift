import IR
import Tensors

/// Layers over the same input that become one layer over stacked weights, read by columns.
struct JoinedLayers {
    private let layers: [Node]

    /// Layers in the order of their columns.
    init(_ layers: [Node]) { self.layers = layers }

    /// Whether a node is a layer that can be joined.
    static func isLayer(_ node: Node) -> Bool { node.op is Linear || node.op is QuantizedLinearAWQ }

    /// Replaces the layers; a miss says why they stay apart.
    func join(in editor: Editor, rule: String) {
        let ids = Set(layers.map(\.id))
        guard let first = editor.graph.nodes.first(where: { ids.contains($0.id) }) else { return }
        editor.rewrite(rule, at: first) { () throws(Refusal) in
            try check(first, editor.graph)
            let axis = editor.type(of: first.result).shape.rank - 1
            let joined = editor.write(first.op, [first.operands[0]] + parameters(of: first, editor))[0]
            var start = 0
            for layer in layers {
                let width = editor.type(of: layer.result).shape[axis].fixedValue ?? 0
                editor.replace(layer.result, with: editor.slice(joined, axis: axis, start..<start + width))
                start += width
            }
        }
    }

    private func check(_ first: Node, _ graph: Graph) throws(Refusal) {
        let constness = Constness(graph)
        for layer in layers {
            guard layer.operands[0] == first.operands[0] else {
                throw Refusal("the layers read different values", at: layer.operands[0])
            }
            guard layer.op.equals(first.op) else {
                throw Refusal("the layers differ in kind, group, bias or activation", at: layer.result)
            }
            for (ours, theirs) in zip(layer.operands, first.operands).dropFirst() {
                guard constness.isConstant(ours) else { throw Refusal("a parameter is not a weight", at: ours) }
                guard graph.type(of: ours).element == graph.type(of: theirs).element else {
                    throw Refusal("the weights differ in their element type", at: ours)
                }
            }
        }
        if let linear = first.op(as: Linear.self), linear.activation != .none || linear.hasResidual {
            throw Refusal("the layers have an activation or a residual", at: first.result)
        }
    }

    /// Each parameter of all layers, stacked along the axis of the outputs.
    private func parameters(of first: Node, _ editor: Editor) -> [ValueID] {
        first.op.operandNames.enumerated().dropFirst().map { index, name in
            let isPacked = first.op is QuantizedLinearAWQ && name != "bias"
            return editor.concat(layers.map { $0.operands[index] }, axis: isPacked ? 1 : 0)
        }
    }
}
