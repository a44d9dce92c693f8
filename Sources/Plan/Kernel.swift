package import Tensors

/// What happens to a linear layer's sums before they are stored, and to the gate of a gated activation.
package enum Activation: String, Sendable, Hashable, Codable, CaseIterable {
    case none, quickGelu = "quick_gelu", gelu, geluTanh = "gelu_tanh", silu, relu
}

/// How the products of a linear layer are computed.
package enum Arithmetic: String, Sendable, Hashable, Codable, CaseIterable {
    /// Weights widened to f32, fused multiply-add in f32.
    case f32
    /// As f32; many rows by the machine's BLAS library.
    case blas
    /// Activations rounded to bf16, dot products of bf16 pairs accumulated in f32.
    case bf16
    /// Weights and activations rounded to 16-bit codes by row and 256 inputs, or what attention multiplies by row or by channel and 128 keys,
    /// dot products in i32.
    case int16
    /// Activations quantized per row and group to int8, dot products in i32.
    case int8

    /// Whether rows are packed before they are multiplied.
    package var packsActivations: Bool {
        switch self {
        case .f32, .blas: false
        case .bf16, .int16, .int8: true
        }
    }
}

/// How a packed weight lies in memory; the layouts are those of the C kernels.
package enum WeightLayout: Sendable, Hashable, Codable, CustomStringConvertible {
    /// A plain row-major f32 vector or table: norms, biases, frequencies.
    case plain
    /// Row-major i32, for index tables.
    case indices
    /// f32 panels of output rows.
    case f32Panels
    /// bf16 panels of output rows, pairs of inputs interleaved.
    case bf16Panels
    /// int8 panels of output rows with a scale and a bound of the error for each, of what other panels have as bf16.
    case int8Panels
    /// Unsigned int4 with f16 scales and zero points per group of `group` inputs.
    case int4Blocks(group: Int)
    /// 8-bit codes with f32 scales and zero points per output and group of `group` inputs.
    case int8Blocks(group: Int)
    /// FP8 (e4m3) with an f32 scale per output and group of `group` inputs, the last of which may be smaller.
    case f8Blocks(group: Int)
    /// FP4 (e2m1) with a scale of one byte per output and group of `group` inputs, and an f32 scale per output.
    case f4Blocks(group: Int)

    /// Outputs of a panel or of a block.
    package static let panel = 32

    package var description: String {
        switch self {
        case .plain: "f32"
        case .indices: "i32"
        case .f32Panels: "f32 panels"
        case .bf16Panels: "bf16 panels"
        case .int8Panels: "int8 panels"
        case .int4Blocks(let group): "int4 group \(group)"
        case .int8Blocks(let group): "int8 group \(group)"
        case .f8Blocks(let group): "f8 group \(group)"
        case .f4Blocks(let group): "f4 group \(group)"
        }
    }

    /// Inputs that share a scale; 0 for layouts without scales.
    package var group: Int {
        switch self {
        case .plain, .indices, .f32Panels, .bf16Panels, .int8Panels: 0
        case .int4Blocks(let group), .int8Blocks(let group), .f8Blocks(let group), .f4Blocks(let group): group
        }
    }
}

/// A kernel of the registry with its parameters.
///
/// Operand order is the order of `Step.inputs`, as the kernel's row says.
package enum Kernel: Sendable, Hashable, Codable {
    case packActivations(ActivationLayout)
    case linear(Linear)
    case adapt(Adapt)
    /// A linear layer over bf16 panels whose outputs are scored from int8 panels first.
    case screenedLinear(Linear)
    case rmsNorm(eps: Float)
    case layerNorm(eps: Float)
    case addRMSNorm(eps: Float)
    case addLayerNorm(eps: Float)
    case rotaryTable
    /// Each head is so many parts that turn by themselves.
    case rotary(heads: Int, headDim: Int, parts: Int)
    case kvWrite(layer: Int)
    case pagedAttention(PagedAttention)
    case segmentAttention(SegmentAttention)
    case shortConvolution(ShortConvolution)
    case gatedDelta(GatedDelta)
    case gatedActivation(Activation)
    case embed
    case selectRows
    case gatherRows
    case gatherColumns
    case widen
    case add
    case scale
    case scaleRows
    case copyRows
    case copyColumns(start: Int)
    case joinColumns
    case blendRows
    case plain(PlainKernel)

    package struct Linear: Sendable, Hashable, Codable {
        package var arithmetic: Arithmetic
        package var layout: WeightLayout
        package var inputs: Int
        package var outputs: Int
        package var activation: Activation
        package var hasBias: Bool
        /// Whether the first half of the outputs gates the second.
        package var isGated: Bool

        /// Columns of the result.
        package var width: Int { isGated ? outputs / 2 : outputs }

        package init(
            arithmetic: Arithmetic, layout: WeightLayout, inputs: Int, outputs: Int, activation: Activation = .none, hasBias: Bool = false,
            isGated: Bool = false
        ) {
            self.arithmetic = arithmetic
            self.layout = layout
            self.inputs = inputs
            self.outputs = outputs
            self.activation = activation
            self.hasBias = hasBias
            self.isGated = isGated
        }
    }
}

extension Kernel {
    package struct PagedAttention: Sendable, Hashable, Codable {
        /// Of the products: f32, or bf16 of what was rounded.
        package var arithmetic: Arithmetic
        package var layer: Int
        /// Of the queries; a multiple of the cache's.
        package var heads: Int
        package var scale: Float
        /// Scores become `softcap · tanh(score / softcap)`; 0 leaves them.
        package var softcap: Float
        /// A causal one.
        package var mask: Mask

        package init(arithmetic: Arithmetic = .f32, layer: Int, heads: Int, scale: Float, softcap: Float = 0, mask: Mask = .causal()) {
            self.arithmetic = arithmetic
            self.layer = layer
            self.heads = heads
            self.scale = scale
            self.softcap = softcap
            self.mask = mask
        }
    }

    package struct SegmentAttention: Sendable, Hashable, Codable {
        /// Of the products: f32, or bf16 of what was rounded.
        package var arithmetic: Arithmetic
        package var heads: Int
        /// A divisor of `heads`.
        package var kvHeads: Int
        package var headDim: Int
        package var scale: Float
        /// Scores become `softcap · tanh(score / softcap)`; 0 leaves them.
        package var softcap: Float
        /// One of segments.
        package var mask: Mask

        package init(
            arithmetic: Arithmetic = .f32, heads: Int, kvHeads: Int, headDim: Int, scale: Float, softcap: Float = 0, mask: Mask
        ) {
            self.arithmetic = arithmetic
            self.heads = heads
            self.kvHeads = kvHeads
            self.headDim = headDim
            self.scale = scale
            self.softcap = softcap
            self.mask = mask
        }
    }
}

extension Kernel {
    /// What the registry calls it; nil for a linear layer over a layout that is none of linear layers'.
    package var registered: KernelName? {
        switch self {
        case .packActivations(let layout): .packActivations(layout.element)
        case .linear(let linear): linear.layout.linearWeights.map { .linear($0, linear.arithmetic) }
        case .adapt: .adapt
        case .screenedLinear(let linear): linear.layout == .bf16Panels && !linear.hasBias ? .screenedLinear(linear.arithmetic) : nil
        case .rmsNorm: .rmsNorm
        case .layerNorm: .layerNorm
        case .addRMSNorm: .addRMSNorm
        case .addLayerNorm: .addLayerNorm
        case .rotaryTable: .rotaryTable
        case .rotary: .rotary
        case .kvWrite: .kvWrite
        case .pagedAttention(let attention): .pagedAttention(attention.arithmetic)
        case .segmentAttention(let attention): .segmentAttention(attention.arithmetic)
        case .shortConvolution: .shortConvolution
        case .gatedDelta: .gatedDelta
        case .gatedActivation: .gatedActivation
        case .embed: .embed
        case .selectRows: .selectRows
        case .gatherRows: .gatherRows
        case .gatherColumns: .gatherColumns
        case .widen: .widen
        case .add: .add
        case .scale: .scale
        case .scaleRows: .scaleRows
        case .copyRows: .copyRows
        case .copyColumns: .copyColumns
        case .joinColumns: .joinColumns
        case .blendRows: .blendRows
        case .plain(let plain): .plain(plain.op)
        }
    }

    /// Its row of the registry; nil when it is a combination that no row has.
    package var row: KernelRow? { registered.flatMap { KernelRegistry.row(named: $0.text) } }

    /// As inspection prints it: `linear_bf16_f32`, `rms_norm`.
    package var name: String { registered?.text ?? "unknown" }

    package var isFallback: Bool { registered?.isFallback ?? false }

    /// The rules of a step's inputs, `count` of them where an operand may be repeated; nil when no step has so many.
    package func inputRules(count: Int) -> [OperandRule]? {
        guard let row else { return nil }
        if let repeated = row.operands.first, repeated.isRepeated { return count >= 1 ? Array(repeating: repeated, count: count) : nil }
        let rules = row.operands.filter { !$0.isOptional || hasBias }
        return rules.count == count ? rules : nil
    }

    /// The parameters of a linear layer, screened or not; nil for another kernel.
    package var linear: Linear? {
        switch self {
        case .linear(let linear), .screenedLinear(let linear): linear
        default: nil
        }
    }

    private var hasBias: Bool { linear?.hasBias ?? false }

    /// The layer of the KV cache that it reads or writes; nil for a kernel that does neither.
    package var kvLayer: Int? {
        switch self {
        case .kvWrite(let layer): layer
        case .pagedAttention(let attention): attention.layer
        default: nil
        }
    }

    /// The same of another layer of the KV cache.
    package func onKVLayer(_ layer: Int) -> Kernel {
        switch self {
        case .kvWrite: return .kvWrite(layer: layer)
        case .pagedAttention(var attention):
            attention.layer = layer
            return .pagedAttention(attention)
        default: return self
        }
    }
}

extension WeightLayout {
    /// What linear layers call it; nil for layouts of vectors.
    package var linearWeights: KernelName.LinearWeights? {
        switch self {
        case .plain, .indices, .int8Panels: nil
        case .f32Panels: .f32
        case .bf16Panels: .bf16
        case .int4Blocks: .int4
        case .int8Blocks: .int8
        case .f8Blocks: .f8
        case .f4Blocks: .f4
        }
    }
}
