package import HuggingFace
package import IR
package import Plan
import Tensors

/// Qwen2-VL (`Qwen2VLForConditionalGeneration`; arXiv 2409.12191): a vision tower over patches of any picture size, a merger of
/// 2×2 patches into one token, and a Qwen2 decoder with rotary positions on three axes.
package struct Qwen2VL: ModelDefinition {
    package static let architectures = ["Qwen2VLForConditionalGeneration"]

    /// `Qwen2VLTextConfig`
    struct Text {
        var attention: AttentionShape
        var layers: Int
        var width: Int
        var inner: Int
        var vocabulary: Int
        var eps: Double
        var activation: ActivationFunction
        var rotary: RotaryFrequencies
        var maxPositions: Int
    }

    /// `Qwen2VLVisionConfig`
    struct Vision {
        var attention: AttentionShape
        var blocks: Int
        var width: Int
        var inner: Int
        var activation: ActivationFunction
        var rotary: RotaryFrequencies
        var patchSize: Int
        var frames: Int
        var mergeSize: Int
    }

    private let text: Text
    private let vision: Vision
    private let isTied: Bool
    private let quantization: AWQConfig?
    private let file: String

    package init(_ config: ModelConfig) throws(CheckpointError) {
        let top = try config.section()
        text = try Text(top.required("text_config"))
        vision = try Vision(top.required("vision_config"), textWidth: text.width)
        isTied = try top.bool("tie_word_embeddings") ?? false
        quantization = try config.quantization()
        file = config.file
    }

    package var geometry: ModelGeometry {
        ModelGeometry(
            layers: text.layers, heads: text.attention.heads, kvHeads: text.attention.kvHeads, headDim: text.attention.headDim,
            hiddenSize: text.width, vocabularySize: text.vocabulary, maxPositions: text.maxPositions, positionAxes: 3,
            patchSize: vision.patchSize, mergeSize: vision.mergeSize)
    }

    /// Names written by transformers 4.52 to 4.57; older and newer ones are the canonical names.
    private static let prefixes = [
        NamePrefix(spelled: "model.visual.", canonical: "visual."),
        NamePrefix(spelled: "model.language_model.", canonical: "model."),
    ]

    package func trace(
        _ checkpoint: CheckpointTypes, image: ImageProcessorSpec, bounds: TraceBounds
    ) throws(CheckpointError) -> Module {
        guard image.patchSize == vision.patchSize, image.mergeSize == vision.mergeSize, image.temporalPatchSize == vision.frames else {
            throw CheckpointError(
                .inconsistent, file: file,
                "vision_config has patches of \(vision.frames)×\(vision.patchSize) merged by \(vision.mergeSize), the image processor "
                    + "of \(image.temporalPatchSize)×\(image.patchSize) merged by \(image.mergeSize)")
        }
        let catalog = try WeightCatalog(checkpoint, prefixes: Self.prefixes)
        let module = ModuleBuilder(weights: Array(catalog.declarations.values))
        for (name, bound) in [
            ("T", bounds.tokens), ("B", bounds.rows), ("S", bounds.slots), ("I", bounds.imageRows), ("M", bounds.mergedCells),
        ] {
            module.symbol(name, bound: bound)
        }
        try module.trace("vision", catalog, quantization) { $0.vision(vision, image, textWidth: text.width) }
        try module.trace("extend", catalog, quantization) { $0.extend(text, isTied: isTied) }
        try module.trace("decode", catalog, quantization) { $0.decode(text, isTied: isTied) }
        return module.finish()
    }
}

extension Qwen2VL.Text {
    fileprivate init(_ config: ConfigSection) throws(CheckpointError) {
        width = try config.size("hidden_size", in: 1...1 << 17)
        inner = try config.size("intermediate_size", in: 1...1 << 20)
        layers = try config.size("num_hidden_layers", in: 1...1024)
        vocabulary = try config.size("vocab_size")
        eps = try config.positive("rms_norm_eps")
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
        if try config.bool("use_sliding_window") ?? false, let window = try config.int("sliding_window"), window < maxPositions,
            try config.int("max_window_layers") ?? 0 < layers
        {
            throw config.error("use_sliding_window", "is true; sliding-window attention is not supported", .unsupported)
        }
    }
}

extension Qwen2VL.Vision {
    fileprivate init(_ config: ConfigSection, textWidth: Int) throws(CheckpointError) {
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
        let theta = try config.section("rope_parameters")?.double("rope_theta") ?? 10_000
        guard theta > 0, theta.isFinite else { throw config.error("rope_parameters.rope_theta", "is \(theta), which cannot be") }
        rotary = RotaryFrequencies(rowsAndColumns: theta, headDim: width / heads)
        let channels = try config.size("in_channels", in: 1...16)
        guard channels == 3 else { throw config.error("in_channels", "is \(channels); only 3 is supported", .unsupported) }
        let outputs = try config.size("hidden_size")
        guard outputs == textWidth else {
            throw config.error("hidden_size", "is \(outputs), but text_config.hidden_size is \(textWidth)")
        }
    }
}

extension ModelTracer {
    /// `Qwen2VisionTransformerPretrainedModel`: patches u8 `[m²·M, 3·p²]` to image tokens f32 `[M, H]`.
    fileprivate func vision(_ vision: Qwen2VL.Vision, _ image: ImageProcessorSpec, textWidth: Int) -> Value {
        let cell = vision.mergeSize * vision.mergeSize
        let patches = Dim(cell, times: "M")
        let pixels = b.input(InputRole.pixels.rawValue, TensorType(.u8, [patches, .fixed(image.patchBytes)]))
        let positions = b.input(InputRole.patchPositions.rawValue, TensorType(.i32, [2, patches]))
        let visible = b.input(InputRole.visible.rawValue, TensorType(.bool, [patches, patches]))
        return scope("visual") {
            let rotary = scope("rotary_pos_emb") { rotaryTables(positions, vision.rotary, tokens: patches) }
            var x = scope("patch_embed") {
                patchEmbedding(normalizedPatches(pixels, image, patches: patches), image, width: vision.width, bias: false)
            }
            for index in 0..<vision.blocks {
                x = scope("blocks.\(index)") {
                    let normed = layerNorm("norm1", x, width: vision.width, eps: 1e-6)
                    let mixed = scope("attn") {
                        packedAttention(normed, vision.attention, rotary, visible: visible, tokens: patches)
                    }
                    let y = b.add(x, mixed)
                    let inner = layerNorm("norm2", y, width: vision.width, eps: 1e-6)
                    let fed = scope("mlp") {
                        mlp(inner, "fc1", "fc2", from: vision.width, inner: vision.inner, to: vision.width, vision.activation)
                    }
                    return b.add(y, fed)
                }
            }
            return scope("merger") {
                let normed = layerNorm("ln_q", x, width: vision.width, eps: 1e-6)
                let merged = b.reshape(normed, ["M", .fixed(cell * vision.width)])
                return scope("mlp") {
                    mlp(merged, "0", "2", from: cell * vision.width, inner: cell * vision.width, to: textWidth, .gelu)
                }
            }
        }
    }

    /// Tokens of several sequences, pictures among them, to logits f32 `[B, V]` of the sampled rows.
    fileprivate func extend(_ text: Qwen2VL.Text, isTied: Bool) -> Value {
        let width = Dim.fixed(text.width)
        let ids = b.input(InputRole.ids.rawValue, TensorType(.i32, ["T"]))
        let imageRows = b.input(InputRole.imageRows.rawValue, TensorType(.i32, ["T"]))
        let images = b.input(InputRole.imageEmbeds.rawValue, TensorType(.f32, ["I", width]))
        let positions = b.input(InputRole.positions.rawValue, TensorType(.i32, [3, "T"]))
        let context = cacheContext(tokens: "T")
        let sampled = b.input(InputRole.sampleRows.rawValue, TensorType(.i32, ["B"]))
        let embedded = b.selectRows(embedding(ids, text), images, imageRows)
        return logits(b.gather(decoder(embedded, positions, text, context), sampled), text, isTied: isTied)
    }

    /// One token for each of `B` sequences to logits f32 `[B, V]`.
    fileprivate func decode(_ text: Qwen2VL.Text, isTied: Bool) -> Value {
        let ids = b.input(InputRole.ids.rawValue, TensorType(.i32, ["B"]))
        let positions = b.input(InputRole.positions.rawValue, TensorType(.i32, [3, "B"]))
        let context = cacheContext(tokens: "B")
        return logits(decoder(embedding(ids, text), positions, text, context), text, isTied: isTied)
    }

    private func cacheContext(tokens: Dim) -> CacheContext {
        let slots = b.input(InputRole.slots.rawValue, TensorType(.i32, [tokens]))
        return CacheContext(
            tokens: tokens, slots: slots, visible: b.input(InputRole.visible.rawValue, TensorType(.bool, [tokens, "S"])))
    }

    private func embedding(_ ids: Value, _ text: Qwen2VL.Text) -> Value {
        scope("model.embed_tokens") { widened(b.gather(stored("weight", [.fixed(text.vocabulary), .fixed(text.width)]), ids)) }
    }

    /// `Qwen2VLTextModel`: embedded tokens to hidden states after the last norm.
    private func decoder(_ embedded: Value, _ positions: Value, _ text: Qwen2VL.Text, _ context: CacheContext) -> Value {
        scope("model") {
            let rotary = scope("rotary_emb") { rotaryTables(positions, text.rotary, tokens: context.tokens) }
            var x = embedded
            for index in 0..<text.layers {
                x = scope("layers.\(index)") {
                    let normed = rmsNorm("input_layernorm", x, width: text.width, eps: text.eps)
                    let mixed = scope("self_attn") {
                        cachedAttention(normed, layer: index, width: text.width, text.attention, rotary, context)
                    }
                    let y = b.add(x, mixed)
                    let inner = rmsNorm("post_attention_layernorm", y, width: text.width, eps: text.eps)
                    return b.add(y, scope("mlp") { gatedMLP(inner, width: text.width, inner: text.inner, text.activation) })
                }
            }
            return rmsNorm("norm", x, width: text.width, eps: text.eps)
        }
    }

    private func logits(_ x: Value, _ text: Qwen2VL.Text, isTied: Bool) -> Value {
        guard isTied else { return linear("lm_head", x, from: text.width, to: text.vocabulary, bias: false) }
        return scope("model.embed_tokens") {
            b.matmul(x, parameter("weight", [.fixed(text.vocabulary), .fixed(text.width)]), transposeB: true)
        }
    }
}
