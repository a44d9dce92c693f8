package import IR
package import Plan
import Tensors

/// Rounds linear layers of the decoder, of what looks at images, or of both to int8 or int4, where a compile is asked to.
///
///     %w = weight @w                              →      %w = weight @w
///     %1 = linear %x, %w                                 %s = row_scales %w
///                                                        %c = row_codes %w, %s
///                                                        %1 = quantized_linear_int8 %x, %c, %s, 0
///
/// An output of int8 has one scale, and so has a row that is read. One of int4 has a scale and a zero for each group of inputs:
/// `group_zeros`, `group_scales` and `group_codes` become the words, zeros and scales of `quantized_linear_awq`. The layer that
/// makes the logits stays, and so does one whose rounded weight is further off than the policy allows.
package func quantizeLayers(_ policy: KernelPolicy, error: RoundingError?) -> Pass {
    Pass("quantize-layers", .fused, version: 3) { editor throws(PassError) in
        guard let bits = policy.bits(editor.graph) else { return }
        let head = editor.graph.makesLogits ? editor.graph.head : nil
        for id in editor.graph.nodes.map(\.id) {
            // A layer may read what another one made until it was rounded.
            guard let node = editor.graph[id], let layer = node.op(as: Linear.self), editor.graph.isConstant(node.operands[1]) else { continue }
            let rule = "int\(bits)"
            let form = bits == 8 ? int8(editor.type(of: node.operands[1]).shape) : int4(editor.type(of: node.operands[1]).shape)
            guard node.id != head, let form else {
                let refusal = node.id == head ? "it makes the logits" : "the \(rule) kernels have no layers of \(editor.type(of: node.operands[1]).shape)"
                editor.miss(rule, Refusal(refusal, at: node.result), at: node)
                continue
            }
            let share = try error?(editor.graph.recipe([node.operands[1]]), form)
            let note = share.map { "error \(percent($0)) of its weight" }
            let most = bits == 8 ? policy.int8ErrorMax : policy.int4ErrorMax
            editor.rewrite(rule, at: node, note: note) { () throws(Refusal) in
                if let share, let note, share > most { throw Refusal("\(note), above \(percent(most))", at: node.result) }
                editor.replace(node.result, with: rounded(node, layer, form, editor))
                editor.eraseIfDead(node.id)
            }
        }
    }
}

/// How far the weight that a recipe makes is from what it is rounded to: ‖ŵ − w‖ / ‖w‖.
package typealias RoundingError = @Sendable (_ recipe: Graph, _ form: LayerRounding.Form) throws(PassError) -> Double

private func rounded(_ node: Node, _ layer: Linear, _ form: LayerRounding.Form, _ editor: Editor) -> ValueID {
    let weight = node.operands[1]
    let shape = editor.type(of: weight).shape
    switch form {
    case .int8:
        let scales = editor.rowScales(weight)
        let zeros = editor.literal(0, TensorType(.i32, [shape[0], 1]))
        return editor.quantizedLinearInt8(
            node.operands[0], editor.rowCodes(weight, scales), scales, zeros, bias: node.operand("bias"), group: shape[1].fixedValue ?? 0,
            activation: layer.activation)
    case .int4(let group):
        let zeros = editor.groupZeros(weight, group: group)
        let scales = editor.groupScales(weight, zeros, group: group)
        let codes = editor.groupCodes(weight, scales, zeros, group: group)
        func lying(_ value: ValueID) -> ValueID { editor.transpose(value, [1, 0]) }
        return editor.quantizedLinearAWQ(
            node.operands[0], editor.int4Words(lying(codes)), editor.cast(lying(zeros), to: .f32), lying(scales), bias: node.operand("bias"), group: group,
            activation: layer.activation)
    }
}

/// A share in hundredths of a percent, such as `0.91 %`.
private func percent(_ share: Double) -> String {
    let hundredths = Int((min(share, 1e6) * 10_000).rounded())
    return "\(hundredths / 100).\(hundredths % 100 < 10 ? "0" : "")\(hundredths % 100) %"
}

extension KernelPolicy {
    /// The bits that the graph's layers are rounded to; nil where they stay.
    fileprivate func bits(_ graph: Graph) -> Int? {
        guard let rounding else { return nil }
        if graph.makesLogits { return rounding.decoderBits }
        return graph.name == "vision" && rounding.roundsVision ? 8 : nil
    }
}

/// All inputs of a weight as one group; nil where no kernel reads them so.
private func int8(_ weight: Shape) -> LayerRounding.Form? {
    guard let inputs = weight[1].fixedValue, inputs % 16 == 0, inputs <= 1 << 16 else { return nil }
    return .int8
}

/// The largest groups that divide a weight's inputs; nil where no kernel reads any, or its outputs are not in eights.
private func int4(_ weight: Shape) -> LayerRounding.Form? {
    guard let outputs = weight[0].fixedValue, outputs % 8 == 0, let inputs = weight[1].fixedValue else { return nil }
    return [128, 64, 32].first { inputs % $0 == 0 }.map { .int4(group: $0) }
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
