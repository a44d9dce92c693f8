/// A row of the registry: which kernel computes a node, whose op has the parameters.
package enum KernelName: Sendable, Hashable {
    /// None: the value is its operand seen under another shape.
    case view
    case packActivations(ActivationLayout.Element)
    case linear(LinearWeights, Arithmetic)
    case screenedLinear(Arithmetic)
    case adapt
    case rmsNorm, layerNorm, addRMSNorm, addLayerNorm
    case rotaryTable, rotary
    case kvWrite
    case pagedAttention(Arithmetic), segmentAttention(Arithmetic)
    case shortConvolution, gatedDelta
    case gatedActivation
    case embed, selectRows, gatherRows, gatherColumns
    case widen, add, scale, scaleRows
    case copyRows, copyColumns, joinColumns, blendRows
    /// The fallback for one op of the IR.
    case plain(PlainOp)

    /// The layout of a linear layer's packed weight, whatever its group.
    package enum LinearWeights: String, Sendable, Hashable {
        case f32, bf16, int4, int8, f8, f4

        /// The op of the IR that such a layer is.
        package var op: String {
            switch self {
            case .f32, .bf16: "linear"
            case .int4: "quantized_linear_awq"
            case .int8: "quantized_linear_int8"
            case .f8: "quantized_linear_float8"
            case .f4: "quantized_linear_float4"
            }
        }
    }

    /// As IR text and inspection print it: `linear_bf16_f32`, `rms_norm`, `plain_transpose`.
    package var text: String {
        switch self {
        case .view: "view"
        case .packActivations(let element): "pack_activations_\(element.rawValue)"
        case .linear(let weights, let arithmetic): "linear_\(weights.rawValue)_\(arithmetic.rawValue)"
        case .screenedLinear(let arithmetic): "screened_linear_bf16_\(arithmetic.rawValue)"
        case .adapt: "adapt"
        case .rmsNorm: "rms_norm"
        case .layerNorm: "layer_norm"
        case .addRMSNorm: "add_rms_norm"
        case .addLayerNorm: "add_layer_norm"
        case .rotaryTable: "rotary_table"
        case .rotary: "rotary"
        case .kvWrite: "kv_write"
        case .pagedAttention(let arithmetic): "paged_attention_\(arithmetic.rawValue)"
        case .segmentAttention(let arithmetic): "segment_attention_\(arithmetic.rawValue)"
        case .shortConvolution: "short_convolution"
        case .gatedDelta: "gated_delta"
        case .gatedActivation: "gated_activation"
        case .embed: "embed"
        case .selectRows: "select_rows"
        case .gatherRows: "gather_rows"
        case .gatherColumns: "gather_columns"
        case .widen: "widen_u8"
        case .add: "add"
        case .scale: "scale"
        case .scaleRows: "scale_rows"
        case .copyRows: "copy_rows"
        case .copyColumns: "copy_columns"
        case .joinColumns: "join_columns"
        case .blendRows: "blend_rows"
        case .plain(let op): "plain_\(op.rawValue)"
        }
    }

    /// The row that text calls so; nil when there is none.
    package init?(text: String) {
        guard let row = KernelRegistry.row(named: text) else { return nil }
        self = row.name
    }

    /// Whether it runs anything, but slowly: what a faster kernel would have to replace.
    package var isFallback: Bool { if case .plain = self { true } else { false } }
}
