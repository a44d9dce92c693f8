package import IR

/// Keeps AWQ's int4 weights as they are: one layer instead of unpacking and multiplying.
///
///     %1 = dequantize_awq %qweight, %qzeros, %scales
///     %2 = linear %x, %1, %b                      →      %2 = quantized_linear_awq %x, %qweight, %qzeros, %scales, %b
package let fuseAWQDequant = Pass("fuse-awq-dequant", .fused) { editor throws(PassError) in
    try editor.apply([withBias, withoutBias])
}

private func weight(_ p: PatternBuilder) -> PatternValue {
    p.shared(
        p.some(DequantizeAWQ.self, p.value("qweight"), p.value("qzeros"), p.value("scales"), named: "weight"))
}

private let withoutBias = Rule("int4-layer") { p in
    p.some(Linear.self, p.value("x"), weight(p), named: "y")
} rewrite: { m, e throws(Refusal) in try quantized(m, e, bias: nil) }

private let withBias = Rule("int4-layer-with-bias") { p in
    p.some(Linear.self, p.value("x"), weight(p), p.value("b"), named: "y")
} rewrite: { m, e throws(Refusal) in try quantized(m, e, bias: m["b"]) }

private func quantized(_ m: Match, _ e: Editor, bias: ValueID?) throws(Refusal) -> ValueID {
    try m.require(m.op("y", as: Linear.self).activation == .none, "the layer has an activation", at: "y")
    let group = try m.op("weight", as: DequantizeAWQ.self).group
    return e.quantizedLinearAWQ(m["x"], m["qweight"], m["qzeros"], m["scales"], bias: bias, group: group)
}
