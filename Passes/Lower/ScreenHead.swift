package import IR
import Plan
import Tensors

/// Gives the layer that makes the logits its weight as int8 too, from which a step finds the outputs that may be wanted.
///
///     %p = pack %w {layout = bf16_panels}         →      %p = pack %w {layout = bf16_panels}
///     %1 = linear %x, %p  via linear_bf16_bf16           %q = pack %w {layout = int8_panels}
///                                                        %1 = screened_linear %x, %p, %q  via screened_linear_bf16_bf16
///
/// What int16 would compute is f32: few outputs are computed at all.
package func screenHead(_ policy: KernelPolicy) -> Pass {
    Pass("screen-head", .packed, isOptional: true) { editor throws(PassError) in
        let graph = editor.graph
        guard graph.makesLogits, let head = graph.results.first.flatMap(graph.stored), case .linear(let weights, let products)? = head.kernel
        else { return }
        let arithmetic = products == .int16 ? .f32 : products
        var made: ValueID?
        editor.rewrite("int8", at: head) { () throws(Refusal) in
            if let reason = policy.refusal(of: head, weights, arithmetic, in: editor) { throw Refusal(reason, at: head.result) }
            guard let packed = editor.graph.producer(of: head.operands[1]), packed.op is Pack else {
                throw Refusal("the weight is not packed", at: head.operands[1])
            }
            let screened = editor.screenedLinear(head.operands[0], packed.result, editor.pack(packed.operands[0], .int8Panels))
            editor.replace(head.result, with: screened)
            editor.eraseIfDead(head.id)
            made = screened
        }
        guard let id = made.flatMap({ editor.graph.producer(of: $0)?.id }) else { return }
        editor.setKernel(.screenedLinear(arithmetic), of: id)
    }
}

extension KernelPolicy {
    /// Why a head is not screened; nil where it is.
    fileprivate func refusal(
        of head: Node, _ weights: KernelName.LinearWeights, _ arithmetic: Arithmetic, in editor: Editor
    ) -> String? {
        if isExact { return "exact precision computes every logit" }
        guard weights == .bf16, let op = head.op(as: Linear.self) else { return "the head's weight is \(weights.rawValue), not bf16" }
        let shape = editor.type(of: head.operands[1]).shape.fixed ?? [0, 0]
        let bytes = 2 * shape[0] * shape[1]
        if bytes < screenedBytes { return "the head's weight has \(bytes) bytes, less than \(screenedBytes)" }
        if shape[1] > 1 << 16 { return "the head has more than 2^16 inputs" }
        if op.hasBias || op.activation != .none { return "the head has a bias or an activation" }
        if editor.useCount(head.result) > 1 { return "the logits are read elsewhere" }
        return KernelRegistry.row(.screenedLinear(arithmetic)).needs.missing(from: features).map { "the target has no \($0)" }
    }
}

extension Graph {
    /// Whether the result is logits, which a sampler reads.
    var makesLogits: Bool { name == "extend" || name == "decode" || name.hasPrefix("decode.") }

    /// The node that stores a value, before views of it.
    fileprivate func stored(_ value: ValueID) -> Node? {
        guard let node = producer(of: value), node.kernel == .view else { return producer(of: value) }
        return stored(node.operands[0])
    }
}
