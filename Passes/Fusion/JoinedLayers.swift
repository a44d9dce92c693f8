import IR
import Tensors

/// Layers over the same input that become one layer over stacked weights, read by columns; what adapts them does so at once.
struct JoinedLayers {
    private let layers: [Node]
    /// What adapts each layer, if anything does.
    private let adapters: [Node?]

    /// - Parameter outputs: layers, or the nodes that adapt them, in the order of their columns.
    init(_ outputs: [Node], in graph: Graph) {
        adapters = outputs.map { $0.op is Adapt ? $0 : nil }
        layers = outputs.map { $0.op is Adapt ? graph.producer(of: $0.operands[0]) ?? $0 : $0 }
    }

    /// Whether a node is a layer that can be joined.
    static func isLayer(_ node: Node) -> Bool { node.op is Linear || node.op is any QuantizedLayer }

    /// Whether a node gives the outputs of a layer that can be joined, adapted or not.
    static func givesLayer(_ node: Node, in graph: Graph) -> Bool {
        guard node.op is Adapt else { return isLayer(node) }
        return graph.producer(of: node.operands[0]).map(isLayer) ?? false
    }

    private var outputs: [ValueID] { zip(layers, adapters).map { ($1 ?? $0).result } }

    /// Replaces the layers; a miss says why they stay apart.
    func join(in editor: Editor, rule: String) {
        let ids = Set(layers.map(\.id))
        guard let first = editor.graph.nodes.first(where: { ids.contains($0.id) }) else { return }
        editor.rewrite(rule, at: first) { () throws(Refusal) in
            try checkOperands(editor.graph)
            try checkLikeness(editor.graph)
            try checkAdapters(editor)
            let axis = editor.type(of: first.result).shape.rank - 1
            let joined = adapted(stacked(by: editor), editor)
            var start = 0
            for output in outputs {
                let width = editor.type(of: output).shape[axis].fixedValue ?? 0
                editor.replace(output, with: editor.slice(joined, axis: axis, start..<start + width))
                start += width
            }
        }
    }

    /// Writes one layer with the columns of all; layers that differ become one of the kind that takes any weight.
    func write(by editor: Editor) throws(Refusal) -> ValueID {
        try checkOperands(editor.graph)
        try checkAdapters(editor)
        do throws(Refusal) { try checkLikeness(editor.graph) } catch { return adapted(levelled(by: editor), editor) }
        return adapted(stacked(by: editor), editor)
    }

    /// All layers are adapted or none, by the same rows, and nothing else reads them before.
    private func checkAdapters(_ editor: Editor) throws(Refusal) {
        guard adapters.contains(where: { $0 != nil }) else { return }
        for (layer, adapter) in zip(layers, adapters) {
            guard let adapter else { throw Refusal("one layer is adapted and another is not", at: layer.result) }
            guard adapter.operands.dropFirst() == adapters[0]?.operands.dropFirst() else {
                throw Refusal("the layers are adapted by different values", at: adapter.result)
            }
            guard editor.useCount(layer.result) == 1 else { throw Refusal("the layer is read before it is adapted", at: layer.result) }
        }
    }

    /// The columns of all layers with what adapts them.
    private func adapted(_ joined: ValueID, _ editor: Editor) -> ValueID {
        let ops = adapters.compactMap { $0?.op(as: Adapt.self) }
        guard let first = adapters.first.flatMap({ $0 }), ops.count == layers.count else { return joined }
        return editor.adapt(
            joined, first.operands[1], first.operands[2], layers: ops.flatMap(\.layers), widths: ops.flatMap(\.widths))
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
