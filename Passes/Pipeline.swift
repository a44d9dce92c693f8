package import IR
import Plan

/// The list of passes, in order; nothing else decides what runs when.
///
/// - Parameters:
///   - error: measures what rounding does to a weight; nil where no weight is read, and then none is too far off.
///   - calibration: what is known of the inputs of layers that are rounded to int4; nil where nothing is.
package func pipeline(
    gears: [Int], policy: KernelPolicy, error: RoundingError? = nil, calibration: CalibratedLayers? = nil
) -> PassPipeline {
    PassPipeline([
        // Patterns below are written without literals that could be one literal.
        foldConstants,
        // A chain of reshapes hides what it joins; patterns expect at most one.
        simplifyMovement,
        // Rotary angles and shared inputs are recognised by being one value.
        eliminateCommonSubexpressions,
        // The verifier promises from here on that everything is read.
        eliminateDeadCode,
        // Before RMS norm, which would take a centered row for its input.
        fuseLayerNorm,
        // Norms early: their squares and sums look like parts of other patterns.
        fuseRMSNorm,
        // Rotations hide the projections behind queries and keys.
        fuseRotary,
        // Before linear layers, so that no product of attention is taken for one.
        fuseAttention,
        // What is left of products with weights.
        fuseLinear,
        // Needs linear layers; before they are joined, so that int4 weights are joined packed.
        fuseDequantize(policy),
        // Before they are joined: queries, keys and values that one layer has in groups become three.
        splitGroups,
        // One read of the input and one large product instead of three.
        fuseQKV,
        // Needs queries and keys side by side in one value.
        mergeRotary,
        // The same for the gated MLP; before activations, so that the gate's is not taken for its layer's own.
        fuseGatedActivation,
        // What gates nothing goes into its layer, int4 ones too.
        fuseActivation,
        // Needs the patch embedding as a linear layer.
        foldImageNormalization,
        // Last of the fusions: it changes which value is a norm's input.
        fuseResidualNorm,
        // Rotations and joined layers are looked for behind each write.
        joinCacheWrites,
        // Needs the layers as they are joined; before gears, so that each weight is looked at once.
        quantizeLayers(policy, error: error, calibration: calibration),
        // From here on a decode graph knows its number of rows.
        bucketDecodeGears(gears),
        // Needs the numbers of rows.
        selectKernels(policy),
        // Needs the kernels, whose layouts the weights take.
        packWeights,
        // Needs the packed head, of whose recipe it makes another weight; before rows are packed, for it as for other layers.
        screenHead(policy),
        // Needs the arithmetic and the packed weights, whose panels the halves are made of.
        gateLayers,
        // Needs the packed weights, whose groups the rows share.
        packActivations,
        // Needs to know which nodes run.
        planMemory,
    ])
}
