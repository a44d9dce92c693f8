package import IR
import Tensors

/// Splits a layer whose outputs are read in pieces that lie apart (InternLM2's `wqkv`): a layer for each, over its rows of the weight.
///
///     %y = reshape (linear %x, %w), [T, 2, 4, 8]  →      %q = reshape (linear %x, (concat (slice %w …), (slice %w …))), [T, 2, 2, 8]
///     %q = slice %y, axis 2, 0..<2
package let splitGroups = Pass("split-groups", .fused, isOptional: true) { editor in
    for id in editor.graph.nodes.map(\.id) {
        guard let cut = editor.graph[id], cut.op is Reshape, let layer = editor.graph.producer(of: cut.operands[0]),
            JoinedLayers.isLayer(layer)
        else { continue }
        let pieces = editor.readers(of: cut.result)
        guard pieces.count > 1, pieces.allSatisfy({ $0.op is Slice }) else { continue }
        editor.rewrite("groups", at: cut) { () throws(Refusal) in
            guard editor.useCount(layer.result) == 1 else { throw Refusal("the layer is read elsewhere", at: layer.result) }
            let groups = try Groups(cut, layer, editor)
            for piece in pieces { try groups.replace(piece, editor) }
        }
    }
    editor.eraseDead()
}

/// A layer and the shape in which its outputs are read.
private struct Groups {
    let layer: Node
    let dims: [Int]
    let tokens: Dim

    init(_ cut: Node, _ layer: Node, _ editor: Editor) throws(Refusal) {
        let (shape, rows) = (editor.type(of: cut.result).shape, editor.type(of: layer.result).shape)
        guard rows.rank == 2, shape.rank > 2, shape[0] == rows[0] else { throw Refusal("the rows are cut too", at: cut.result) }
        self.layer = layer
        tokens = shape[0]
        dims = shape.dims.dropFirst().compactMap(\.fixedValue)
        guard dims.count == shape.rank - 1 else { throw Refusal("the pieces vary in size", at: cut.result) }
        let constness = Constness(editor.graph)
        if let parameter = layer.operands.dropFirst().first(where: { !constness.isConstant($0) }) {
            throw Refusal("a parameter of the layer is not a weight", at: parameter)
        }
    }

    /// A layer of the piece's own.
    func replace(_ piece: Node, _ editor: Editor) throws(Refusal) {
        guard let slice = piece.op(as: Slice.self), slice.axis > 0 else { throw Refusal("a piece has not all rows", at: piece.result) }
        let axis = slice.axis - 1
        let (outer, inner) = (dims[..<axis].reduce(1, *), dims[(axis + 1)...].reduce(1, *))
        guard outer > 1 else { throw Refusal("a piece lies together", at: piece.result) }
        let ranges = (0..<outer).map { ($0 * dims[axis] + slice.start) * inner..<($0 * dims[axis] + slice.end) * inner }
        var operands = [layer.operands[0]]
        for (value, name) in zip(layer.operands, layer.op.operandNames).dropFirst() {
            operands.append(try rows(ranges, of: value, axis: layer.op.outputAxis(of: name), editor))
        }
        let made = editor.write(layer.op, operands)[0]
        for reader in editor.readers(of: piece.result) where reader.op is Reshape {
            editor.replace(reader.result, with: editor.reshape(made, editor.type(of: reader.result).shape))
        }
        if editor.useCount(piece.result) > 0 {
            editor.replace(piece.result, with: editor.reshape(made, editor.type(of: piece.result).shape))
        }
    }

    /// The outputs of those ranges of a parameter, which may hold several outputs in one element.
    private func rows(_ ranges: [Range<Int>], of value: ValueID, axis: Int, _ editor: Editor) throws(Refusal) -> ValueID {
        let outputs = dims.reduce(1, *)
        guard let extent = editor.type(of: value).shape[axis].fixedValue, extent > 0, outputs % extent == 0 else {
            throw Refusal("a parameter is not one for each output", at: value)
        }
        let packed = outputs / extent
        guard ranges.allSatisfy({ $0.lowerBound % packed == 0 && $0.upperBound % packed == 0 }) else {
            throw Refusal("a piece begins inside a packed element", at: value)
        }
        return editor.concat(ranges.map { editor.slice(value, axis: axis, $0.lowerBound / packed..<$0.upperBound / packed) }, axis: axis)
    }
}
