package import IR
import Tensors

/// Finds RMSNorm spelled out, with a weight (`Qwen2RMSNorm`) or without.
///
///     %3 = rsqrt (add (mean (square %x)), eps)
///     %5 = mul (mul %x, %3), %w                   →      %5 = rms_norm %x, %w {eps = …}
package let fuseRMSNorm = Pass("fuse-rms-norm", .fused) { editor throws(PassError) in
    try editor.apply([rmsNorm])
    try editor.apply([bareNorm])
}

private func scaled(_ p: PatternBuilder) -> PatternValue {
    let x = p.value("x")
    return p.mul(x, p.rsqrt(p.add(p.mean(p.square(x)), p.shared(p.literal(named: "eps")))))
}

private let rmsNorm = Rule("rms-norm") { p in p.mul(scaled(p), p.value("w")) } rewrite: { m, e throws(Refusal) in
    try m.requireRow("w", of: "x")
    try m.requireSameType("x")
    return e.rmsNorm(m["x"], m["w"], eps: try m.eps())
}

/// The weight is one for every element.
private let bareNorm = Rule("bare-rms-norm") { p in scaled(p) } rewrite: { m, e throws(Refusal) in
    try m.requireSameType("x")
    let inner = m.type("x").shape.dims.dropFirst()
    guard let last = inner.last, inner.allSatisfy({ $0.fixedValue != nil }) else { throw Refusal("the rows vary in length", at: m["x"]) }
    return e.rmsNorm(m["x"], e.literal(1, TensorType(.f32, [last])), eps: try m.eps())
}
