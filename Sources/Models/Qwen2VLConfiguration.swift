import HuggingFace

extension Qwen2VL.Vision {
    init(_ config: ConfigSection, textWidth: Int) throws(CheckpointError) {
        width = try config.size("embed_dim", in: 1...1 << 16)
        blocks = try config.size("depth", in: 1...1024)
        let ratio = try config.positive("mlp_ratio")
        guard let inner = Int(exactly: (Double(width) * ratio).rounded(.towardZero)), (1...1 << 20).contains(inner) else {
            throw config.error("mlp_ratio", "is \(ratio), which cannot be")
        }
        self.inner = inner
        activation = try ActivationFunction(config, "hidden_act")
        patchSize = try config.size("patch_size", in: 1...256)
        frames = try config.size("temporal_patch_size", in: 1...16)
        mergeSize = try config.size("spatial_merge_size", in: 1...16)
        let heads = try config.size("num_heads", in: 1...1 << 12)
        guard width % heads == 0, width / heads % 4 == 0 else {
            throw config.error("num_heads", "is \(heads), which does not divide embed_dim \(width) into heads of a multiple of 4")
        }
        attention = AttentionShape(heads: heads, kvHeads: heads, headDim: width / heads)
        let rope = try config.section("rope_parameters")
        let theta = try rope?.double("rope_theta") == nil ? 10_000 : rope?.positive("rope_theta") ?? 10_000
        rotary = RotaryFrequencies(rowsAndColumns: theta, headDim: width / heads)
        let channels = try config.size("in_channels", in: 1...16)
        guard channels == 3 else { throw config.error("in_channels", "is \(channels); only 3 is supported", .unsupported) }
        let outputs = try config.size("hidden_size")
        guard outputs == textWidth else {
            throw config.error("hidden_size", "is \(outputs), but text_config.hidden_size is \(textWidth)")
        }
    }
}
