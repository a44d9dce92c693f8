package import HuggingFace
package import IR
package import Plan
import Tensors

/// GLM-OCR: a tower over patches of any image size with rotary places and normalized heads, squares of patches convolved to one row,
/// a gated merger, and a GLM decoder that turns neighbouring elements of a head, with positions on three axes.
package struct GLMOCR: ModelDefinition {
    package static let title = "GLM-OCR"
    package static let architectures = ["GlmOcrForConditionalGeneration"]
    package static let modelTypes = ["glm_ocr"]

    let text: DecoderConfiguration
    let tower: PatchTower
    let mergeSize: Int
    /// Inner width of the merger.
    let mergerInner: Int
    let quantization: QuantizationConfig?
    let image: ImageSpec
    let common: InputSpec

    package func inputs(_ tokens: TokenNames) -> InputSpec {
        var spec = common
        spec.image = image.named(tokens, fallback: "<|image|>")
        return spec
    }

    /// Patches of a square that becomes a row.
    private var cell: Int { mergeSize * mergeSize }

    package var geometry: ModelGeometry { ModelGeometry(text, patchSize: tower.patchSize, mergeSize: mergeSize) }

    private static let rewrites = [
        NameRewrite("model.visual.merger.", "projector."), NameRewrite("model.visual.downsample.", "projector.downsample."),
        NameRewrite("model.visual.patch_embed.proj.", "visual.embeddings.patch_embedding."),
        NameRewrite("model.visual.", "visual.", NameTables.qwenVision), NameRewrite("model.language_model.", "model.", NameTables.glm),
    ]

    package func effective(_ checkpoint: Checkpoint) -> Checkpoint { text.effective(checkpoint, Self.rewrites) }

    package func trace(_ checkpoint: CheckpointTypes, bounds: TraceBounds) throws(CheckpointError) -> Module {
        var entries = TraceEntries(decoder: text, images: ImageRows(), rewrites: Self.rewrites, quantization: quantization)
        // A layer behind the last predicts further tokens.
        entries.ignored = [.prefix("model.layers.\(text.layers.count).")]
        entries.visionSymbols = [("M", max(bounds.patches / cell, 1))]
        return try entries.module(checkpoint, bounds) { vision($0, PixelScale(image.pixels)) }
    }

    /// Patches in squares to image rows (`GlmOcrVisionModel`).
    private func vision(_ tracer: ModelTracer, _ scale: PixelScale) -> Value {
        let (b, width) = (tracer.b, Dim.fixed(text.width))
        let rows = tracer.scope("visual") { tracer.encode(tower, scale, rows: Dim(cell, times: "M")).rows }
        let joined = tracer.joinedSquares(rows, count: cell, width: tower.width)
        return tracer.scope("projector") {
            let sampled = tracer.scope("downsample") {
                let side = Dim.fixed(mergeSize)
                let kernel = tracer.parameter("weight", [width, .fixed(tower.width), side, side])
                let product = b.matmul(joined, b.reshape(kernel, [width, .fixed(cell * tower.width)]), transposeB: true)
                return b.add(product, tracer.parameter("bias", [width]))
            }
            let projected = tracer.linear("proj", sampled, from: text.width, to: text.width, bias: false)
            let normed = tracer.layerNorm("post_projection_norm", projected, width: text.width, eps: 1e-5)
            return tracer.gatedMLP(tracer.activate(normed, .gelu), width: text.width, inner: mergerInner, tower.activation)
        }
    }
}
