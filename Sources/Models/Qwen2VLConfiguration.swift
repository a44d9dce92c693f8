import HuggingFace

extension Qwen2VL.Text {
    init(_ config: ConfigSection) throws(CheckpointError) {
        width = try config.size("hidden_size", in: 1...1 << 17)
        inner = try config.size("intermediate_size", in: 1...1 << 20)
        layers = try config.size("num_hidden_layers", in: 1...1024)
        vocabulary = try config.size("vocab_size")
        eps = try config.double("rms_norm_eps") == 0 ? 0 : config.positive("rms_norm_eps")
        maxPositions = try config.size("max_position_embeddings", in: 1...1 << 30)
        activation = try ActivationFunction(config, "hidden_act")
        let heads = try config.size("num_attention_heads", in: 1...1 << 12)
        let kvHeads = try config.int("num_key_value_heads") == nil ? heads : config.size("num_key_value_heads", in: 1...1 << 12)
        guard width % heads == 0, width / heads % 2 == 0 else {
            throw config.error("num_attention_heads", "is \(heads), which does not divide hidden_size \(width) into heads of even length")
        }
        guard heads % kvHeads == 0 else {
            throw config.error("num_key_value_heads", "is \(kvHeads), which does not divide num_attention_heads \(heads)")
        }
        attention = AttentionShape(heads: heads, kvHeads: kvHeads, headDim: width / heads)
        rotary = try RotaryFrequencies(mrope: config.required("rope_parameters"), headDim: width / heads, maxPositions: maxPositions)
        if let headDim = try config.int("head_dim"), headDim != width / heads {
            throw config.error(
                "head_dim", "is \(headDim), but hidden_size / num_attention_heads is \(width / heads); other heads are not supported", .unsupported)
        }
        try requireFullAttention(config)
    }

    /// Refuses layers that would not see the whole context (`layer_types`, else `max_window_layers` of `Qwen2VLTextConfig`).
    private func requireFullAttention(_ config: ConfigSection) throws(CheckpointError) {
        let isWindowed = try config.bool("use_sliding_window") ?? false
        let window = isWindowed ? try config.int("sliding_window") : nil
        let hides = window.map { $0 < maxPositions } ?? false
        guard let types = try config.strings("layer_types") else {
            if hides, try config.int("max_window_layers") ?? 0 < layers {
                throw config.error("use_sliding_window", "is true; sliding-window attention is not supported", .unsupported)
            }
            return
        }
        guard types.count == layers else {
            throw config.error("layer_types", "has \(types.count) entries, but num_hidden_layers is \(layers)")
        }
        for type in types where type != "full_attention" {
            guard type == "sliding_attention" else {
                throw config.error("layer_types", "holds \"\(type)\"; the known types are: full_attention, sliding_attention", .unsupported)
            }
            guard window != nil else {
                throw config.error("layer_types", "holds sliding_attention, but there is no sliding_window or use_sliding_window is false")
            }
            guard !hides else {
                throw config.error(
                    "layer_types", "holds sliding_attention of \(window ?? 0) tokens in a context of \(maxPositions), which is not supported", .unsupported)
            }
        }
    }
}

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
