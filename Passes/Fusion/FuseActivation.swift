package import IR

/// Puts an activation into the linear layer before it.
///
///     %1 = linear %x, %w, %b
///     %2 = mul %1, (sigmoid (mul %1, 1.702))      →      %2 = linear %x, %w, %b {activation = quick_gelu}
package let fuseActivation = Pass("fuse-activation", .fused) { editor throws(PassError) in
    try editor.apply(Activation.functions.map(activated))
}

private func activated(_ activation: Activation) -> Rule {
    Rule(activation.rawValue) { p in p.activated(activation, p.value("y")) } rewrite: { m, e throws(Refusal) in
        guard let node = m.graph.producer(of: m["y"]), let layer = node.op.activated(activation) else {
            throw Refusal("it does not follow a linear layer without an activation", at: m["y"])
        }
        try m.requireSameType("y")
        try m.require(e.useCount(m["y"]) == m.reads("y"), "the sums before the activation are read elsewhere", at: "y")
        return e.write(layer, node.operands)[0]
    }
}

extension Op {
    /// The layer with that activation; nil for another op and for a layer that does more after the sum.
    fileprivate func activated(_ activation: Activation) -> (any Op)? {
        switch self {
        case var layer as Linear where layer.activation == .none:
            layer.activation = activation
            return layer
        case var layer as any QuantizedLayer where layer.activation == .none:
            layer.activation = activation
            return layer
        default: return nil
        }
    }
}
