import IR
import Tensors

/// Layers over the same input that become one layer over stacked weights, read by columns.
struct JoinedLayers {
    private let layers: [Node]

    /// Layers in the order of their columns.
    init(_ layers: [Node]) { self.layers = layers }

    /// Whether a node is a layer that can be joined.
    static func isLayer(_ node: Node) -> Bool { node.op is Linear || node.op is any QuantizedLayer }

    /// Replaces the layers; a miss says why they stay apart.
    func join(in editor: Editor, rule: String) {
        let ids = Set(layers.map(\.id))
        guard let first = editor.graph.nodes.first(where: { ids.contains($0.id) }) else { return }
        editor.rewrite(rule, at: first) { () throws(Refusal) in
            try checkOperands(editor.graph)
            try checkLikeness(editor.graph)
            let axis = editor.type(of: first.result).shape.rank - 1
            let joined = stacked(by: editor)
            var start = 0
            for layer in layers {
                let width = editor.type(of: layer.result).shape[axis].fixedValue ?? 0
                editor.replace(layer.result, with: editor.slice(joined, axis: axis, start..<start + width))
                start += width
            }
        }
    }

    /// Writes one layer with the columns of all; layers that differ become one of the kind that takes any weight.
    func write(by editor: Editor) throws(Refusal) -> ValueID {
        try checkOperands(editor.graph)
        do throws(Refusal) { try checkLikeness(editor.graph) } catch { return levelled(by: editor) }
        return stacked(by: editor)
    }

    private func checkOperands(_ graph: Graph) throws(Refusal) {
        let constness = Constness(graph)
        for layer in layers {
            guard layer.operands[0] == layers[0].operands[0] else {
                throw Refusal("the layers read different values", at: layer.operands[0])
            }
            for parameter in layer.operands.dropFirst() where !constness.isConstant(parameter) {
                throw Refusal("a parameter is not a weight", at: parameter)
            }
            guard layer.op.isPlainLayer else { throw Refusal("the layers have an activation or a residual", at: layer.result) }
        }
    }

    private func checkLikeness(_ graph: Graph) throws(Refusal) {
        for layer in layers {
            guard layer.op.equals(layers[0].op) else { throw Refusal("the layers differ in kind, group or bias", at: layer.result) }
            for (ours, theirs) in zip(layer.operands, layers[0].operands).dropFirst()
            where graph.type(of: ours).element != graph.type(of: theirs).element {
                throw Refusal("the weights differ in their element type", at: ours)
            }
        }
    }

    /// One layer of the kind that all are, over each parameter stacked along the axis of the outputs.
    private func stacked(by editor: Editor) -> ValueID {
        let first = layers[0]
        let parameters = first.op.operandNames.enumerated().dropFirst().map { index, name in
            editor.concat(layers.map { $0.operands[index] }, axis: first.op.outputAxis(of: name))
        }
        return editor.write(first.op, [first.operands[0]] + parameters)[0]
    }

    /// One layer over f32 weights; a bias that some lack is zero there.
    private func levelled(by editor: Editor) -> ValueID {
        let weights = layers.map { layer in
            guard let op = layer.op as? any QuantizedLayer else { return widened(layer.operands[1], editor) }
            return op.dequantized(op.parts(of: layer.operands), editor)
        }
        let weight = editor.concat(weights, axis: 0)
        guard layers.contains(where: { $0.operand("bias") != nil }) else { return editor.linear(layers[0].operands[0], weight) }
        let biases = zip(layers, weights).map { layer, weight in
            layer.operand("bias").map { widened($0, editor) }
                ?? editor.literal(0, TensorType(.f32, [editor.type(of: weight).shape[0]]))
        }
        return editor.linear(layers[0].operands[0], weight, bias: editor.concat(biases, axis: 0))
    }

    private func widened(_ value: ValueID, _ editor: Editor) -> ValueID {
        editor.type(of: value).element == .f32 ? value : editor.cast(value, to: .f32)
    }
}

extension Op {
    /// The axis of a layer's parameter along which its outputs lie.
    func outputAxis(of parameter: String) -> Int {
        guard let layer = self as? any QuantizedLayer, parameter != "bias" else { return 0 }
        return type(of: layer).outputAxis
    }

    /// Whether a layer does no more than multiply and add its bias.
    fileprivate var isPlainLayer: Bool {
        switch self {
        case let layer as Linear: layer.activation == .none
        case let layer as any QuantizedLayer: layer.activation == .none
        default: false
        }
    }
}
