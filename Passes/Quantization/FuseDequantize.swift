package import IR
import Tensors

/// Keeps weights as the numbers of few bits that they are, whatever their layout: one layer instead of unpacking and multiplying.
///
///     %1 = dequantize_awq %qweight, %qzeros, %scales
///     %2 = linear %x, %1, %b                      →      %2 = quantized_linear_awq %x, %qweight, %qzeros, %scales, %b
///
/// Codes of four bits in other layouts become AWQ's words, and inputs are gathered in the order of their groups. Codes of eight bits and
/// small floats stay as they are, with a scale for each output and group of inputs: all inputs where a checkpoint rounds them by token.
package func fuseDequantize(_ policy: KernelPolicy) -> Pass {
    Pass("fuse-dequantize", .fused, version: 2) { editor throws(PassError) in
        try editor.apply([withBias, withoutBias])
        var fusion = CodeFusion(editor: editor, policy: policy)
        for node in editor.graph.nodes { fusion.fuse(node) }
        editor.eraseDead()
    }
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

/// Writes layers over codes of one graph, and what several of them read once.
private struct CodeFusion {
    private struct Lined: Hashable {
        let input: ValueID
        let order: ValueID
    }

    /// A weight of codes in groups, as the int4 kernels could have it.
    private struct Codes {
        let weight: Node
        let bits: Int
        let isSigned: Bool
        /// Inputs of a group of the kernels, and how many such groups share a scale.
        let group, repeats: Int
        let outputs: Int
        let groups: Int
    }

    private let editor: Editor
    private let policy: KernelPolicy
    private var lined: [Lined: ValueID] = [:]

    init(editor: Editor, policy: KernelPolicy) { (self.editor, self.policy) = (editor, policy) }

    mutating func fuse(_ node: Node) {
        guard let layer = node.op(as: Linear.self), let weight = editor.graph.producer(of: node.operands[1]), weight.op is Dequantize else {
            return
        }
        if let unpack = smallFloats(weight) {
            editor.rewrite("floats", at: node) { () throws(Refusal) in
                let made = try unpack.op.element == .e2m1 ? float4(node, layer, weight, unpack.bytes) : float8(node, layer, weight, unpack)
                editor.replace(node.result, with: made)
                editor.eraseIfDead(node.id)
            }
            return
        }
        editor.rewrite("codes", at: node) { () throws(Refusal) in
            let codes = try codes(of: weight, rounded: unrounded(node.operands[0]) != node.operands[0])
            var input = codes.isSigned && !policy.isExact ? unrounded(node.operands[0]) : node.operands[0]
            var numbers = transposed(weight.operands[0])
            if let order = weight.operand("order") {
                let sorted = editor.groupOrder(order, group: codes.group * codes.repeats)
                input = try gathered(input, order, sorted)
                numbers = editor.gather(numbers, sorted)
            }
            let made = codes.bits == 8
                ? int8Layer(node, layer, input, numbers, codes) : int4Layer(node, layer, input, numbers, codes)
            editor.replace(node.result, with: made)
            editor.eraseIfDead(node.id)
        }
    }

    /// The bytes that a weight's codes are unpacked from; nil for integers.
    private func smallFloats(_ weight: Node) -> (op: Unpack, bytes: ValueID)? {
        let node = editor.graph.producer(of: weight.operands[0])
        guard let node, let op = node.op(as: Unpack.self), !op.element.isInteger else { return nil }
        return (op, node.operands[0])
    }

    /// A layer over e4m3, whose scales become `[outputs, groups]`.
    private func float8(_ node: Node, _ layer: Linear, _ weight: Node, _ unpack: (op: Unpack, bytes: ValueID)) throws(Refusal) -> ValueID {
        let shape = editor.type(of: weight.result).shape
        guard let op = weight.op(as: Dequantize.self), !op.hasZeros, !op.hasOrder, unpack.op.axis == 1, unpack.op.element == .f8e4m3,
            let outputs = shape[0].fixedValue, let inputs = shape[1].fixedValue
        else { throw written(weight) }
        let span = op.columns >= inputs ? inputs : op.columns
        // One scale for all inputs, or as many as there are: what is left may be a smaller group.
        guard let group = [128, 64, 32, 16].first(where: { span == inputs || span % $0 == 0 }) else {
            throw Refusal("the kernels have no groups of \(span) inputs", at: weight.result)
        }
        let groups = (inputs + group - 1) / group
        let repeats = span == inputs ? groups : span / group
        var scales = weight.operands[1]
        if op.rows > 1 { scales = fitted(editor.repeat(scales, axis: 0, count: op.rows), axis: 0, outputs) }
        if repeats > 1 { scales = fitted(editor.repeat(scales, axis: 1, count: repeats), axis: 1, groups) }
        return editor.quantizedLinearFloat8(
            node.operands[0], unpack.bytes, scales, bias: node.operand("bias"), group: group, activation: layer.activation)
    }

    /// A layer over e2m1, whose scales are bytes of the checkpoint: e8m0 for 32 inputs, or e4m3 for 16 divided by one number.
    private func float4(_ node: Node, _ layer: Linear, _ weight: Node, _ codes: ValueID) throws(Refusal) -> ValueID {
        let shape = editor.type(of: weight.result).shape
        guard let op = weight.op(as: Dequantize.self), !op.hasZeros, !op.hasOrder, op.rows == 1, let outputs = shape[0].fixedValue,
            let inputs = shape[1].fixedValue, editor.graph.producer(of: weight.operands[0])?.op(as: Unpack.self)?.axis == 1
        else { throw written(weight) }
        guard [16, 32].contains(op.columns), inputs % op.columns == 0 else {
            throw Refusal("the kernels have no groups of \(op.columns) inputs", at: weight.result)
        }
        var (scales, divisor): (ValueID, ValueID?) = (weight.operands[1], nil)
        if let quotient = editor.graph.producer(of: scales), quotient.op is Div { (scales, divisor) = (quotient.operands[0], quotient.operands[1]) }
        let unpack = editor.graph.producer(of: scales)
        guard let unpack, unpack.op(as: Unpack.self) == Unpack(PackFloat4(group: op.columns).scaleElement, axis: 1) else {
            throw Refusal("scales of \(op.columns) inputs are no bytes that the kernels read", at: weight.operands[1])
        }
        let one = editor.literal(1, TensorType(.f32, [.fixed(outputs)]))
        if let divisor, editor.type(of: divisor) != TensorType(.f32, [1]) { throw Refusal("it is not one number that scales are divided by", at: divisor) }
        let outputScales = divisor.map { editor.div(one, $0) } ?? one
        return editor.quantizedLinearFloat4(
            node.operands[0], codes, unpack.operands[0], outputScales: outputScales, bias: node.operand("bias"), group: op.columns,
            activation: layer.activation)
    }

    private func written(_ weight: Node) -> Refusal {
        Refusal("no kernel reads such weights packed: they are written out as \(policy.isExact ? "f32" : "bf16")", at: weight.operands[0])
    }

    private func fitted(_ value: ValueID, axis: Int, _ extent: Int) -> ValueID {
        editor.type(of: value).shape[axis] == .fixed(extent) ? value : editor.slice(value, axis: axis, 0..<extent)
    }

    /// - Parameter rounded: whether the checkpoint rounds the layer's inputs, a token with one scale.
    private func codes(of weight: Node, rounded: Bool) throws(Refusal) -> Codes {
        let stored = weight.operands[0]
        guard let op = weight.op(as: Dequantize.self), op.rows == 1, let kind = kind(of: stored) else {
            throw written(weight)
        }
        let shape = editor.type(of: weight.result).shape
        guard let outputs = shape[0].fixedValue, let inputs = shape[1].fixedValue, kind.bits == 8 || outputs % 8 == 0 else {
            throw Refusal("the outputs are not in eights", at: weight.result)
        }
        let span = min(op.columns, inputs)
        if kind.bits == 8 {
            guard let group = int8Group(span, of: inputs, rounded: rounded) else {
                throw Refusal("the int8 kernels have no groups of \(span) of \(inputs) inputs", at: weight.result)
            }
            return Codes(
                weight: weight, bits: 8, isSigned: kind.isSigned, group: group, repeats: span / group, outputs: outputs, groups: inputs / span)
        }
        guard inputs % span == 0, let group = [128, 64, 32].first(where: { span % $0 == 0 }) else {
            throw Refusal("the int4 kernels have no groups of \(span) inputs", at: weight.result)
        }
        if policy.isExact, editor.type(of: weight.operands[1]).element == .f32 {
            throw Refusal("its scales are f32, which the f16 of int4 blocks does not hold exactly", at: weight.operands[1])
        }
        return Codes(
            weight: weight, bits: kind.bits, isSigned: kind.isSigned, group: group, repeats: span / group, outputs: outputs, groups: inputs / span)
    }

    /// Of how many bits codes are; nil for small floats.
    private func kind(of value: ValueID) -> (bits: Int, isSigned: Bool)? {
        if editor.type(of: value).element == .i8 { return (8, true) }
        guard let node = editor.graph.producer(of: value) else { return nil }
        if let op = node.op(as: Unpack.self) { return op.element == .u4 ? (4, false) : op.element == .u8 ? (8, false) : nil }
        return node.op is Transpose ? kind(of: node.operands[0]) : nil
    }

    /// Inputs of a group of the int8 kernels where `span` share a scale; nil where there is none.
    private func int8Group(_ span: Int, of inputs: Int, rounded: Bool) -> Int? {
        guard inputs <= 1 << 16, inputs % span == 0 else { return nil }
        let mayBeWhole = span == inputs && inputs % 16 == 0
        if rounded && mayBeWhole { return inputs }
        return [128, 64, 32].first { span % $0 == 0 } ?? (mayBeWhole ? inputs : nil)
    }

    /// A layer over codes of eight bits, with scales and zeros for each group.
    private func int8Layer(_ node: Node, _ layer: Linear, _ input: ValueID, _ numbers: ValueID, _ codes: Codes) -> ValueID {
        func grouped(_ value: ValueID) -> ValueID { codes.repeats == 1 ? value : editor.repeat(value, axis: 1, count: codes.repeats) }
        let type = TensorType(.i32, [.fixed(codes.outputs), .fixed(codes.groups)])
        let zeros = codes.weight.operand("zeros") ?? editor.literal(0, type)
        return editor.quantizedLinearInt8(
            input, transposed(numbers), grouped(codes.weight.operands[1]), grouped(zeros), bias: node.operand("bias"), group: codes.group,
            activation: layer.activation)
    }

    /// A layer over codes of four bits as the words, zeros and scales that it reads.
    private func int4Layer(_ node: Node, _ layer: Linear, _ input: ValueID, _ numbers: ValueID, _ codes: Codes) -> ValueID {
        let type = TensorType(.i32, [.fixed(codes.groups), .fixed(codes.outputs)])
        let zeros = codes.weight.operand("zeros").map(transposed)
        let scales = transposed(codes.weight.operands[1])
        let words = editor.int4Words(numbers)
        return editor.quantizedLinearAWQ(
            input, words, repeated(editor.cast(zeros ?? editor.literal(0, type), to: .f32), codes), repeated(scales, codes),
            bias: node.operand("bias"), group: codes.group, activation: layer.activation)
    }

    private func repeated(_ value: ValueID, _ codes: Codes) -> ValueID {
        codes.repeats == 1 ? value : editor.repeat(value, axis: 0, count: codes.repeats)
    }

    private func transposed(_ value: ValueID) -> ValueID {
        if let node = editor.graph.producer(of: value), node.op(as: Transpose.self)?.perm == [1, 0] { return node.operands[0] }
        return editor.transpose(value, [1, 0])
    }

    private mutating func gathered(_ input: ValueID, _ order: ValueID, _ sorted: ValueID) throws(Refusal) -> ValueID {
        guard editor.type(of: input).shape.rank == 2 else { throw Refusal("the input is no matrix whose columns could be gathered", at: input) }
        let key = Lined(input: input, order: order)
        if let known = lined[key] { return known }
        let made = editor.gatherColumns(input, sorted)
        lined[key] = made
        return made
    }

    /// What a value was before it was divided by a scale, rounded and multiplied by that scale again; kernels round rows themselves.
    private func unrounded(_ value: ValueID) -> ValueID {
        guard let product = editor.graph.producer(of: value), product.op is Mul else { return value }
        var current = product.operands[0]
        for _ in 0..<8 {
            guard let node = editor.graph.producer(of: current), !node.operands.isEmpty else { return value }
            if node.op is Div { return node.operands[1] == product.operands[1] ? node.operands[0] : value }
            current = node.operands[0]
        }
        return value
    }
}
