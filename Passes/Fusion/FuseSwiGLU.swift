package import IR
import Tensors

/// Finds the gated activation over the two halves of a joined layer; `silu` that gates nothing goes into its layer.
///
///     %g = slice %y, first half
///     %u = slice %y, second half
///     %m = mul (mul %g, (sigmoid %g)), %u         →      %m = swiglu %y
package let fuseSwiGLU = Pass("fuse-swiglu", .fused) { editor throws(PassError) in
    try editor.apply([swiglu])
    try editor.apply([silu])
}

private let swiglu = Rule("swiglu") { p in
    let y = p.value("y")
    let gate = p.some(Slice.self, y, named: "gate")
    let up = p.some(Slice.self, y, named: "up")
    return p.mul(p.mul(gate, p.sigmoid(gate)), up)
} rewrite: { m, e throws(Refusal) in
    let axis = m.type("y").shape.rank - 1
    guard axis >= 0, let width = m.type("y").shape[axis].fixedValue, width % 2 == 0 else {
        throw Refusal("the rows have no two halves", at: m["y"])
    }
    let (gate, up) = (try m.op("gate", as: Slice.self), try m.op("up", as: Slice.self))
    try m.require(gate == Slice(axis: axis, start: 0, end: width / 2), "the gate is not the first half", at: "gate")
    try m.require(up == Slice(axis: axis, start: width / 2, end: width), "the way up is not the second half", at: "up")
    return e.swiglu(m["y"])
}

private let silu = Rule("silu") { p in
    let y = p.value("y")
    return p.mul(y, p.sigmoid(y))
} rewrite: { m, e throws(Refusal) in try m.activated(.silu, reads: 2, e) }
