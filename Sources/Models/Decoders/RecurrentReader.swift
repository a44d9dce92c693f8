import HuggingFace

extension DecoderConfiguration {
    /// The layers of a decoder in which only some attend, by `layer_types`, else by the class's own rule.
    static func mixedLayers(_ config: ConfigSection, _ mixer: LayerMixer, _ count: Int) throws(CheckpointError) -> [DecoderLayer] {
        let word = mixer == .convolution ? "conv" : "linear_attention"
        guard let types = try config.strings("layer_types") else {
            let attends = try attendingLayers(config, mixer, count)
            return (0..<count).map { DecoderLayer(mixer: attends($0) ? .attention : mixer) }
        }
        guard types.count == count else {
            throw config.error("layer_types", "has \(types.count) entries, but num_hidden_layers is \(count)")
        }
        var layers: [DecoderLayer] = []
        for type in types {
            guard type == word || type == "full_attention" else {
                throw config.error("layer_types", "holds \"\(type)\"; the known types are: full_attention, \(word)", .unsupported)
            }
            layers.append(DecoderLayer(mixer: type == word ? mixer : .attention))
        }
        return layers
    }

    private static func attendingLayers(
        _ config: ConfigSection, _ mixer: LayerMixer, _ count: Int
    ) throws(CheckpointError) -> (Int) -> Bool {
        if mixer == .convolution {
            let given = try config.ints("full_attn_idxs").map(Set.init)
            return { given?.contains($0) ?? true }
        }
        let interval = try config.int("full_attention_interval") == nil ? 4 : config.size("full_attention_interval", in: 1...1 << 10)
        return { ($0 + 1) % interval == 0 }
    }

    /// The extents of the layers that do not attend.
    mutating func readStates(_ config: ConfigSection, _ kind: DecoderKind) throws(CheckpointError) {
        switch kind.mixer {
        case .attention: break
        case .convolution:
            convolution = ConvolutionShape(
                taps: try config.size("conv_L_cache", or: 3, in: 2...64), hasBias: try config.bool("conv_bias") ?? false)
            inner = try Self.adjustedInner(config, inner)
        case .deltaNet:
            let shape = DeltaNetShape(
                keyHeads: try config.size("linear_num_key_heads", or: 16, in: 1...1 << 12),
                heads: try config.size("linear_num_value_heads", or: 32, in: 1...1 << 12),
                keyDim: try config.size("linear_key_head_dim", or: 128, in: 1...1 << 12),
                valueDim: try config.size("linear_value_head_dim", or: 128, in: 1...1 << 12),
                taps: try config.size("linear_conv_kernel_dim", or: 4, in: 2...64))
            guard shape.heads % shape.keyHeads == 0 else {
                throw config.error("linear_num_key_heads", "is \(shape.keyHeads), which does not divide linear_num_value_heads \(shape.heads)")
            }
            deltaNet = shape
        }
    }

    /// Two thirds of the width that is given, times a factor, as a multiple (`Lfm2MLP`); what is given where that is not asked for.
    private static func adjustedInner(_ config: ConfigSection, _ standard: Int) throws(CheckpointError) -> Int {
        let given = try config.int("block_ff_dim") == nil ? standard : config.size("block_ff_dim", in: 1...1 << 20)
        guard try config.bool("block_auto_adjust_ff_dim") ?? true else { return given }
        let inner = 2 * given / 3
        guard !config.isNull("block_ffn_dim_multiplier") else { return inner }
        let factor = try config.double("block_ffn_dim_multiplier") == nil ? 1 : config.positive("block_ffn_dim_multiplier")
        let multiple = try config.size("block_multiple_of", or: 256, in: 1...1 << 16)
        guard let scaled = Int(exactly: (factor * Double(inner)).rounded(.towardZero)), (1...1 << 20).contains(scaled) else {
            throw config.error("block_ffn_dim_multiplier", "is \(factor), which cannot be")
        }
        return (scaled + multiple - 1) / multiple * multiple
    }
}
