package import HuggingFace
package import IR
package import Plan
import Tensors

/// Qwen3-VL: a tower over patches of any image size with a learned table of places blended to its grid, a merger of squares of
/// patches into one token, and mergers of earlier blocks whose rows are added after the first layers of the decoder (deepstack).
package struct Qwen3VL: ModelDefinition {
    package static let title = "Qwen3-VL"
    package static let architectures = ["Qwen3VLForConditionalGeneration"]
    package static let modelTypes = ["qwen3_vl"]

    let text: DecoderConfiguration
    let tower: PatchTower
    let mergeSize: Int
    /// The blocks whose rows are merged beside those of the last.
    let earlier: [Int]
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
        NameRewrite("model.visual.merger.", "projector."), NameRewrite("model.visual.deepstack_merger_list.", "projector.deepstack."),
        NameRewrite("model.visual.patch_embed.proj.", "visual.embeddings.patch_embedding."),
        NameRewrite("model.visual.pos_embed.", "visual.embeddings.position_embedding."),
        NameRewrite("model.visual.", "visual.", NameTables.qwenVision), NameRewrite("model.language_model.", "model."),
    ]

    package func effective(_ checkpoint: Checkpoint) -> Checkpoint { text.effective(checkpoint, Self.rewrites) }

    package func trace(_ checkpoint: CheckpointTypes, bounds: TraceBounds) throws(CheckpointError) -> Module {
        var entries = TraceEntries(
            decoder: text, images: ImageRows(addedLayers: earlier.count), rewrites: Self.rewrites, quantization: quantization)
        entries.ignored = [.prefix("mtp.")]
        entries.visionSymbols = [("M", max(bounds.patches / cell, 1))]
        return try entries.module(checkpoint, bounds) { vision($0, PixelScale(image.pixels)) }
    }

    /// Patches in squares to image rows, those for later layers beside each other.
    private func vision(_ tracer: ModelTracer, _ scale: PixelScale) -> Value {
        let b = tracer.b
        let width = cell * tower.width
        var after: [Int: Value] = [:]
        let rows = tracer.scope("visual") {
            tracer.encode(tower, scale, rows: Dim(cell, times: "M")) { after[$0] = $1 }.rows
        }
        func layers(_ joined: Value) -> Value {
            tracer.mlp(joined, "linear_fc1", "linear_fc2", from: width, inner: width, to: text.width, .gelu)
        }
        return tracer.scope("projector") {
            let normed = tracer.layerNorm("norm", rows, width: tower.width, eps: 1e-6)
            let last = layers(b.reshape(normed, ["M", .fixed(width)]))
            let others = earlier.enumerated().map { index, block in
                tracer.scope("deepstack.\(index)") {
                    layers(tracer.layerNorm("norm", b.reshape(after[block] ?? rows, ["M", .fixed(width)]), width: width, eps: 1e-6))
                }
            }
            return others.isEmpty ? last : b.concat([last] + others, axis: 1)
        }
    }
}
