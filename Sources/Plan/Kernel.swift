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
    /// Activations quantized per row and group to int8, dot products in i32.
    case int8
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
    /// Unsigned int4 with f16 scales and zero points per group of `group` inputs.
    case int4Blocks(group: Int)

    package var description: String {
        switch self {
        case .plain: "f32"
        case .indices: "i32"
        case .f32Panels: "f32 panels"
        case .bf16Panels: "bf16 panels"
        case .int4Blocks(let group): "int4 group \(group)"
        }
    }
}

/// One kernel of the catalog with its fixed parameters.
///
/// Operand order is the order of `Step.inputs`; every activation is f32 and row-major.
package enum Kernel: Sendable, Hashable, Codable {
    /// `y[T,N] = activation(x[T,K] · Wᵗ + bias) + residual`; inputs x, W, then bias and residual when flagged.
    case linear(Linear)
    /// `y = x / √(mean(x²) + eps) · w`; inputs x, w.
    case rmsNorm(eps: Float)
    /// `y = (x − mean) / √(var + eps) · w + b`; inputs x, w, b.
    case layerNorm(eps: Float)
    /// Outputs `sum = x + r` and the norm of it; inputs x, r, w.
    case addRMSNorm(eps: Float)
    /// Outputs `sum = x + r` and the norm of it; inputs x, r, w, b.
    case addLayerNorm(eps: Float)
    /// `cos, sin [T, D/2]` of `positions[axes[i]] · inverse frequency`; inputs positions, inverse frequencies, axes.
    case rotaryTable
    /// Rotates each head of x[T, H, D], half against half; inputs x, cos, sin; the output is x's slot or another.
    case rotary(heads: Int, headDim: Int)
    /// Writes K and V rows to the paged cache of a layer; inputs k[T, KVH, D], v[T, KVH, D], slots.
    case kvWrite(layer: Int)
    /// Causal attention of q[T, H, D] over a layer's paged cache; input q.
    case pagedAttention(PagedAttention)
    /// Attention of each segment's queries to the keys of the segment with the same index; inputs q[P, H, D], k and v[R, KVH, D].
    case segmentAttention(SegmentAttention)
    /// `activation(gate) · up` of x[T, 2·I], gate first; input x.
    case gatedActivation(Activation)
    /// Rows of a packed table; inputs table, ids.
    case embed
    /// Row `index` of b where index ≥ 0, else the row of a; inputs a, b, index.
    case selectRows
    /// Rows of x by index; inputs x, index.
    case gatherRows
    /// u8 to f32; input x.
    case widen
    /// `y = a + b`; inputs a, b.
    case add
    /// Copies; input x. What is left where a reshape cannot alias.
    case copy

    package struct Linear: Sendable, Hashable, Codable {
        package var arithmetic: Arithmetic
        package var layout: WeightLayout
        package var inputs: Int
        package var outputs: Int
        package var activation: Activation
        package var hasBias: Bool
        package var hasResidual: Bool

        package init(
            arithmetic: Arithmetic, layout: WeightLayout, inputs: Int, outputs: Int,
            activation: Activation = .none, hasBias: Bool = false, hasResidual: Bool = false
        ) {
            self.arithmetic = arithmetic
            self.layout = layout
            self.inputs = inputs
            self.outputs = outputs
            self.activation = activation
            self.hasBias = hasBias
            self.hasResidual = hasResidual
        }
    }
}

extension Kernel {
    package struct PagedAttention: Sendable, Hashable, Codable {
        package var layer: Int
        /// Of the queries; a multiple of the cache's.
        package var heads: Int
        package var scale: Float
        /// Scores become `softcap · tanh(score / softcap)`; 0 leaves them.
        package var softcap: Float
        /// A causal one.
        package var mask: Mask

        package init(layer: Int, heads: Int, scale: Float, softcap: Float = 0, mask: Mask = .causal()) {
            self.layer = layer
            self.heads = heads
            self.scale = scale
            self.softcap = softcap
            self.mask = mask
        }
    }

    package struct SegmentAttention: Sendable, Hashable, Codable {
        package var heads: Int
        /// A divisor of `heads`.
        package var kvHeads: Int
        package var headDim: Int
        package var scale: Float
        /// Scores become `softcap · tanh(score / softcap)`; 0 leaves them.
        package var softcap: Float
        /// One of segments.
        package var mask: Mask

        package init(heads: Int, kvHeads: Int, headDim: Int, scale: Float, softcap: Float = 0, mask: Mask) {
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
    /// The catalog name, as inspection prints it: `linear_bf16_f32`, `rms_norm`.
    package var name: String {
        switch self {
        case .linear(let linear): "linear_\(linear.layout.word)_\(linear.arithmetic.rawValue)"
        case .rmsNorm: "rms_norm"
        case .layerNorm: "layer_norm"
        case .addRMSNorm: "add_rms_norm"
        case .addLayerNorm: "add_layer_norm"
        case .rotaryTable: "rotary_table"
        case .rotary: "rotary"
        case .kvWrite: "kv_write"
        case .pagedAttention: "paged_attention"
        case .segmentAttention: "segment_attention"
        case .gatedActivation: "gated_activation"
        case .embed: "embed"
        case .selectRows: "select_rows"
        case .gatherRows: "gather_rows"
        case .widen: "widen_u8"
        case .add: "add"
        case .copy: "copy"
        }
    }
}

extension Kernel {
    /// How many slots a step of this kernel has.
    package var operandCounts: (inputs: Int, outputs: Int) {
        switch self {
        case .linear(let linear): (2 + (linear.hasBias ? 1 : 0) + (linear.hasResidual ? 1 : 0), 1)
        case .rmsNorm: (2, 1)
        case .layerNorm: (3, 1)
        case .addRMSNorm: (3, 2)
        case .addLayerNorm: (4, 2)
        case .rotaryTable: (3, 2)
        case .rotary: (3, 1)
        case .kvWrite: (3, 0)
        case .pagedAttention, .gatedActivation, .widen, .copy: (1, 1)
        case .embed, .gatherRows, .add: (2, 1)
        case .segmentAttention, .selectRows: (3, 1)
        }
    }
}

extension WeightLayout {
    /// The weight's element in kernel names.
    package var word: String {
        switch self {
        case .plain, .f32Panels: "f32"
        case .indices: "i32"
        case .bf16Panels: "bf16"
        case .int4Blocks: "int4"
        }
    }
}
