import IR
import Plan
import Tensors

/// Which kernel computes each node of one graph, and why not a better one.
struct KernelChoice {
    let graph: Graph
    let storage: Storage
    let bounds: [String: Int]
    let policy: KernelPolicy

    /// A kernel, with the reason that each one that would have come first gives.
    struct Outcome {
        var kernel: KernelName
        var reasons: [String]
    }

    /// The first row of the registry that accepts the node; nil kernel names when none does.
    func outcome(for node: Node) throws(PassError) -> Outcome {
        if storage.isView(node) { return Outcome(kernel: .view, reasons: []) }
        if let linear = linearKernel(for: node) {
            if let reason = refusal(of: KernelRegistry.row(linear), at: node) { throw impossible(node, ["\(linear.text): \(reason)"]) }
            return Outcome(kernel: linear, reasons: [])
        }
        var reasons: [String] = []
        for row in KernelRegistry.rows(computing: node.op.mnemonic) {
            guard let reason = refusal(of: row, at: node) else { return Outcome(kernel: row.name, reasons: reasons) }
            reasons.append("\(row.name.text): \(reason)")
        }
        throw impossible(node, reasons)
    }

    private func impossible(_ node: Node, _ reasons: [String]) -> PassError {
        let why = reasons.isEmpty ? "the registry has none for it" : reasons.joined(separator: "; ")
        let origin = node.origin.isEmpty ? "@\(graph.name)" : node.origin
        return PassError("no kernel computes \(node.op.mnemonic) in \(origin): \(why)")
    }

    /// Why a row does not compute a node; nil when it does.
    private func refusal(of row: KernelRow, at node: Node) -> String? {
        if let missing = row.needs.missing(from: policy.features) { return "the target has no \(missing)" }
        for (position, value) in node.operands.enumerated() {
            guard let rule = rule(position, of: node, row.operands), let reason = refusal(of: rule, value) else { continue }
            return reason
        }
        for (rule, value) in zip(row.results, node.results) {
            if let reason = layoutRefusal(of: rule, graph.type(of: value)) { return reason }
        }
        return special(row.name, node)
    }

    /// What a row asks of an operand of the op; nil for one that its kernel does not read.
    func rule(_ position: Int, of node: Node, _ rules: [OperandRule]) -> OperandRule? {
        if let repeated = rules.first, repeated.isRepeated { return repeated }
        let names = node.op.operandNames
        return position < names.count ? rules.first { $0.name == names[position] } : nil
    }

    private func refusal(of rule: OperandRule, _ value: ValueID) -> String? {
        let type = graph.type(of: value)
        let isConstant = storage.constants.contains(value)
        guard graph.mask(of: value) == nil else { return "\(rule.name) is a mask, of which no matrix exists" }
        guard isConstant || !rule.isWeight else { return "\(rule.name) is not a weight" }
        let fits =
            switch rule.elements {
            case .f32: isConstant ? type.element.isFloat : type.element == .f32
            case .i32: type.element == .i32
            case .u8: type.element == .u8 && !isConstant
            case .any: isConstant ? type.element == .f32 || type.element == .i32 : type.element.hasPlainKernel
            case .packed: type.element.isFloat
            case .packedRows: type.element == .f32 && !isConstant
            }
        guard fits else { return "\(rule.name) is \(isConstant ? "a constant " : "")\(type)" }
        return layoutRefusal(of: rule, type)
    }

    private func layoutRefusal(of rule: OperandRule, _ type: TensorType) -> String? {
        guard rule.ranks.contains(type.shape.rank) else { return "\(rule.name) is \(type)" }
        let variesInside = type.shape.dims.dropFirst().contains { $0.symbol != nil }
        let fits = rule.layout == .whole || rule.layout == .strided || !variesInside
        return fits ? nil : "rows of \(rule.name) \(type) vary in size"
    }

    /// What a kernel asks beyond its operands, one by one.
    private func special(_ name: KernelName, _ node: Node) -> String? {
        let types = node.operands.map(graph.type(of:))
        if let op = node.op(as: Attention.self) { return attentionRefusal(name, op, node) }
        switch name {
        case .view, .packActivations, .linear, .adapt, .screenedLinear, .rmsNorm, .layerNorm, .addRMSNorm, .addLayerNorm, .rotaryTable, .gatedActivation,
            .embed, .selectRows, .gatherColumns, .plain, .pagedAttention, .segmentAttention, .copyRows:
            return nil
        case .shortConvolution:
            guard case .columns? = graph.stateRole(of: node.operands[0]) else { return "the state is not a layer's columns" }
            return nil
        case .gatedDelta:
            guard case .recurrent? = graph.stateRole(of: node.operands[0]) else { return "the state is not a layer's recurrent one" }
            return nil
        case .rotary: return types[0].shape.rank == 3 ? nil : "x \(types[0]) has no heads"
        case .kvWrite:
            let roles = node.operands[..<2].map(graph.stateRole(of:))
            guard case .keys(let layer) = roles[0], roles[1] == .values(layer: layer) else { return "the states are not a layer's cache" }
            return nil
        case .gatherRows: return storage.constants.contains(node.operands[0]) ? "x is a weight" : nil
        case .widen: return node.op(as: Cast.self)?.to == .f32 ? nil : "it casts to another type"
        case .add: return types[0] == types[1] ? nil : "a is \(types[0]), b is \(types[1])"
        case .scale:
            let isRow = types[1].shape.dims.allSatisfy { $0 == 1 || $0 == types[0].shape.dims.last }
            return isRow && graph.type(of: node.result) == types[0] ? nil : "a is \(types[0]), b is \(types[1])"
        case .scaleRows:
            let isColumn = types[1].shape.dims == [types[0].shape[0]] + Array(repeating: 1, count: types[0].shape.rank - 1)
            return isColumn ? nil : "a is \(types[0]), b is \(types[1])"
        case .copyColumns: return node.op(as: Slice.self)?.axis == 1 ? nil : "columns are not what is taken"
        case .joinColumns: return node.op(as: Concat.self)?.axis == 1 ? nil : "columns are not what is joined"
        case .blendRows:
            let isBlend = node.op(as: Matmul.self)?.transposeB == false && types[0].shape[1] == 1 && types[0].shape[0] == types[1].shape[0]
            return isBlend ? nil : "a is \(types[0]), b is \(types[1])"
        }
    }
}

extension KernelChoice {
    /// What an attention kernel asks of mask, heads and cache.
    private func attentionRefusal(_ name: KernelName, _ op: Attention, _ node: Node) -> String? {
        guard let mask = graph.mask(of: node.operands[3]) else { return "nothing says what its mask is" }
        let (q, k, v) = (graph.type(of: node.operands[0]).shape, graph.type(of: node.operands[1]).shape, graph.type(of: node.operands[2]).shape)
        guard k[1] == v[1], q[2] == k[2], k[2] == v[2] else { return "heads of q, k and v differ in width" }
        let roles = node.operands[1...2].map(graph.stateRole(of:))
        switch (name, mask) {
        case (.pagedAttention(let arithmetic), .causal):
            guard case .keys(let layer) = roles[0], roles[1] == .values(layer: layer) else { return "k and v are not a layer's cache" }
            // A program that is not exact keeps its cache in bf16, whatever its graph calls f32.
            return refusal(of: arithmetic)
        case (.segmentAttention(let arithmetic), .segments):
            guard roles == [nil, nil] else { return "k and v are in a cache" }
            return refusal(of: arithmetic)
        case (.pagedAttention, .segments): return "the mask is of segments"
        default: return "the mask is \(mask)"
        }
    }

    private func refusal(of arithmetic: Arithmetic) -> String? {
        arithmetic == .f32 || !policy.isExact && policy.arithmetic == arithmetic ? nil : "\(arithmetic) is not the faster arithmetic"
    }
}

extension KernelChoice {
    /// The row of a linear layer: weights as they are kept, arithmetic as measured; nil for another op.
    private func linearKernel(for node: Node) -> KernelName? {
        switch node.op {
        case is Linear:
            if case .linear? = node.kernel { return node.kernel }
            let rows = graph.type(of: node.operands[0]).shape.values(bounds)?.dropLast().reduce(1, *) ?? .max
            return denseKernel(node.operands[1], rows: rows)
        case is QuantizedLinearFloat8: return KernelRegistry.linear(.f8, policy.isExact ? .f32 : policy.floats, on: policy.features)
        case is QuantizedLinearFloat4: return KernelRegistry.linear(.f4, policy.isExact ? .f32 : .int8, on: policy.features)
        case is QuantizedLinearAWQ: return KernelRegistry.linear(.int4, policy.isExact ? .f32 : .int8, on: policy.features)
        case is QuantizedLinearInt8: return KernelRegistry.linear(.int8, policy.isExact ? .f32 : .int8, on: policy.features)
        default: return nil
        }
    }

    /// Weights that are computed when packing stay f32: rounding them would add what the checkpoint does not have.
    private func denseKernel(_ weight: ValueID, rows: Int) -> KernelName {
        let elements = storedElements(of: weight)
        let keepsBits = elements == [.bf16]
        let arithmetic: Arithmetic = policy.arithmetic == .blas && rows < policy.blasRows ? .f32 : policy.arithmetic
        guard let elements, policy.isExact ? keepsBits : !elements.isEmpty else {
            return KernelRegistry.linear(.f32, policy.isExact ? arithmetic : .f32, on: policy.features)
        }
        return KernelRegistry.linear(.bf16, arithmetic, on: policy.features)
    }

    /// The element types of the checkpoint tensors that a weight lines up or unpacks; nil when it computes with them.
    private func storedElements(of value: ValueID) -> Set<DType>? {
        guard let node = graph.producer(of: value) else { return nil }
        switch node.op {
        case let weight as Weight: return [weight.type.element]
        // Small floats times a scale: what the checkpoint has is less than bf16.
        case is Dequantize: return [.u8]
        case is Cast, is Concat, is Reshape, is Slice:
            var joined: Set<DType> = []
            for operand in node.operands {
                guard let elements = storedElements(of: operand) else { return nil }
                joined.formUnion(elements)
            }
            return joined
        default: return nil
        }
    }
}
