package import IR
import Tensors

/// Finds LayerNorm spelled out (`torch.nn.LayerNorm`).
///
///     %1 = sub %x, (mean %x)
///     %4 = rsqrt (add (mean (square %1)), eps)
///     %7 = add (mul (mul %1, %4), %w), %b         →      %7 = layer_norm %x, %w, %b {eps = …}
package let fuseLayerNorm = Pass("fuse-layer-norm", .fused) { editor throws(PassError) in
    try editor.apply([layerNorm])
}

private let layerNorm = Rule("layer-norm") { p in
    let x = p.value("x")
    let centered = p.sub(x, p.mean(x))
    let scale = p.rsqrt(p.add(p.mean(p.square(centered)), p.shared(p.literal(named: "eps"))))
    return p.add(p.mul(p.mul(centered, scale), p.value("w")), p.value("b"))
} rewrite: { m, e throws(Refusal) in
    try m.requireRow("w", of: "x")
    try m.requireRow("b", of: "x")
    try m.requireSameType("x")
    return e.layerNorm(m["x"], m["w"], m["b"], eps: try m.eps())
}
