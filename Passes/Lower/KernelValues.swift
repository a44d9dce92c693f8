package import IR
package import Plan
import Tensors

extension Graph {
    /// The kernel of a node with its parameters, which its op and the types of its operands have; nil for views, before kernels are
    /// selected, and for weights that are not packed.
    package func kernel(of node: Node) -> Kernel? {
        switch node.kernel {
        case nil, .view: return nil
        case .packActivations: return node.op(as: PackActivations.self).map { .packActivations($0.layout) }
        case .linear(_, let arithmetic): return linear(node, arithmetic)
        case .screenedLinear(let arithmetic):
            guard let weight = PackedWeight(node.operands[1], in: self) else { return nil }
            return .screenedLinear(
                Kernel.Linear(arithmetic: arithmetic, layout: weight.layout, inputs: weight.shape[1], outputs: weight.shape[0]))
        case .adapt: return adapt(node)
        case .rmsNorm: return node.op(as: RMSNorm.self).map { .rmsNorm(eps: Float($0.eps)) }
        case .layerNorm: return node.op(as: LayerNorm.self).map { .layerNorm(eps: Float($0.eps)) }
        case .addRMSNorm: return node.op(as: AddRMSNorm.self).map { .addRMSNorm(eps: Float($0.eps)) }
        case .addLayerNorm: return node.op(as: AddLayerNorm.self).map { .addLayerNorm(eps: Float($0.eps)) }
        case .rotaryTable: return .rotaryTable
        case .rotary:
            guard let op = node.op(as: Rotary.self), let heads = heads(of: node.operands[0]) else { return nil }
            return .rotary(heads: heads.count, headDim: heads.width, parts: op.parts)
        case .kvWrite: return stateRole(of: node.operands[0]).map { .kvWrite(layer: $0.layer) }
        case .pagedAttention, .segmentAttention: return attention(node)
        case .shortConvolution:
            guard let role = stateRole(of: node.operands[0]), let extents = type(of: node.operands[2]).shape.fixed else { return nil }
            return .shortConvolution(Kernel.ShortConvolution(layer: role.layer, channels: extents[0], taps: extents[1]))
        case .gatedDelta:
            guard let role = stateRole(of: node.operands[0]), let key = heads(of: node.operands[1]), let value = heads(of: node.operands[3]) else {
                return nil
            }
            return .gatedDelta(
                Kernel.GatedDelta(layer: role.layer, keyHeads: key.count, heads: value.count, keyDim: key.width, valueDim: value.width))
        case .gatedActivation:
            return node.op(as: GatedActivation.self).flatMap { Plan.Activation($0.activation) }.map(Kernel.gatedActivation)
        case .embed: return .embed
        case .selectRows: return .selectRows
        case .gatherRows: return .gatherRows
        case .gatherColumns: return .gatherColumns
        case .widen: return .widen
        case .add: return .add
        case .scale: return .scale
        case .scaleRows: return .scaleRows
        case .copyRows: return .copyRows
        case .copyColumns: return node.op(as: Slice.self).map { .copyColumns(start: $0.start) }
        case .joinColumns: return .joinColumns
        case .blendRows: return .blendRows
        case .plain(let op): return plain(op, node).map(Kernel.plain)
        }
    }

    private func attention(_ node: Node) -> Kernel? {
        guard let op = node.op(as: Attention.self), let query = heads(of: node.operands[0]), let mask = mask(of: node.operands[3]) else { return nil }
        switch node.kernel {
        case .pagedAttention(let arithmetic):
            guard let role = stateRole(of: node.operands[1]) else { return nil }
            return .pagedAttention(
                Kernel.PagedAttention(
                    arithmetic: arithmetic, layer: role.layer, heads: query.count, scale: Float(op.scale), softcap: Float(op.softcap), mask: mask))
        case .segmentAttention(let arithmetic):
            guard let key = heads(of: node.operands[1]) else { return nil }
            return .segmentAttention(
                Kernel.SegmentAttention(
                    arithmetic: arithmetic, heads: query.count, kvHeads: key.count, headDim: query.width, scale: Float(op.scale),
                    softcap: Float(op.softcap), mask: mask))
        default: return nil
        }
    }

    private func adapt(_ node: Node) -> Kernel? {
        guard let op = node.op(as: Adapt.self), let inputs = type(of: node.operands[1]).shape[1].fixedValue else { return nil }
        return .adapt(Kernel.Adapt(inputs: inputs, layers: zip(op.layers, op.widths).map { Kernel.Adapt.Layer(name: $0, outputs: $1) }))
    }

    private func linear(_ node: Node, _ arithmetic: Arithmetic) -> Kernel? {
        guard let op = node.op(as: Linear.self), let weight = PackedWeight(node.operands[1], in: self),
            let activation = Plan.Activation(op.activation)
        else { return nil }
        return .linear(
            Kernel.Linear(
                arithmetic: arithmetic, layout: weight.layout, inputs: weight.shape[1], outputs: weight.shape[0], activation: activation,
                hasBias: op.hasBias, isGated: op.isGated))
    }

    private func heads(of value: ValueID) -> (count: Int, width: Int)? {
        let dims = type(of: value).shape.dims
        guard dims.count == 3, let count = dims[1].fixedValue, let width = dims[2].fixedValue else { return nil }
        return (count, width)
    }

    private func plain(_ name: PlainOp, _ node: Node) -> PlainKernel? {
        switch node.op {
        case let op as Transpose: .transpose(op.perm)
        case let op as Slice: .slice(axis: op.axis, start: op.start)
        case let op as Concat: .concat(axis: op.axis)
        case is Expand: .expand
        case let op as Repeat: .repeats(axis: op.axis, count: op.count)
        case let op as TopK: .along(.topK, axis: op.axis)
        case let op as Matmul: .matmul(transposesB: op.transposeB)
        case is Gather: .gather
        case is SelectRows: .selectRows
        case let op as any AxisOp: name.family == .along ? .along(name, axis: op.axis) : nil
        default: name.family == .map ? .map(name) : name == .copy || name == .reshape ? .copy(name) : nil
        }
    }
}

extension Plan.Activation {
    fileprivate init?(_ activation: IR.Activation) { self.init(rawValue: activation.rawValue) }
}

/// What a `pack` node says of its weight.
package struct PackedWeight {
    /// The values that its recipe computes.
    package let values: [ValueID]
    package let layout: WeightLayout
    package let shape: [Int]

    /// Nil for a value that no such node makes.
    package init?(_ value: ValueID, in graph: Graph) {
        guard let node = graph.producer(of: value), let shape = graph.type(of: value).shape.fixed else { return nil }
        switch node.op {
        case let pack as Pack: layout = WeightLayout(pack.layout)
        case let pack as PackAWQ: layout = .int4Blocks(group: pack.group)
        case let pack as PackInt8: layout = .int8Blocks(group: pack.group)
        case let pack as PackFloat8: layout = .f8Blocks(group: pack.group)
        case let pack as PackFloat4: layout = .f4Blocks(group: pack.group)
        default: return nil
        }
        values = node.operands
        self.shape = shape
    }
}

extension WeightLayout {
    fileprivate init(_ layout: PackedLayout) {
        switch layout {
        case .plain: self = .plain
        case .indices: self = .indices
        case .f32Panels: self = .f32Panels
        case .bf16Panels: self = .bf16Panels
        case .int8Panels: self = .int8Panels
        }
    }
}
