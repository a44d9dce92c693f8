internal import JSON

/// What a configuration class of transformers fills in for keys that `config.json` leaves out.
struct ClassDefaults {
    /// For the top of the document.
    var model: JSONObject
    /// For `text_config`; its keys are also those that a flat file keeps at the top.
    var text: JSONObject
    /// For `vision_config`.
    var vision: JSONObject
    /// `rope_theta` of the text model.
    var textRopeTheta: Double

    /// By `model_type`, from the configuration classes of transformers 5.23.
    static let byModelType: [String: ClassDefaults] = ["qwen2_vl": qwen2VL]

    /// `Qwen2VLConfig`, `Qwen2VLTextConfig`, `Qwen2VLVisionConfig`.
    private static let qwen2VL = ClassDefaults(
        model: [
            "image_token_id": 151_655, "video_token_id": 151_656, "vision_start_token_id": 151_652, "vision_end_token_id": 151_653,
            "tie_word_embeddings": false,
        ],
        text: [
            "vocab_size": 152_064, "hidden_size": 8192, "intermediate_size": 29_568, "num_hidden_layers": 80,
            "num_attention_heads": 64, "num_key_value_heads": 8, "hidden_act": "silu", "max_position_embeddings": 32_768,
            "rms_norm_eps": 1e-5, "use_sliding_window": false, "sliding_window": 4096, "max_window_layers": 80,
            "bos_token_id": 151_643, "eos_token_id": 151_645,
        ],
        vision: [
            "depth": 32, "embed_dim": 1280, "hidden_size": 3584, "hidden_act": "quick_gelu", "mlp_ratio": 4, "num_heads": 16,
            "in_channels": 3, "patch_size": 14, "spatial_merge_size": 2, "temporal_patch_size": 2,
        ],
        textRopeTheta: 1_000_000)
}
