package import IR
import Tensors

/// Drops movement that moves nothing, joins movement that follows movement, and casts tables before rows are taken.
///
///     %1 = reshape %0 {dims = [4, 2]}
///     %2 = reshape %1 {dims = [8]}                →      %1 = reshape %0 {dims = [8]}
package let simplifyMovement = Pass("simplify-movement", .canonical) { editor throws(PassError) in
    try editor.apply([
        toItself(Reshape.self), toItself(Cast.self), toItself(Expand.self), toItself(Slice.self), toItself(Concat.self),
        repeatOnce, transposeToItself, reshapeOfReshape, transposeOfTranspose, castOfGather,
    ])
}

/// Movement that keeps the type keeps the elements; a transposition does not.
private func toItself<O: Op>(_ type: O.Type) -> Rule {
    Rule("\(O.schema.name)-to-itself") { p in p.some(type, p.value("x")) } check: { m throws(Refusal) in
        guard m.type("x") == m.graph.type(of: m.root.result) else { throw Refusal("the type changes", at: m["x"]) }
    } rewrite: { m, _ in m["x"] }
}

private let repeatOnce = Rule("repeat-once") { p in
    p.some(Repeat.self, p.value("x"), named: "y")
} check: { m throws(Refusal) in
    try m.require(m.op("y", as: Repeat.self).count == 1, "it repeats more than once")
} rewrite: { m, _ in m["x"] }

private let transposeToItself = Rule("transpose-to-itself") { p in
    p.some(Transpose.self, p.value("x"), named: "y")
} check: { m throws(Refusal) in
    let perm = try m.op("y", as: Transpose.self).perm
    try m.require(perm == Array(perm.indices), "axes change places")
} rewrite: { m, _ in m["x"] }

private let reshapeOfReshape = Rule("reshape-of-reshape") { p in
    p.some(Reshape.self, p.shared(p.some(Reshape.self, p.value("x"))), named: "y")
} rewrite: { m, e throws(Refusal) in e.reshape(m["x"], try m.op("y", as: Reshape.self).dims) }

private let transposeOfTranspose = Rule("transpose-of-transpose") { p in
    p.some(Transpose.self, p.shared(p.some(Transpose.self, p.value("x"), named: "inner")), named: "outer")
} rewrite: { m, e throws(Refusal) in
    let inner = try m.op("inner", as: Transpose.self).perm
    return e.transpose(m["x"], try m.op("outer", as: Transpose.self).perm.map { inner[$0] })
}

/// A table of weights is widened where it is packed, not row by row.
private let castOfGather = Rule("cast-of-gather") { p in
    p.some(Cast.self, p.some(Gather.self, p.value("table"), p.value("index")), named: "y")
} rewrite: { m, e throws(Refusal) in
    guard m.graph.op(of: m["table"], as: Weight.self) != nil else {
        throw Refusal("the table is not a weight", at: m["table"])
    }
    return e.gather(e.cast(m["table"], to: try m.op("y", as: Cast.self).to), m["index"])
}
