package import HuggingFace
package import IR
package import Plan
import Tensors

/// Qwen2.5-VL (arXiv 2502.13923): a tower over patches of any image size that looks at windows in most blocks, a merger of squares
/// of patches into one token, and Qwen2-VL's decoder.
package struct Qwen25VL: ModelDefinition {
    package static let title = "Qwen2.5-VL"
    package static let architectures = ["Qwen2_5_VLForConditionalGeneration"]
    package static let modelTypes = ["qwen2_5_vl"]

    let text: DecoderConfiguration
    let tower: PatchTower
    let mergeSize: Int
    let quantization: QuantizationConfig?
    let image: ImageSpec
    let videos: FamilyVideos
    let common: InputSpec

    package func inputs(_ tokens: TokenNames) -> InputSpec {
        var spec = common
        spec.image = image.named(tokens, fallback: "<|image_pad|>")
        videos.put(into: &spec, tokens, fallback: "<|video_pad|>")
        return spec
    }

    /// Patches of a square that becomes a row.
    private var cell: Int { mergeSize * mergeSize }

    package var geometry: ModelGeometry { ModelGeometry(text, patchSize: tower.patchSize, mergeSize: mergeSize) }

    private static let rewrites = [
        NameRewrite("visual.merger.", "projector."), NameRewrite("model.visual.merger.", "projector."),
        NameRewrite("visual.patch_embed.proj.", "visual.embeddings.patch_embedding."),
        NameRewrite("model.visual.patch_embed.proj.", "visual.embeddings.patch_embedding."),
        NameRewrite("visual.", "visual.", NameTables.qwenVision), NameRewrite("model.visual.", "visual.", NameTables.qwenVision),
        NameRewrite("model.language_model.", "model."),
    ]

    package func effective(_ checkpoint: Checkpoint) -> Checkpoint { text.effective(checkpoint, Self.rewrites) }

    package func trace(_ checkpoint: CheckpointTypes, bounds: TraceBounds) throws(CheckpointError) -> Module {
        var entries = TraceEntries(decoder: text, images: ImageRows(), rewrites: Self.rewrites, quantization: quantization)
        entries.visionSymbols = [("M", max(bounds.patches / cell, 1))]
        return try entries.module(checkpoint, bounds) { vision($0, PixelScale(image.pixels)) }
    }

    /// Patches in the order of windows to image rows in the order of the prompt.
    private func vision(_ tracer: ModelTracer, _ scale: PixelScale) -> Value {
        let b = tracer.b
        let width = cell * tower.width
        let rows = tracer.scope("visual") { tracer.encode(tower, scale, rows: Dim(cell, times: "M")).rows }
        let merged = tracer.scope("projector") {
            let normed = tracer.rmsNorm("ln_q", rows, width: tower.width, eps: tower.norm.eps)
            let joined = b.reshape(normed, ["M", .fixed(width)])
            return tracer.scope("mlp") { tracer.mlp(joined, "0", "2", from: width, inner: width, to: text.width, .gelu) }
        }
        return tracer.featureRows(merged)
    }
}
