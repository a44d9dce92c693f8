package import IR
import Tensors

/// Turns products with weights, and the biases after them, into linear layers.
///
///     %1 = matmul %x, (cast %w) {transpose_b}
///     %2 = add %1, (cast %b)                      →      %2 = linear %x, %w, %b
package let fuseLinear = Pass("fuse-linear", .fused) { editor throws(PassError) in
    try editor.apply([product, turnedProduct])
    try editor.apply([bias])
}

private let product = Rule("product") { p in
    p.matmul(p.value("x"), p.value("w"), transposeB: true)
} check: { m throws(Refusal) in try requireWeight(m) } rewrite: { m, e in e.linear(m["x"], m["w"]) }

/// A weight that has a row for each input.
private let turnedProduct = Rule("turned-product") { p in
    p.matmul(p.value("x"), p.value("w"))
} check: { m throws(Refusal) in try requireWeight(m) } rewrite: { m, e in e.linear(m["x"], e.transpose(m["w"], [1, 0])) }

private func requireWeight(_ m: Match) throws(Refusal) {
    try m.require(m.type("w").shape.rank == 2, "the right side is not a matrix", at: "w")
    try m.require(m.graph.isConstant(m["w"]), "the right side is not a weight", at: "w")
    try m.require(!m.graph.isConstant(m["x"]), "both sides are weights", at: "x")
}

private let bias = Rule("bias") { p in
    p.add(p.some(Linear.self, p.value("x"), p.value("w"), named: "y"), p.value("b"))
} check: { m throws(Refusal) in
    try m.require(m.op("y", as: Linear.self) == Linear(), "the layer has more to do before the sum", at: "y")
    try m.require(m.type("b").shape.dims == [m.type("w").shape[0]], "the addend is not a vector of outputs", at: "b")
    try m.require(m.graph.isConstant(m["b"]), "the addend is not a weight", at: "b")
} rewrite: { m, e in e.linear(m["x"], m["w"], bias: m["b"]) }
