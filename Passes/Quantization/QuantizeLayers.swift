package import IR
import Plan
import Tensors

/// Rounds linear layers of the decoder, of what looks at images, or of both to int8, where a compile is asked to.
///
///     %w = weight @w                              →      %w = weight @w
///     %1 = linear %x, %w                                 %s = row_scales %w
///                                                        %c = row_codes %w, %s
///                                                        %1 = quantized_linear_int8 %x, %c, %s, 0
///
/// An output has one scale, and so has a row that is read. The layer that makes the logits stays, and so does one whose rounded weight is further off than the policy allows.
package func quantizeLayers(_ policy: KernelPolicy, error: RoundingError?) -> Pass {
    Pass("quantize-layers", .fused, version: 2) { editor throws(PassError) in
        guard policy.rounds(editor.graph) else { return }
        let head = editor.graph.makesLogits ? editor.graph.head : nil
        for id in editor.graph.nodes.map(\.id) {
            // A layer may read what another one made until it was rounded.
            guard let node = editor.graph[id], let layer = node.op(as: Linear.self), editor.graph.isConstant(node.operands[1]) else { continue }
            let refusal = node.id == head ? "it makes the logits" : policy.refusal(of: editor.type(of: node.operands[1]).shape)
            if let refusal {
                editor.miss("int8", Refusal(refusal, at: node.result), at: node)
                continue
            }
            let share = try error?(editor.graph.recipe([node.operands[1]]))
            let note = share.map { "error \(percent($0)) of its weight" }
            editor.rewrite("int8", at: node, note: note) { () throws(Refusal) in
                if let share, let note, share > policy.roundingErrorMax {
                    throw Refusal("\(note), above \(percent(policy.roundingErrorMax))", at: node.result)
                }
                editor.replace(node.result, with: rounded(node, layer, editor))
                editor.eraseIfDead(node.id)
            }
        }
    }
}

/// How far the weight that a recipe makes is from its int8 form: ‖ŵ − w‖ / ‖w‖.
package typealias RoundingError = @Sendable (_ recipe: Graph) throws(PassError) -> Double

private func rounded(_ node: Node, _ layer: Linear, _ editor: Editor) -> ValueID {
    let weight = node.operands[1]
    let shape = editor.type(of: weight).shape
    let scales = editor.rowScales(weight)
    let zeros = editor.literal(0, TensorType(.i32, [shape[0], 1]))
    return editor.quantizedLinearInt8(
        node.operands[0], editor.rowCodes(weight, scales), scales, zeros, bias: node.operand("bias"), group: shape[1].fixedValue ?? 0,
        activation: layer.activation)
}

/// A share in hundredths of a percent, such as `0.91 %`.
private func percent(_ share: Double) -> String {
    let hundredths = Int((min(share, 1e6) * 10_000).rounded())
    return "\(hundredths / 100).\(hundredths % 100 < 10 ? "0" : "")\(hundredths % 100) %"
}

extension KernelPolicy {
    fileprivate func rounds(_ graph: Graph) -> Bool {
        guard let rounding else { return false }
        return graph.makesLogits ? rounding.roundsDecoder : graph.name == "vision" && rounding.roundsVision
    }

    /// Why no int8 kernel reads all inputs of such a weight as one group; nil where one does.
    fileprivate func refusal(of weight: Shape) -> String? {
        guard let inputs = weight[1].fixedValue, inputs % 16 == 0, inputs <= 1 << 16 else {
            return "the int8 kernels have no groups of \(weight[1]) inputs"
        }
        return nil
    }
}

extension Graph {
    /// The last layer before the first result, which makes the logits.
    fileprivate var head: NodeID? {
        var value = results.first
        while let node = value.flatMap(producer) {
            if node.op is Linear || node.op is any QuantizedLayer { return node.id }
            value = node.operands.first
        }
        return nil
    }
}
