package import HuggingFace
package import IR
package import Plan
import Tensors

/// Qwen2-VL (`Qwen2VLForConditionalGeneration`; arXiv 2409.12191): a vision tower over patches of any image size, a merger of
/// 2×2 patches into one token, and a Qwen2 decoder with rotary positions on three axes.
package struct Qwen2VL: ModelDefinition {
    package static let title = "Qwen2-VL"
    package static let architectures = ["Qwen2VLForConditionalGeneration"]
    package static let modelTypes = ["qwen2_vl"]

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

    private let text: DecoderConfiguration
    private let vision: Vision
    private let image: ImageSpec
    private let videos: FamilyVideos
    private let quantization: QuantizationConfig?
    private let common: InputSpec

    package init(_ directory: ModelDirectory) throws(CheckpointError) {
        let config = try directory.config()
        let top = try config.section()
        text = try DecoderConfiguration(
            top.required("text_config"), own: "qwen2_vl_text", isTied: top.bool("tie_word_embeddings") ?? false)
        vision = try Vision(top.required("vision_config"), textWidth: text.width)
        quantization = try config.quantization()
        let images = try Qwen2VLImages(directory.imageProcessor())
        try images.check(patchSize: vision.patchSize, mergeSize: vision.mergeSize, frames: vision.frames, of: config)
        let own = images.spec(token: try top.imageToken(vocabulary: text.vocabulary), text: "")
        let vocabulary = text.vocabulary
        videos = FamilyVideos { () throws(CheckpointError) in
            try QwenVideos(kind: .qwen2, token: top.token("video_token_id", vocabulary: vocabulary, or: 151_656)).spec(directory, own)
        }
        image = own.with(videos.spec)
        common = try directory.inputs(vocabulary: text.vocabulary, positions: .mrope(mergeSize: vision.mergeSize), config)
    }

    package func inputs(_ tokens: TokenNames) -> InputSpec {
        var spec = common
        spec.image = image.named(tokens, fallback: "<|image_pad|>")
        videos.put(into: &spec, tokens, fallback: "<|video_pad|>")
        return spec
    }

    package var geometry: ModelGeometry {
        ModelGeometry(text, patchSize: vision.patchSize, mergeSize: vision.mergeSize)
    }

    /// Names written by transformers 4.52 to 4.57; older and newer ones are the canonical names.
    private static let rewrites = [NameRewrite("model.visual.", "visual."), NameRewrite("model.language_model.", "model.")]

    package func effective(_ checkpoint: Checkpoint) -> Checkpoint {
        text.effective(checkpoint, Self.rewrites)
    }

    package func trace(_ checkpoint: CheckpointTypes, bounds: TraceBounds) throws(CheckpointError) -> Module {
        let entries = TraceEntries(
            decoder: text, images: ImageRows(), rewrites: Self.rewrites, quantization: quantization,
            visionSymbols: [("M", max(bounds.patches / (vision.mergeSize * vision.mergeSize), 1))])
        return try entries.module(checkpoint, bounds) { $0.vision(vision, image.pixels, textWidth: text.width) }
    }
}

extension ModelTracer {
    /// `Qwen2VisionTransformerPretrainedModel`: patches u8 `[m²·M, 3·p²]` to image tokens f32 `[M, H]`.
    fileprivate func vision(_ vision: Qwen2VL.Vision, _ image: PixelSpec, textWidth: Int) -> Value {
        let cell = vision.mergeSize * vision.mergeSize
        let patches = Dim(cell, times: "M")
        let pixels = b.input("pixels", TensorType(.u8, [patches, .fixed(image.patchBytes)]))
        let positions = b.input("patch_positions", TensorType(.i32, [2, patches]))
        let visible = b.mask("visible", .segments("images"), queries: patches, keys: patches)
        return scope("visual") {
            let rotary = scope("rotary_pos_emb") { rotaryTables(positions, vision.rotary, tokens: patches) }
            var x = scope("patch_embed") {
                let scaled = normalizedPatches(
                    pixels, PixelScale(image), patchSize: vision.patchSize, frames: vision.frames, patches: patches)
                return patchProjection(
                    "proj", scaled, patchSize: vision.patchSize, frames: vision.frames, width: vision.width, bias: false)
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
}
