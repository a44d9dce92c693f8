extension KernelRegistry {
    /// The kernels of whole layers, and of what stands between them.
    static let layers: [KernelRow] = [
        KernelRow(
            .adapt, "adapt", "`y + B · A · x` by row and layer, `A` and `B` those of the row's adapter; `y` may be the result.",
            [OperandRule("y", rank: 2...2), OperandRule("x", rank: 2...2), OperandRule("adapters", .i32, .dense, rank: 1...1)],
            [OperandRule("y", rank: 2...2)], cost: .movement),
        KernelRow(
            .rmsNorm, "rms_norm", "`y = x / √(mean(x²) + eps) · w` over the last axis.", [OperandRule("x", rank: 2...8), .vector("w")],
            cost: .perElement(5)),
        KernelRow(
            .layerNorm, "layer_norm", "`y = (x − mean) / √(var + eps) · w + b` over the last axis.",
            [OperandRule("x", rank: 2...8), .vector("w"), .vector("b")], cost: .perElement(8)),
        KernelRow(
            .addRMSNorm, "add_rms_norm", "`sum = x + residual` and its RMS norm.", [OperandRule("x", rank: 2...8), OperandRule("residual"), .vector("w")],
            [OperandRule("sum"), OperandRule("y")], cost: .perElement(5)),
        KernelRow(
            .addLayerNorm, "add_layer_norm", "`sum = x + residual` and its layer norm.",
            [OperandRule("x", rank: 2...8), OperandRule("residual"), .vector("w"), .vector("b")], [OperandRule("sum"), OperandRule("y")],
            cost: .perElement(8)),
        KernelRow(
            .rotaryTable, "rotary_table", "Cosine and sine of `positions[axes[i]] · inv_freq[i]`, summed over sets.",
            [
                OperandRule("positions", .i32, .whole, rank: 2...2), OperandRule("inv_freq", .f32, .dense, rank: 1...1),
                OperandRule("axes", .i32, .dense, rank: 1...1, isWeight: true),
            ], [OperandRule("cos", .f32, .dense, rank: 2...2), OperandRule("sin", .f32, .dense, rank: 2...2)], cost: .perElement(4)),
        KernelRow(
            .rotary, "rotary", "Rotates each head of `x[T, H, D]`, half against half; `y` may be `x`.",
            [OperandRule("x", rank: 2...3), OperandRule("cos", .f32, .dense, rank: 2...2), OperandRule("sin", .f32, .dense, rank: 2...2)],
            [OperandRule("y", rank: 2...3)], cost: .perElement(4)),
        KernelRow(
            .kvWrite, "kv_store", "Stores rows of keys and values in a layer's paged cache; slot −1 stores nothing.",
            [OperandRule("k"), OperandRule("v"), OperandRule("slots", .i32, .dense, rank: 1...1)], [], cost: .movement),
        pagedRow(.bf16, needs: [.avx512f, .avx512bf16]), pagedRow(.f32),
        segmentRow(.bf16, needs: [.avx512f, .avx512bf16]), segmentRow(.int16, needs: FeatureNeeds(anyOf: [.avx2])), segmentRow(.f32),
        KernelRow(
            .gatedActivation, "gated_activation", "`activation(gate) · up` of rows `[gate, up]`.", [OperandRule("x", rank: 2...8)], cost: .perElement(4)),
        KernelRow(
            .embed, "gather", "Rows of a packed table.",
            [OperandRule("x", .packed, rank: 2...2, isWeight: true), OperandRule("index", .i32, .dense)], cost: .movement),
        KernelRow(
            .gatherRows, "gather", "Rows of `x` by number.", [OperandRule("x"), OperandRule("index", .i32, .dense, rank: 1...1)],
            cost: .movement),
        KernelRow(
            .gatherColumns, "gather_columns", "Columns of `x` by number.",
            [OperandRule("x", rank: 2...2), OperandRule("index", .i32, .dense, rank: 1...1, isWeight: true)], [OperandRule("y", rank: 2...2)],
            cost: .movement),
        KernelRow(
            .selectRows, "select_rows", "Row `index` of `b` where `index ≥ 0`, else the row of `a`.",
            [OperandRule("a"), OperandRule("b"), OperandRule("index", .i32, .dense, rank: 1...1)], cost: .movement),
        KernelRow(
            .widen, "cast", "u8 to f32.", [OperandRule("x", .u8, .dense)], [OperandRule("y", .f32, .dense)], cost: .movement),
        KernelRow(
            .add, "add", "`y = a + b` of one shape.", [OperandRule("a", .f32, .dense, rank: 0...8), OperandRule("b", .f32, .dense, rank: 0...8)],
            [OperandRule("y", .f32, .dense, rank: 0...8)], cost: .perElement(1)),
        KernelRow(
            .scale, "mul", "`y = a · b` with a weight `b` of one number, or of one for each element of a row.",
            [OperandRule("a", .f32, .dense), OperandRule("b", .f32, .dense, rank: 0...1, isWeight: true)], [OperandRule("y", .f32, .dense)],
            cost: .perElement(1)),
        KernelRow(
            .scaleRows, "mul", "`y = a · b` with a number of `b` for each row.",
            [OperandRule("a", rank: 2...8), OperandRule("b", .f32, .dense, rank: 2...8)], [OperandRule("y", rank: 2...8)], cost: .perElement(1)),
        KernelRow(
            .copyRows, "reshape", "Rows that lie apart, one right after the other.", [OperandRule("x")], [OperandRule("y", .f32, .dense)],
            cost: .movement),
        KernelRow(
            .copyColumns, "slice", "Some columns of each row.", [OperandRule("x", rank: 2...2)], [OperandRule("y", rank: 2...2)], cost: .movement),
        KernelRow(
            .joinColumns, "concat", "Rows of several matrices beside each other.", [OperandRule("xs", rank: 2...2, isRepeated: true)],
            [OperandRule("y", rank: 2...2)], cost: .movement),
        KernelRow(
            .blendRows, "matmul", "`y[r] = Σ_j a[r, 0, j] · b[r, j]`: rows of `b`, weighted.",
            [OperandRule("a", .f32, .dense, rank: 3...3), OperandRule("b", .f32, .dense, rank: 3...3)],
            [OperandRule("y", .f32, .dense, rank: 3...3)], cost: .product),
    ]

    private static func pagedRow(_ arithmetic: Arithmetic, needs: FeatureNeeds = []) -> KernelRow {
        KernelRow(
            .pagedAttention(arithmetic), "attention", "Causal attention over a layer's paged cache, products \(arithmetic.rawValue).",
            [OperandRule("q", rank: 3...3)], needs: needs, cost: .attention(readsCache: true))
    }

    private static func segmentRow(_ arithmetic: Arithmetic, needs: FeatureNeeds = []) -> KernelRow {
        KernelRow(
            .segmentAttention(arithmetic), "attention",
            "Attention of each segment's queries to the keys of the segment with the same number, products \(arithmetic.rawValue).",
            [OperandRule("q", rank: 3...3), OperandRule("k", rank: 3...3), OperandRule("v", rank: 3...3)], needs: needs,
            cost: .attention(readsCache: false))
    }
}

extension KernelRegistry {
    /// The kernels that keep a state of each sequence.
    static let recurrences: [KernelRow] = [
        KernelRow(
            .shortConvolution, "short_convolution", "A causal convolution along each sequence, channel by channel.",
            [OperandRule("x", rank: 2...2), OperandRule("w", .f32, .dense, rank: 2...2, isWeight: true)] + places, cost: .perElement(8)),
        KernelRow(
            .gatedDelta, "gated_delta", "The gated delta rule along each sequence, head by head.",
            ["q", "k", "v"].map { OperandRule($0, rank: 3...3) } + ["decay", "gain"].map { OperandRule($0, rank: 2...2) } + places,
            [OperandRule("y", rank: 3...3)], cost: .recurrence(7)),
    ]

    private static let places = ["slots", "ordinals"].map { OperandRule($0, .i32, .dense, rank: 1...1) }
}

extension KernelRow {
    /// The fallback for an op.
    init(_ op: PlainOp) {
        let operands = op.operandNames.map { OperandRule($0, .any, .strided, rank: 0...8, isRepeated: op == .concat) }
        let results = op == .topK ? ["values", "indices"] : ["y"]
        let cost: KernelCost =
            switch op.family {
            case .map: .perElement(1)
            case .movement, .pick: .movement
            case .along: .perElement(4)
            case .product: .product
            }
        self.init(
            .plain(op), op.rawValue, "The op `\(op.rawValue)` over any rank and strides.", operands,
            results.map { OperandRule($0, .any, .whole, rank: 0...8) }, cost: cost)
    }
}
