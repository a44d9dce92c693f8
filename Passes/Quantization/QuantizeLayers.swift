package import IR
package import Plan
package import Tensors

/// Rounds linear layers of the decoder, of what looks at images, or of both to int8 or int4, where a compile is asked to.
///
///     %w = weight @w                              →      %w = weight @w
///     %1 = linear %x, %w                                 %s = row_scales %w
///                                                        %c = row_codes %w, %s
///                                                        %1 = quantized_linear_int8 %x, %c, %s, 0
///
/// An output of int8 has one scale, and so has a row that is read. One of int4 has a scale and a zero for each group of inputs:
/// `group_zeros`, `group_scales` and `group_codes` become the words, zeros and scales of `quantized_linear_awq`. The layer that
/// makes the logits stays, and so does one whose rounded weight is further off than the policy allows; one of int4 becomes int8 then, where that is near enough.
///
/// Where a calibration found factors for the channels of what layers read, weights are multiplied by them and what makes the channels is divided first
/// (Lin et al., AWQ, 2023), and shares of the groups' ranges are those that it found.
package func quantizeLayers(_ policy: KernelPolicy, error: RoundingError?, calibration: CalibratedLayers? = nil) -> Pass {
    Pass("quantize-layers", .fused, version: 4) { editor throws(PassError) in
        guard let bits = policy.bits(editor.graph) else { return }
        var rounding = LayersRounding(editor: editor, policy: policy, error: error)
        if bits == 4, let calibration { rounding.scale(calibration) }
        let head = editor.graph.makesLogits ? editor.graph.head : nil
        for id in editor.graph.nodes.map(\.id) {
            // A layer may read what another one made until it was rounded.
            guard let node = editor.graph[id], let layer = node.op(as: Linear.self), editor.graph.isConstant(node.operands[1]) else { continue }
            guard node.id != head else {
                editor.miss("int\(bits)", Refusal("it makes the logits", at: node.result), at: node)
                continue
            }
            try rounding.round(node, layer, bits: bits)
        }
    }
}

/// How far the weight that a recipe makes is from what it is rounded to: ‖ŵ − w‖ / ‖w‖.
package typealias RoundingError = @Sendable (_ recipe: Graph, _ form: LayerRounding.Form) throws(PassError) -> Double

/// The layers of one graph while they are rounded.
private struct LayersRounding {
    let editor: Editor
    let policy: KernelPolicy
    let error: RoundingError?
    /// What a calibration found of layers of this graph, and whether they stay wider with those beside them.
    private var found: [NodeID: (layer: CalibratedLayers.Layer, note: String, isWide: Bool)] = [:]

    init(editor: Editor, policy: KernelPolicy, error: RoundingError?) {
        (self.editor, self.policy, self.error) = (editor, policy, error)
    }

    /// Multiplies weights by the factors of their inputs, and divides what makes these; every weight is what it was before, but for that.
    mutating func scale(_ calibration: CalibratedLayers) {
        for site in scaleSites(editor.graph) {
            guard let group = calibration.groups[site.key], group.layers.count == site.layers.count, let first = editor.graph[site.layers[0].id] else { continue }
            let isWide = group.layers.contains { $0.error > policy.int4ErrorMax }
            for (layer, result) in zip(site.layers, group.layers) { found[layer.id] = (result, "\(group.note), \(result.note)", isWide) }
            guard !isWide, let factors = group.factors, case .success(let producer) = site.producer else { continue }
            editor.rewrite("awq-scale", at: first, note: group.note) { () throws(Refusal) in
                let factors = editor.one(Weight(factors, TensorType(.f32, [editor.graph.channels(of: site.input)])))
                for layer in site.layers { multiply(layer.id, by: factors) }
                divide(producer, by: factors)
            }
        }
    }

    private func multiply(_ id: NodeID, by factors: ValueID) {
        guard let node = editor.graph[id] else { return }
        editor.setOperand(1, of: id, to: editor.mul(widened(node.operands[1]), factors))
    }

    private func divide(_ producer: ScaleSite.Producer, by factors: ValueID) {
        switch producer {
        case .norm(let id, let parameters):
            guard let norm = editor.graph[id] else { return }
            for place in parameters { editor.setOperand(place, of: id, to: editor.div(norm.operands[place], factors)) }
        case .layer(let id, let rows):
            guard let layer = editor.graph[id], let outputs = editor.type(of: layer.operands[1]).shape[0].fixedValue else { return }
            func ones(_ count: Int) -> [ValueID] { count == 0 ? [] : [editor.literal(1, TensorType(.f32, [.fixed(count)]))] }
            let parts = ones(rows.lowerBound) + [factors] + ones(outputs - rows.upperBound)
            let all = parts.count == 1 ? factors : editor.concat(parts, axis: 0)
            editor.setOperand(1, of: id, to: editor.div(widened(layer.operands[1]), editor.reshape(all, [.fixed(outputs), 1])))
            if let bias = layer.operand("bias") { editor.setOperand(2, of: id, to: editor.div(widened(bias), all)) }
        }
    }

    private func widened(_ value: ValueID) -> ValueID { editor.type(of: value).element == .f32 ? value : editor.cast(value, to: .f32) }

    /// Rounds one layer to so many bits, or to more where that takes it too far.
    func round(_ node: Node, _ layer: Linear, bits: Int) throws(PassError) {
        let shape = editor.type(of: node.operands[1]).shape
        guard let form = bits == 8 ? int8(shape) : int4(shape) else {
            return editor.miss("int\(bits)", Refusal("the int\(bits) kernels have no layers of \(shape)", at: node.result), at: node)
        }
        if bits == 4, let result = found[node.id] {
            let note = result.note
            guard result.isWide else {
                let shares = result.layer.shares
                editor.rewrite("awq-int4", at: node, note: note) { () throws(Refusal) in replace(node, layer, form, shares: shares) }
                return
            }
            return try widen(node, layer, "awq-int4", note)
        }
        let share = try error?(editor.graph.recipe([node.operands[1]]), form)
        let note = share.map { "error \(percent($0)) of its weight" }
        let most = bits == 8 ? policy.int8ErrorMax : policy.int4ErrorMax
        if let share, let note, bits == 4, share > most { return try widen(node, layer, "int4", note) }
        editor.rewrite("int\(bits)", at: node, note: note) { () throws(Refusal) in
            if let share, let note, share > most { throw Refusal("\(note), above \(percent(most))", at: node.result) }
            replace(node, layer, form, shares: nil)
        }
    }

    /// A layer that int4 takes too far becomes int8 where that is near enough.
    private func widen(_ node: Node, _ layer: Linear, _ rule: String, _ note: String) throws(PassError) {
        editor.miss(rule, Refusal("\(note), above \(percent(policy.int4ErrorMax))", at: node.result), at: node)
        guard let form = int8(editor.type(of: node.operands[1]).shape) else { return }
        let share = try error?(editor.graph.recipe([node.operands[1]]), form)
        let note = share.map { "error \(percent($0)) of its weight" }
        editor.rewrite("int8-instead", at: node, note: note) { () throws(Refusal) in
            if let share, let note, share > policy.int8ErrorMax { throw Refusal("\(note), above \(percent(policy.int8ErrorMax))", at: node.result) }
            replace(node, layer, form, shares: nil)
        }
    }

    private func replace(_ node: Node, _ layer: Linear, _ form: LayerRounding.Form, shares: String?) {
        editor.replace(node.result, with: rounded(node, layer, form, shares: shares, editor))
        editor.eraseIfDead(node.id)
    }
}

private func rounded(_ node: Node, _ layer: Linear, _ form: LayerRounding.Form, shares: String?, _ editor: Editor) -> ValueID {
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
        let shares = shares.map { editor.one(Weight($0, TensorType(.u8, editor.type(of: zeros).shape))) }
        let scales = editor.groupScales(weight, zeros, shares: shares, group: group)
        let codes = editor.groupCodes(weight, scales, zeros, group: group)
        func lying(_ value: ValueID) -> ValueID { editor.transpose(value, [1, 0]) }
        return editor.quantizedLinearAWQ(
            node.operands[0], editor.int4Words(lying(codes)), editor.cast(lying(zeros), to: .f32), lying(scales), bias: node.operand("bias"), group: group,
            activation: layer.activation)
    }
}

/// A share in hundredths of a percent, such as `0.91 %`.
func percent(_ share: Double) -> String {
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
package func int4(_ weight: Shape) -> LayerRounding.Form? {
    guard let outputs = weight[0].fixedValue, outputs % 8 == 0, let inputs = weight[1].fixedValue else { return nil }
    return [128, 64, 32].first { inputs % $0 == 0 }.map { .int4(group: $0) }
}

extension Graph {
    /// The extent of a value's last axis.
    fileprivate func channels(of value: ValueID) -> Dim { type(of: value).shape[type(of: value).shape.rank - 1] }

    /// The last layer before the first result, which makes the logits.
    var head: NodeID? {
        var value = results.first
        while let node = value.flatMap(producer) {
            if node.op is Linear || node.op is any QuantizedLayer { return node.id }
            value = node.operands.first
        }
        return nil
    }
}
