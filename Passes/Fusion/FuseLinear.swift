package import IR
import Tensors

/// Turns products with weights, the biases after them and the activations after those into linear layers.
///
///     %1 = matmul %x, (cast %w) {transpose_b}
///     %2 = add %1, (cast %b)
///     %4 = mul %2, (sigmoid (mul %2, 1.702))      →      %4 = linear %x, %w, %b {activation = quick_gelu}
package let fuseLinear = Pass("fuse-linear", .fused) { editor throws(PassError) in
    try editor.apply([product])
    try editor.apply([bias])
    try editor.apply([quickGelu, gelu, geluTanh])
}

private let product = Rule("product") { p in
    p.matmul(p.value("x"), p.value("w"), transposeB: true)
} check: { m throws(Refusal) in
    try m.require(m.type("w").shape.rank == 2, "the right side is not a matrix", at: "w")
    try m.require(m.graph.isConstant(m["w"]), "the right side is not a weight", at: "w")
    try m.require(!m.graph.isConstant(m["x"]), "both sides are weights", at: "x")
} rewrite: { m, e in e.linear(m["x"], m["w"]) }

private let bias = Rule("bias") { p in
    p.add(p.some(Linear.self, p.value("x"), p.value("w"), named: "y"), p.value("b"))
} check: { m throws(Refusal) in
    try m.require(m.op("y", as: Linear.self) == Linear(), "the layer has more to do before the sum", at: "y")
    try m.require(m.type("b").shape.dims == [m.type("w").shape[0]], "the addend is not a vector of outputs", at: "b")
    try m.require(m.graph.isConstant(m["b"]), "the addend is not a weight", at: "b")
} rewrite: { m, e in e.linear(m["x"], m["w"], bias: m["b"]) }

private let quickGelu = Rule("quick-gelu") { p in
    let y = p.value("y")
    return p.mul(y, p.sigmoid(p.mul(y, p.shared(p.literal(1.702)))))
} rewrite: { m, e throws(Refusal) in try m.activated(.quickGelu, reads: 2, e) }

private let gelu = Rule("gelu") { p in
    let y = p.value("y")
    let gate = p.add(p.erf(p.mul(y, p.shared(p.literal(0.5.squareRoot())))), p.shared(p.literal(1)))
    return p.mul(p.mul(y, p.shared(p.literal(0.5))), gate)
} rewrite: { m, e throws(Refusal) in try m.activated(.gelu, reads: 2, e) }

private let geluTanh = Rule("gelu-tanh") { p in
    let y = p.value("y")
    let cube = p.mul(p.mul(p.square(y), y), p.shared(p.literal(0.044715)))
    let gate = p.add(p.tanh(p.mul(p.add(y, cube), p.shared(p.literal((2 / Double.pi).squareRoot())))), p.shared(p.literal(1)))
    return p.mul(p.mul(y, p.shared(p.literal(0.5))), gate)
} rewrite: { m, e throws(Refusal) in try m.activated(.geluTanh, reads: 4, e) }
