package import HuggingFace
package import IR
package import Plan
import Tensors

/// Qwen2-VL (`Qwen2VLForConditionalGeneration`; arXiv 2409.12191): a vision tower over patches of any picture size, a merger of
/// 2×2 patches into one token, and a Qwen2 decoder with rotary positions on three axes.
package struct Qwen2VL: ModelDefinition {
    package static let architectures = ["Qwen2VLForConditionalGeneration"]
    package static let modelTypes = ["qwen2_vl"]

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
    private let pictures: Qwen2VLPictures
    private let imageToken: Int32
    /// Whether one table is to embed tokens and to score them, unless the checkpoint has two.
    private let isTied: Bool
    private let quantization: AWQConfig?
    private let common: InputSpec

    package init(_ directory: ModelDirectory) throws(CheckpointError) {
        let config = try directory.config()
        let top = try config.section()
        text = try Text(top.required("text_config"))
        vision = try Vision(top.required("vision_config"), textWidth: text.width)
        isTied = try top.bool("tie_word_embeddings") ?? false
        quantization = try config.quantization()
        pictures = try Qwen2VLPictures(directory.imageProcessor())
        guard pictures.patchSize == vision.patchSize, pictures.mergeSize == vision.mergeSize, pictures.frames == vision.frames else {
            throw CheckpointError(
                .inconsistent, file: config.file,
                "vision_config has patches of \(vision.frames)×\(vision.patchSize) merged by \(vision.mergeSize), the image processor "
                    + "of \(pictures.frames)×\(pictures.patchSize) merged by \(pictures.mergeSize)")
        }
        imageToken = try top.imageToken(vocabulary: text.vocabulary)
        common = try directory.inputs(vocabulary: text.vocabulary, positions: .mrope(mergeSize: vision.mergeSize), config)
    }

    package func inputs(tokenText: (Int32) -> String?) -> InputSpec {
        var spec = common
        spec.picture = pictures.spec(token: imageToken, text: tokenText(imageToken) ?? "<|image_pad|>")
        return spec
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

    package func effective(_ checkpoint: Checkpoint) -> Checkpoint {
        guard isTied else { return checkpoint }
        return ["model.", "model.language_model."].reduce(checkpoint) {
            $0.dropping("lm_head.weight", ifEqualTo: $1 + "embed_tokens.weight")
        }
    }

    package func trace(_ checkpoint: CheckpointTypes, bounds: TraceBounds) throws(CheckpointError) -> Module {
        let catalog = try WeightCatalog(checkpoint, prefixes: Self.prefixes)
        let module = ModuleBuilder(weights: Array(catalog.declarations.values))
        for (name, bound) in [
            ("T", bounds.tokens), ("B", bounds.rows), ("S", bounds.slots), ("I", bounds.imageRows), ("M", bounds.mergedCells),
        ] {
            module.symbol(name, bound: bound)
        }
        try module.trace("vision", catalog, quantization) { $0.vision(vision, pictures.pixels, textWidth: text.width) }
        try module.trace("extend", catalog, quantization) { $0.extend(text, $0.tables(isTied: isTied)) }
        try module.trace("decode", catalog, quantization) { $0.decode(text, $0.tables(isTied: isTied)) }
        return module.finish()
    }
}

extension ModelTracer {
    /// `Qwen2VisionTransformerPretrainedModel`: patches u8 `[m²·M, 3·p²]` to image tokens f32 `[M, H]`.
    fileprivate func vision(_ vision: Qwen2VL.Vision, _ image: PixelSpec, textWidth: Int) -> Value {
        let cell = vision.mergeSize * vision.mergeSize
        let patches = Dim(cell, times: "M")
        let pixels = b.input("pixels", TensorType(.u8, [patches, .fixed(image.patchBytes)]))
        let positions = b.input("patch_positions", TensorType(.i32, [2, patches]))
        let visible = b.mask("visible", .segments("pictures"), queries: patches, keys: patches)
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

    /// The modules whose weights embed tokens and score them: tied ones are one, whichever of the two the checkpoint has.
    fileprivate func tables(isTied: Bool) -> TokenTables {
        let tables = TokenTables(embedding: "model.embed_tokens", head: "lm_head")
        guard isTied else { return tables }
        if !has("lm_head.weight") { return TokenTables(embedding: tables.embedding, head: tables.embedding) }
        return has("model.embed_tokens.weight") ? tables : TokenTables(embedding: tables.head, head: tables.head)
    }

    /// Tokens of several sequences, pictures among them, to logits f32 `[B, V]` of the sampled rows.
    fileprivate func extend(_ text: Qwen2VL.Text, _ tables: TokenTables) -> Value {
        let width = Dim.fixed(text.width)
        let ids = b.input(InputRole.ids.rawValue, TensorType(.i32, ["T"]))
        let imageRows = b.input(InputRole.imageRows.rawValue, TensorType(.i32, ["T"]))
        let images = b.input(InputRole.imageEmbeds.rawValue, TensorType(.f32, ["I", width]))
        let positions = b.input(InputRole.positions.rawValue, TensorType(.i32, [3, "T"]))
        let context = cacheContext(tokens: "T")
        let sampled = b.input(InputRole.sampleRows.rawValue, TensorType(.i32, ["B"]))
        let embedded = b.selectRows(embedding(ids, text, tables), images, imageRows)
        return logits(b.gather(decoder(embedded, positions, text, context), sampled), text, tables)
    }

    /// One token for each of `B` sequences to logits f32 `[B, V]`.
    fileprivate func decode(_ text: Qwen2VL.Text, _ tables: TokenTables) -> Value {
        let ids = b.input(InputRole.ids.rawValue, TensorType(.i32, ["B"]))
        let positions = b.input(InputRole.positions.rawValue, TensorType(.i32, [3, "B"]))
        let context = cacheContext(tokens: "B")
        return logits(decoder(embedding(ids, text, tables), positions, text, context), text, tables)
    }

    private func cacheContext(tokens: Dim) -> CacheContext {
        let slots = b.input(InputRole.slots.rawValue, TensorType(.i32, [tokens]))
        return CacheContext(
            tokens: tokens, slots: slots, visible: b.mask("visible", .causal(), queries: tokens))
    }

    private func embedding(_ ids: Value, _ text: Qwen2VL.Text, _ tables: TokenTables) -> Value {
        scope(tables.embedding) { widened(b.gather(stored("weight", [.fixed(text.vocabulary), .fixed(text.width)]), ids)) }
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

    private func logits(_ x: Value, _ text: Qwen2VL.Text, _ tables: TokenTables) -> Value {
        linear(tables.head, x, from: text.width, to: text.vocabulary, bias: false)
    }
}

/// The modules whose weights turn tokens into vectors, and vectors into scores of tokens.
private struct TokenTables {
    var embedding: String
    var head: String
}
