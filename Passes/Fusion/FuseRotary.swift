package import IR
import Tensors

/// Finds rotary embedding, its angles as one table and each rotation as one op (`apply_rotary_pos_emb`).
///
///     %a = mul (cast (transpose (gather %positions, axes))), frequencies
///     %c = reshape (concat (cos %a), (cos %a))    →      %cos, %sin = rotary_table %positions, frequencies {axes = …}
///     %y = add (mul %x, %c), (mul (rotate_half %x), %s)  %y = rotary %x, %cos, %sin
package let fuseRotary = Pass("fuse-rotary", .fused) { editor throws(PassError) in
    try editor.apply([rotation])
    try editor.apply([cosines, sines])
    joinTables(editor)
}

private let rotation = Rule("rotation") { p in
    let x = p.value("x")
    let first = p.some(Slice.self, x, named: "first")
    let second = p.some(Slice.self, x, named: "second")
    let turned = p.concat([p.neg(second), first], axis: 2)
    func twice(_ half: PatternValue, _ name: String) -> PatternValue {
        p.shared(p.some(Reshape.self, p.shared(p.concat([half, half], axis: 1)), named: name))
    }
    return p.add(p.mul(x, twice(p.value("cos"), "cosines")), p.mul(turned, twice(p.value("sin"), "sines")))
} rewrite: { m, e throws(Refusal) in
    let type = m.type("x")
    guard type.shape.rank == 3, let depth = type.shape[2].fixedValue, depth % 2 == 0 else {
        throw Refusal("the rows have no two halves", at: m["x"])
    }
    let (first, second) = (try m.op("first", as: Slice.self), try m.op("second", as: Slice.self))
    try m.require(first == Slice(axis: 2, start: 0, end: depth / 2), "not the first half", at: "first")
    try m.require(second == Slice(axis: 2, start: depth / 2, end: depth), "not the second half", at: "second")
    let table = TensorType(.f32, [type.shape[0], .fixed(depth / 2)])
    let spread = Shape([type.shape[0], 1, .fixed(depth)])
    for name in ["cos", "sin"] { try m.require(m.type(name) == table, "\(name) is not \(table)", at: name) }
    for name in ["cosines", "sines"] { try m.require(m.type(name).shape == spread, "not one row per token", at: name) }
    return e.rotary(m["x"], cos: m["cos"], sin: m["sin"])
}

private let cosines = Rule("cosines") { p in p.cos(angles(p)) } rewrite: { m, e throws(Refusal) in try table(m, e).cos }

private let sines = Rule("sines") { p in p.sin(angles(p)) } rewrite: { m, e throws(Refusal) in try table(m, e).sin }

private func angles(_ p: PatternBuilder) -> PatternValue {
    let axes = p.shared(p.some(Constant.self, named: "axes"))
    let chosen = p.shared(p.gather(p.value("positions"), axes))
    let turned = p.shared(p.cast(p.shared(p.transpose(chosen, [1, 0])), to: .f32))
    return p.shared(p.mul(turned, p.value("frequencies")))
}

private func table(_ m: Match, _ e: Editor) throws(Refusal) -> (cos: ValueID, sin: ValueID) {
    let axes = try m.op("axes", as: Constant.self).values.map { Int($0) }
    let positions = m.type("positions")
    guard positions.shape.rank == 2, positions.element == .i32, let rows = positions.shape[0].fixedValue else {
        throw Refusal("the positions are not rows of integers", at: m["positions"])
    }
    try m.require(axes.allSatisfy { (0..<rows).contains($0) }, "an axis is not a row of the positions", at: "axes")
    let frequencies = TensorType(.f32, [.fixed(axes.count)])
    try m.require(m.type("frequencies") == frequencies, "there is not one frequency for each axis", at: "frequencies")
    return e.rotaryTable(m["positions"], m["frequencies"], axes: axes)
}

/// Cosine and sine of the same angles come from the same table.
private func joinTables(_ editor: Editor) {
    var known: [[ValueID]: [Node]] = [:]
    for node in editor.graph.nodes where node.op is RotaryTable {
        guard let earlier = known[node.operands]?.first(where: { $0.op.equals(node.op) }) else {
            known[node.operands, default: []].append(node)
            continue
        }
        editor.rewrite("one-table", at: node) {
            for (old, new) in zip(node.results, earlier.results) { editor.replace(old, with: new) }
        }
    }
    editor.eraseDead()
}
