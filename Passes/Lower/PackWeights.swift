package import IR
import Plan
import Tensors

/// Gives every constant that a running node reads the layout of its kernel; what computes it is the recipe that the packer follows.
///
///     %1 = linear %x, %w  via linear_bf16_f32     →      %p = pack %w {layout = bf16_panels}
///                                                        %1 = linear %x, %p  via linear_bf16_f32
package let packWeights = Pass("pack-weights", .packed, version: 2) { module, report throws(PassError) in
    var tables = TableLayouts()
    for graph in module.graphs { tables.collect(graph) }
    for index in module.graphs.indices {
        var packing = WeightPacking(module.graphs[index], tables, report)
        (module.graphs[index], report) = try packing.run()
    }
}

/// The layouts in which linear layers read weights, so that a table of the same weight is not stored twice.
private struct TableLayouts {
    private var layouts: [String: PackedLayout] = [:]

    mutating func collect(_ graph: Graph) {
        for node in graph.nodes where node.op is Linear {
            guard let layout = node.panels, graph.isConstant(node.operands[1]) else { continue }
            let recipe = recipe(node.operands[1], in: graph)
            if layouts[recipe] == nil { layouts[recipe] = layout }
        }
    }

    /// The layout for rows that are gathered from `table`: the linear layer's that shares it, else one of its own precision.
    func layout(of table: ValueID, in graph: Graph) -> PackedLayout {
        let isHalf = graph.type(of: graph.withoutCasts(table)).element == .bf16
        return layouts[recipe(table, in: graph)] ?? (isHalf ? .bf16Panels : .f32Panels)
    }

    private func recipe(_ value: ValueID, in graph: Graph) -> String {
        Printer.print(graph.recipe([graph.withoutCasts(value)]))
    }
}

/// Packs the constants of one graph, each once for each layout.
private struct WeightPacking {
    private struct Key: Hashable {
        let value: ValueID
        let layout: PackedLayout
    }

    private let constness: Constness
    private let editor: Editor
    private let tables: TableLayouts
    private var packed: [Key: ValueID] = [:]

    init(_ graph: Graph, _ tables: TableLayouts, _ report: PassReport) {
        constness = Constness(graph)
        editor = Editor(graph, report: report)
        self.tables = tables
    }

    mutating func run() throws(PassError) -> (Graph, PassReport) {
        for id in editor.graph.nodes.map(\.id) {
            // Packing one quantized layer gives the next another operand.
            guard let current = editor.graph[id], constness.runs(current), current.kernel != .view else { continue }
            let node = packingLayer(current) ?? current
            for (index, operand) in node.operands.enumerated() where isPackable(operand) {
                pack(operand, at: index, of: node)
            }
        }
        editor.eraseDead()
        return (try editor.finish(), editor.report)
    }

    private func isPackable(_ value: ValueID) -> Bool {
        let element = editor.type(of: value).element
        return constness.isConstant(value) && (element.isFloat || element == .i32)
            && editor.graph.producer(of: value)?.op.packsWeights == false
    }

    private mutating func pack(_ value: ValueID, at index: Int, of node: Node) {
        let layout = layout(of: value, at: index, of: node)
        let key = Key(value: layout == .indices ? value : editor.graph.withoutCasts(value), layout: layout)
        editor.rewrite(layout.rawValue, at: node) { () throws(Refusal) in
            let made = packed[key] ?? editor.pack(key.value, layout)
            packed[key] = made
            editor.setOperand(index, of: node.id, to: made)
        }
    }

    /// Makes a quantized layer a linear layer over its weight in blocks.
    private func packingLayer(_ node: Node) -> Node? {
        guard let op = node.op as? any QuantizedLayer, case .linear(let weights, _) = node.kernel else { return nil }
        let parts = op.parts(of: node.operands)
        guard parts.allSatisfy(constness.isConstant) else { return nil }
        var layer: ValueID?
        editor.rewrite("\(weights.rawValue)_blocks", at: node) { () throws(Refusal) in
            let made = editor.linear(node.operands[0], op.packed(parts, editor), bias: node.operand("bias"), activation: op.activation)
            editor.replace(node.result, with: made)
            editor.eraseIfDead(node.id)
            layer = made
        }
        guard let id = layer.flatMap({ editor.graph.producer(of: $0)?.id }) else { return nil }
        editor.setKernel(node.kernel, of: id)
        return editor.graph[id]
    }

    private func layout(of value: ValueID, at index: Int, of node: Node) -> PackedLayout {
        if editor.type(of: value).element == .i32 { return .indices }
        switch (node.kernel, index) {
        case (.linear?, 1): return node.panels ?? .f32Panels
        case (.embed?, 0): return tables.layout(of: value, in: editor.graph)
        default: return .plain
        }
    }
}

extension Node {
    /// The panels that the node's kernel reads; nil where it reads blocks or is no linear layer.
    fileprivate var panels: PackedLayout? {
        guard case .linear(let weights, _) = kernel else { return nil }
        switch weights {
        case .f32: return .f32Panels
        case .bf16: return .bf16Panels
        case .int4, .int8, .f8, .f4: return nil
        }
    }
}

extension Graph {
    /// The value before casts between real types: the packed layout has its own type.
    fileprivate func withoutCasts(_ value: ValueID) -> ValueID {
        guard let node = producer(of: value), let cast = node.op(as: Cast.self), cast.to.isFloat,
            type(of: node.operands[0]).element.isFloat
        else { return value }
        return withoutCasts(node.operands[0])
    }
}
