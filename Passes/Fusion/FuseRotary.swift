package import IR
import Tensors

/// Finds rotary embedding, its angles as one table and each rotation as one op (`apply_rotary_pos_emb`).
///
///     %a = mul (cast (transpose (gather %positions, axes))), frequencies
///     %c = reshape (concat (cos %a), (cos %a))    →      %cos, %sin = rotary_table %positions, frequencies {axes = …}
///     %y = add (mul %x, %c), (mul (rotate_half %x), %s)  %y = rotary %x, %cos, %sin
package let fuseRotary = Pass("fuse-rotary", .fused) { editor throws(PassError) in
    try editor.apply([rotation])
    try editor.apply([rotationInParts])
    try editor.apply([cosines, sines, cosinesOfSums, sinesOfSums])
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

/// A head whose parts turn by themselves, their halves brought together before and back behind.
private let rotationInParts = Rule("rotation-in-parts") { p in
    func swapped(_ x: PatternValue, _ name: String) -> PatternValue {
        let cut = p.some(Reshape.self, x, named: "cut.\(name)")
        return p.some(Reshape.self, p.some(Transpose.self, cut, named: "swap.\(name)"), named: "join.\(name)")
    }
    return swapped(p.some(Rotary.self, swapped(p.value("x"), "before"), p.value("cos"), p.value("sin"), named: "y"), "behind")
} rewrite: { m, e throws(Refusal) in
    let (whole, before, behind) = (m.type("join.before").shape, m.type("cut.before").shape, m.type("cut.behind").shape)
    try m.require(m.op("y", as: Rotary.self) == Rotary(), "parts of parts turn", at: "y")
    guard whole.rank == 3, before.rank == 5, let heads = whole[1].fixedValue, let depth = whole[2].fixedValue,
        let parts = before[2].fixedValue, parts > 0, depth % (2 * parts) == 0
    else { throw Refusal("the heads are not cut into parts", at: m["cut.before"]) }
    let half = Dim.fixed(depth / 2 / parts)
    try m.require(before.dims == [whole[0], .fixed(heads), .fixed(parts), 2, half], "the parts have no two halves", at: "cut.before")
    try m.require(behind.dims == [whole[0], .fixed(heads), 2, .fixed(parts), half], "the halves are cut otherwise behind", at: "cut.behind")
    for name in ["swap.before", "swap.behind"] {
        try m.require(m.op(name, as: Transpose.self).perm == [0, 1, 3, 2, 4], "parts and halves do not change places", at: name)
    }
    try m.require(m.graph.type(of: m.root.result).shape == whole, "the result has another shape", at: "cut.behind")
    return e.rotary(e.reshape(m["x"], whole), cos: m["cos"], sin: m["sin"], parts: parts)
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

private let cosinesOfSums = Rule("cosines-of-sums") { p in p.cos(summedAngles(p)) } rewrite: { m, e throws(Refusal) in try sums(m, e).cos }

private let sinesOfSums = Rule("sines-of-sums") { p in p.sin(summedAngles(p)) } rewrite: { m, e throws(Refusal) in try sums(m, e).sin }

/// Frequencies of every axis, of which a token's position stands on one.
private func summedAngles(_ p: PatternBuilder) -> PatternValue {
    let turned = p.shared(p.cast(p.shared(p.transpose(p.value("positions"), [1, 0])), to: .f32))
    return p.shared(p.matmul(turned, p.value("table")))
}

private func sums(_ m: Match, _ e: Editor) throws(Refusal) -> (cos: ValueID, sin: ValueID) {
    let (positions, table) = (m.type("positions"), m.type("table"))
    guard positions.shape.rank == 2, positions.element == .i32 else {
        throw Refusal("the positions are not rows of integers", at: m["positions"])
    }
    guard table.element == .f32, table.shape.rank == 2, table.shape[0] == positions.shape[0], let sets = table.shape[0].fixedValue,
        let count = table.shape[1].fixedValue, m.graph.isConstant(m["table"])
    else { throw Refusal("there are no frequencies for each axis", at: m["table"]) }
    let axes = (0..<sets).flatMap { Array(repeating: $0, count: count) }
    return e.rotaryTable(m["positions"], e.reshape(m["table"], [.fixed(sets * count)]), axes: axes, sets: sets)
}

/// Cosine and sine of the same angles come from the same table.
private func joinTables(_ editor: Editor) {
    /// Frequencies may have been seen under another shape.
    func sources(of node: Node) -> [ValueID] {
        node.operands.map { value in
            guard let producer = editor.graph.producer(of: value), producer.op is Reshape else { return value }
            return producer.operands[0]
        }
    }
    var known: [[ValueID]: [Node]] = [:]
    for node in editor.graph.nodes where node.op is RotaryTable {
        let operands = sources(of: node)
        guard let earlier = known[operands]?.first(where: { $0.op.equals(node.op) }) else {
            known[operands, default: []].append(node)
            continue
        }
        editor.rewrite("one-table", at: node) {
            for (old, new) in zip(node.results, earlier.results) { editor.replace(old, with: new) }
        }
    }
    editor.eraseDead()
}
