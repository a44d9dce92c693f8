package import HuggingFace
package import IR
package import Plan
import Tensors

/// Qwen3.5: Qwen3-VL's tower and merger without deepstack, and a decoder of which most layers are gated delta nets.
package struct Qwen35: ModelDefinition {
    package static let title = "Qwen3.5"
    package static let architectures = ["Qwen3_5ForConditionalGeneration"]
    package static let modelTypes = ["qwen3_5"]

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
        NameRewrite("model.visual.merger.", "projector."),
        NameRewrite("model.visual.patch_embed.proj.", "visual.embeddings.patch_embedding."),
        NameRewrite("model.visual.pos_embed.", "visual.embeddings.position_embedding."),
        NameRewrite("model.visual.", "visual.", NameTables.qwenVision), NameRewrite("model.language_model.", "model."),
    ]

    package func effective(_ checkpoint: Checkpoint) -> Checkpoint { text.effective(checkpoint, Self.rewrites) }

    package func trace(_ checkpoint: CheckpointTypes, bounds: TraceBounds) throws(CheckpointError) -> Module {
        var entries = TraceEntries(decoder: text, images: ImageRows(), rewrites: Self.rewrites, quantization: quantization)
        entries.ignored = [.prefix("mtp.")]
        entries.visionSymbols = [("M", max(bounds.patches / cell, 1))]
        return try entries.module(checkpoint, bounds) { vision($0, PixelScale(image.pixels)) }
    }

    /// Patches in squares to image rows.
    private func vision(_ tracer: ModelTracer, _ scale: PixelScale) -> Value {
        let width = cell * tower.width
        let rows = tracer.scope("visual") { tracer.encode(tower, scale, rows: Dim(cell, times: "M")).rows }
        return tracer.scope("projector") {
            let normed = tracer.layerNorm("norm", rows, width: tower.width, eps: 1e-6)
            let joined = tracer.b.reshape(normed, ["M", .fixed(width)])
            return tracer.mlp(joined, "linear_fc1", "linear_fc2", from: width, inner: width, to: text.width, .gelu)
        }
    }
}
