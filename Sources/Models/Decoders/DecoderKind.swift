import IR

/// What the classes of one decoder fix or fill in, whatever a checkpoint says.
struct DecoderKind {
    /// Class defaults of its configuration; nil where a checkpoint must say.
    struct Defaults {
        var vocabulary: Int? = 32_000
        var width: Int? = 4096
        var inner: Int? = 11_008
        var layers: Int? = 32
        var heads: Int? = 32
        /// nil: as many as heads.
        var kvHeads: Int?
        /// nil: the width divided by the heads.
        var headDim: Int?
        var maxPositions: Int? = 32_768
        var eps = 1e-6
        var theta = 10_000.0
        var window: Int?
        var isTied = false
    }

    /// Which layers see a window only, where the configuration names no `layer_types`.
    enum Windows {
        case none
        case everyLayer
        /// Those from `max_window_layers` on, if `use_sliding_window`.
        case upperLayers
        /// All but each n-th.
        case allButEach(Int)
    }

    var defaults = Defaults()
    var windows = Windows.none
    /// The keys under which the activation and the epsilon stand.
    var activationKey = "hidden_act"
    var activation = Activation.silu
    var epsKey = "rms_norm_eps"
    /// The key that says whether the layers of attention have biases.
    var biasKey: String?
    /// Queries, keys and values have biases, whatever the key says.
    var hasQueryBias = false
    /// The key that says whether feed-forward layers have biases.
    var feedForwardBiasKey: String?
    /// Whether `head_dim` must be the width divided by the heads.
    var impliesHeadDim = false
    var projections = QueryProjections.separate
    var hasFusedGate = false
    /// The intermediate size counts gate and up-projection together.
    var countsGate = false
    /// Norms add one, embeddings are scaled by the root of the width.
    var isGemma = false
    var normalizesResults = false
    var normalizesHeads = false
    /// Default of `query_pre_attn_scalar`; nil where scores are divided by the root of the head's length.
    var queryScalar: Double?
    /// Defaults of `attn_logit_softcapping` and `final_logit_softcapping`.
    var scoreCap: Double?
    var logitCap: Double?
    /// How rotary frequencies share out the axes of the positions.
    var axes = RotaryAxes.one
    /// Whether neighbouring elements of a head turn together, not those of its halves.
    var turnsNeighbours = false
    /// A window is one even where it hides nothing in the longest context.
    var keepsWindows = false
    /// Layers of a window turn by other frequencies.
    var hasLocalRotary = false
    /// How the layers mix tokens that do not attend.
    var mixer = LayerMixer.attention
    /// Norms add one.
    var normsAddOne = false
    /// Default of `partial_rotary_factor`.
    var partialRotary = 1.0
    /// `rotary_emb_base`, `use_dynamic_ntk` and `use_logn_attn` instead of rope parameters.
    var isDynamicNTK = false
}

extension DecoderKind {
    /// By `model_type` of the text model's configuration; defaults from the classes of transformers 5.23.
    static let byModelType: [String: DecoderKind] = [
        "llama": llama, "mistral": mistral, "qwen2": qwen2, "qwen3": qwen3, "gemma": gemma, "gemma2": gemma2, "gemma3_text": gemma3,
        "phi3": phi3, "phi3_v": phi3, "internlm2": internLM2, "paddleocr_vl_text": paddle, "paddleocr_vl": paddle, "qwen": qwen,
        "qwen2_vl_text": qwen2VL, "qwen2_vl": qwen2VL, "qwen2_5_vl_text": qwen2VL, "qwen2_5_vl": qwen2VL, "qwen3_vl_text": qwen3VL,
        "glm_ocr_text": glm, "gemma4_text": gemma4,
        "qwen3_5_text": qwen35, "qwen3_5": qwen35, "lfm2": lfm2,
    ]

    /// `LlamaConfig`; SmolLM2 and Vicuna are Llamas.
    static let llama = DecoderKind(
        defaults: Defaults(maxPositions: 2048), biasKey: "attention_bias", feedForwardBiasKey: "mlp_bias")

    /// `MistralConfig`
    static let mistral = DecoderKind(
        defaults: Defaults(inner: 14_336, kvHeads: 8, maxPositions: 131_072, window: 4096), windows: .everyLayer)

    /// `Qwen2Config`
    static let qwen2 = DecoderKind(
        defaults: Defaults(vocabulary: 151_936, inner: 22_016, kvHeads: 32, window: 4096), windows: .upperLayers, hasQueryBias: true)

    /// `Qwen3Config`
    static let qwen3 = DecoderKind(
        defaults: Defaults(vocabulary: 151_936, inner: 22_016, kvHeads: 32, headDim: 128, window: 4096), windows: .upperLayers,
        biasKey: "attention_bias", normalizesHeads: true)

    /// `Qwen2VLTextConfig` and `Qwen2_5_VLTextConfig`
    static let qwen2VL = DecoderKind(
        defaults: Defaults(
            vocabulary: 152_064, width: 8192, inner: 29_568, layers: 80, heads: 64, kvHeads: 8, eps: 1e-5, theta: 1_000_000, window: 4096),
        windows: .upperLayers, hasQueryBias: true, impliesHeadDim: true, axes: .chunked)

    /// `Qwen3VLTextConfig`
    static let qwen3VL = DecoderKind(
        defaults: Defaults(
            vocabulary: 151_936, inner: 22_016, kvHeads: 32, headDim: 128, maxPositions: 128_000, theta: 500_000),
        biasKey: "attention_bias", normalizesHeads: true, axes: .interleaved)

    /// `Qwen3_5TextConfig`
    static let qwen35 = DecoderKind(
        defaults: Defaults(
            vocabulary: 248_320, width: 4096, inner: 12_288, heads: 16, kvHeads: 4, headDim: 256, theta: 10_000),
        biasKey: "attention_bias", projections: .gated, normalizesHeads: true, axes: .interleaved, mixer: .deltaNet, normsAddOne: true,
        partialRotary: 0.25)

    /// `Lfm2Config`
    static let lfm2 = DecoderKind(
        defaults: Defaults(
            vocabulary: 65_536, width: 2560, inner: 12_288, kvHeads: 8, maxPositions: 128_000, eps: 1e-5, theta: 1_000_000, isTied: true),
        epsKey: "norm_eps", normalizesHeads: true, mixer: .convolution)

    /// `GemmaConfig`
    static let gemma = DecoderKind(
        defaults: Defaults(
            vocabulary: 256_000, width: 3072, inner: 24_576, layers: 28, heads: 16, kvHeads: 16, headDim: 256, maxPositions: 8192,
            isTied: true),
        activationKey: "hidden_activation", activation: .geluTanh, biasKey: "attention_bias", isGemma: true)

    /// `Gemma2Config`
    static let gemma2 = DecoderKind(
        defaults: Defaults(
            vocabulary: 256_000, width: 2304, inner: 9216, layers: 26, heads: 8, kvHeads: 4, headDim: 256, maxPositions: 8192,
            window: 4096, isTied: true),
        windows: .allButEach(2), activationKey: "hidden_activation", activation: .geluTanh, biasKey: "attention_bias", isGemma: true,
        normalizesResults: true, queryScalar: 256, scoreCap: 50, logitCap: 30)

    /// `Gemma3TextConfig`
    static let gemma3 = DecoderKind(
        defaults: Defaults(
            vocabulary: 262_208, width: 2304, inner: 9216, layers: 26, heads: 8, kvHeads: 4, headDim: 256, maxPositions: 131_072,
            theta: 1_000_000, window: 4096, isTied: true),
        windows: .allButEach(6), activationKey: "hidden_activation", activation: .geluTanh, biasKey: "attention_bias", isGemma: true,
        normalizesResults: true, normalizesHeads: true, queryScalar: 256, hasLocalRotary: true)

    /// `Gemma4TextConfig`
    static let gemma4 = DecoderKind(
        defaults: Defaults(
            vocabulary: 262_144, width: 2304, inner: 9216, layers: 30, heads: 8, kvHeads: 4, headDim: 256, maxPositions: 131_072,
            theta: 1_000_000, window: 512, isTied: true),
        windows: .allButEach(6), activationKey: "hidden_activation", activation: .geluTanh, biasKey: "attention_bias",
        normalizesResults: true, normalizesHeads: true, keepsWindows: true, hasLocalRotary: true)

    /// `Phi3Config`
    static let phi3 = DecoderKind(
        defaults: Defaults(vocabulary: 32_064, width: 3072, inner: 8192, maxPositions: 4096, eps: 1e-5), windows: .everyLayer,
        projections: .rows, hasFusedGate: true)

    /// `InternLM2Config`
    static let internLM2 = DecoderKind(
        defaults: Defaults(vocabulary: 103_168, maxPositions: 2048), biasKey: "bias", projections: .groups)

    /// `PaddleOCRTextConfig`, an Ernie 4.5
    static let paddle = DecoderKind(
        defaults: Defaults(
            vocabulary: 103_424, width: 1024, inner: 3072, layers: 18, heads: 16, kvHeads: 2, headDim: 128, maxPositions: 131_072,
            eps: 1e-5, theta: 500_000, isTied: true),
        biasKey: "use_bias", feedForwardBiasKey: "use_bias", axes: .chunked)

    /// `GlmOcrTextConfig`
    static let glm = DecoderKind(
        defaults: Defaults(
            vocabulary: 59_392, width: 1024, inner: 4096, layers: 16, heads: 16, kvHeads: 8, maxPositions: 131_072, eps: 1e-5),
        hasFusedGate: true, normalizesResults: true, axes: .chunked, turnsNeighbours: true)

    /// `QWenConfig`
    static let qwen = DecoderKind(
        defaults: Defaults(vocabulary: 151_936, inner: 22_016, maxPositions: 8192), epsKey: "layer_norm_epsilon", hasQueryBias: true,
        projections: .rows, countsGate: true, isDynamicNTK: true)
}
