package import IR
import Plan
import Tensors

/// Has a layer gate its own outputs, so that they are not stored before.
///
///     %1 = linear %x, %w  via linear_int4_int8
///     %2 = gated_activation %1 {activation = silu}  →    %2 = linear %x, %w {activation = silu, gated}  via linear_int4_int8
package let gateLayers = Pass("gate-layers", .packed) { editor throws(PassError) in
    for gate in editor.graph.nodes {
        guard let activation = gate.op(as: GatedActivation.self)?.activation, let layer = editor.graph.producer(of: gate.operands[0]),
            var op = layer.op(as: Linear.self), case .linear(_, let arithmetic)? = layer.kernel
        else { continue }
        var gated: ValueID?
        editor.rewrite(activation.rawValue, at: gate) { () throws(Refusal) in
            if editor.useCount(layer.result) > 1 { throw Refusal("the layer is read elsewhere", at: layer.result) }
            if op.activation != .none { throw Refusal("the layer has an activation of its own", at: layer.result) }
            if arithmetic == .blas { throw Refusal("OpenBLAS stores all outputs", at: layer.result) }
            guard let outputs = editor.type(of: layer.operands[1]).shape.fixed?.first, outputs % (2 * WeightLayout.panel) == 0 else {
                throw Refusal("the halves are no whole panels of \(WeightLayout.panel) outputs", at: layer.result)
            }
            (op.activation, op.isGated) = (activation, true)
            gated = editor.write(op, layer.operands)[0]
            if let gated { editor.replace(gate.result, with: gated) }
            editor.eraseIfDead(gate.id)
            editor.eraseIfDead(layer.id)
        }
        guard let kernel = layer.kernel, let id = gated.flatMap({ editor.graph.producer(of: $0)?.id }) else { continue }
        editor.setKernel(kernel, of: id)
    }
}
