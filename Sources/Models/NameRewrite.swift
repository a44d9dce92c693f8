/// One way in which checkpoints spell tensor names that start alike.
package struct NameRewrite {
    /// How names start in the checkpoint.
    var spelled: String
    /// How they start here.
    var canonical: String
    /// What runs of whole components behind the start are called here.
    var parts: [Part] = []

    package struct Part {
        var spelled: String
        var canonical: String

        init(_ spelled: String, _ canonical: String) {
            self.spelled = spelled
            self.canonical = canonical
        }
    }

    init(_ spelled: String, _ canonical: String, _ parts: [Part] = []) {
        self.spelled = spelled
        self.canonical = canonical
        self.parts = parts
    }

    /// The name as it is here; nil where it starts otherwise.
    func canonical(_ name: String) -> String? {
        guard name.hasPrefix(spelled) else { return nil }
        let rest = name.dropFirst(spelled.count)
        guard !parts.isEmpty else { return canonical + rest }
        let renamed = parts.reduce(".\(rest).") { $0.replacing(".\($1.spelled).", with: ".\($1.canonical).") }
        return canonical + renamed.dropFirst().dropLast()
    }
}

/// Tensors that a family knows and does not use, by their canonical names.
package enum NamePattern {
    case prefix(String)
    case suffix(String)
    case containing(String)

    func fits(_ name: String) -> Bool {
        switch self {
        case .prefix(let start): name.hasPrefix(start)
        case .suffix(let end): name.hasSuffix(end)
        case .containing(let part): name.contains(part)
        }
    }
}

extension [NamePattern] {
    /// What is derived from the configuration, yet lies in some checkpoints.
    static let derived: [NamePattern] = [
        .suffix("rotary_emb.inv_freq"), .suffix("rotary_pos_emb.inv_freq"), .suffix("position_ids"),
    ]

    /// What quantized layers say of themselves and no layout needs.
    static let quantizationFacts: [NamePattern] = [
        .suffix(".weight_shape"), .suffix(".input_scale"), .suffix(".input_global_scale"),
    ]
}

/// The spellings of decoders and towers that several families share; the canonical names are those of `LlamaForCausalLM` and, behind
/// `visual.`, of `SiglipVisionModel`.
package enum NameTables {
    /// `language_model.…` (before 4.52 and from 5.0 on) and `model.language_model.…` (4.52 to 4.57).
    package static func wrapped(_ decoder: [NameRewrite.Part] = []) -> [NameRewrite] {
        [
            NameRewrite("language_model.model.", "model.", decoder),
            NameRewrite("language_model.output.", "lm_head."),
            NameRewrite("language_model.lm_head.", "lm_head."),
            NameRewrite("model.language_model.", "model.", decoder),
        ]
    }

    /// A tower that other models call `vision_tower`, with or without the model inside it.
    package static func tower(_ parts: [NameRewrite.Part] = []) -> [NameRewrite] {
        ["vision_tower.vision_model.", "model.vision_tower.vision_model.", "vision_tower.", "model.vision_tower."].map {
            NameRewrite($0, "visual.", parts)
        }
    }

    package static let projector = [
        NameRewrite("multi_modal_projector.", "projector."), NameRewrite("model.multi_modal_projector.", "projector."),
    ]

    /// `InternLM2ForCausalLM`
    static let internLM2: [NameRewrite.Part] = [
        .init("tok_embeddings", "embed_tokens"), .init("attention.wqkv", "self_attn.qkv_proj"), .init("attention.wo", "self_attn.o_proj"),
        .init("feed_forward.w1", "mlp.gate_proj"), .init("feed_forward.w3", "mlp.up_proj"), .init("feed_forward.w2", "mlp.down_proj"),
        .init("attention_norm", "input_layernorm"), .init("ffn_norm", "post_attention_layernorm"),
    ]

    /// `GlmOcrTextModel`, whose norms stand around both halves of a layer.
    static let glm: [NameRewrite.Part] = [
        .init("post_attention_layernorm", "pre_feedforward_layernorm"), .init("post_self_attn_layernorm", "post_attention_layernorm"),
        .init("post_mlp_layernorm", "post_feedforward_layernorm"),
    ]

    /// `Lfm2Model`
    static let lfm2: [NameRewrite.Part] = [
        .init("feed_forward.w1", "mlp.gate_proj"), .init("feed_forward.w3", "mlp.up_proj"), .init("feed_forward.w2", "mlp.down_proj"),
        .init("operator_norm", "input_layernorm"), .init("ffn_norm", "post_attention_layernorm"), .init("embedding_norm", "norm"),
        .init("self_attn.out_proj", "self_attn.o_proj"), .init("q_layernorm", "q_norm"), .init("k_layernorm", "k_norm"),
    ]

    /// The first Qwen, behind `transformer.`.
    static let qwen: [NameRewrite.Part] = [
        .init("wte", "embed_tokens"), .init("ln_f", "norm"), .init("h", "layers"), .init("ln_1", "input_layernorm"),
        .init("ln_2", "post_attention_layernorm"), .init("attn.c_attn", "self_attn.qkv_proj"), .init("attn.c_proj", "self_attn.o_proj"),
        .init("mlp.w2", "mlp.gate_proj"), .init("mlp.w1", "mlp.up_proj"), .init("mlp.c_proj", "mlp.down_proj"),
    ]

    /// `InternVLVisionModel`
    static let internVision: [NameRewrite.Part] = [
        .init("embeddings.cls_token", "embeddings.class_embedding"), .init("patch_embeddings.projection", "patch_embedding"),
        .init("embeddings.position_embeddings", "embeddings.position_embedding.weight"), .init("encoder.layer", "encoder.layers"),
        .init("attention.projection_layer", "self_attn.out_proj"), .init("attention", "self_attn"), .init("lambda_1", "ls1"),
        .init("lambda_2", "ls2"), .init("layernorm_before", "layer_norm1"), .init("layernorm_after", "layer_norm2"),
    ]

    /// `InternVisionModel`, the remote one
    static let internVisionRemote: [NameRewrite.Part] = [
        .init("embeddings.position_embedding", "embeddings.position_embedding.weight"), .init("attn.proj", "self_attn.out_proj"),
        .init("attn", "self_attn"), .init("norm1", "layer_norm1"), .init("norm2", "layer_norm2"),
    ]

    /// `Qwen2_5_VisionTransformerPretrainedModel` and `Qwen3VLVisionModel`
    static let qwenVision: [NameRewrite.Part] = [
        .init("blocks", "encoder.layers"), .init("attn.proj", "self_attn.out_proj"), .init("attn", "self_attn"), .init("norm1", "layer_norm1"),
        .init("norm2", "layer_norm2"), .init("mlp.linear_fc1", "mlp.fc1"), .init("mlp.linear_fc2", "mlp.fc2"),
    ]

    /// `PixtralVisionModel` behind a start.
    static func pixtralTower(_ start: String) -> [NameRewrite] {
        let layers: [NameRewrite.Part] = [
            .init("transformer.layers", "encoder.layers"), .init("attention.o_proj", "self_attn.out_proj"), .init("attention", "self_attn"),
            .init("feed_forward", "mlp"), .init("attention_norm", "layer_norm1"), .init("ffn_norm", "layer_norm2"),
        ]
        return [
            NameRewrite(start + "patch_conv.", "visual.embeddings.patch_embedding."), NameRewrite(start + "ln_pre.", "visual.pre_layrnorm."),
            NameRewrite(start, "visual.", layers),
        ]
    }

    /// The tower of the first Qwen-VL.
    static let openCLIP: [NameRewrite.Part] = [
        .init("conv1", "embeddings.patch_embedding"), .init("positional_embedding", "embeddings.position_embedding.weight"),
        .init("transformer.resblocks", "encoder.layers"), .init("attn.in_proj", "self_attn.qkv"), .init("attn.out_proj", "self_attn.out_proj"),
        .init("ln_1", "layer_norm1"), .init("ln_2", "layer_norm2"), .init("mlp.c_fc", "mlp.fc1"), .init("mlp.c_proj", "mlp.fc2"),
        .init("ln_pre", "pre_layrnorm"),
    ]
}
