package import IR
import Tensors

/// Finds RMSNorm spelled out (`Qwen2RMSNorm`).
///
///     %3 = rsqrt (add (mean (square %x)), eps)
///     %5 = mul (mul %x, %3), %w                   →      %5 = rms_norm %x, %w {eps = …}
package let fuseRMSNorm = Pass("fuse-rms-norm", .fused) { editor throws(PassError) in
    try editor.apply([rmsNorm])
}

private let rmsNorm = Rule("rms-norm") { p in
    let x = p.value("x")
    let scale = p.rsqrt(p.add(p.mean(p.square(x)), p.shared(p.literal(named: "eps"))))
    return p.mul(p.mul(x, scale), p.value("w"))
} rewrite: { m, e throws(Refusal) in
    try m.requireRow("w", of: "x")
    try m.requireSameType("x")
    return e.rmsNorm(m["x"], m["w"], eps: try m.eps())
}
