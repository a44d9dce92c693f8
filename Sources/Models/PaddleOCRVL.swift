package import HuggingFace
package import IR
package import Plan
import Tensors

/// PaddleOCR-VL (arXiv 2510.14528): a SigLIP over patches of any image size, its table of places blended to the grid, with rotary
/// places too, squares of patches joined to one row, two linear layers, an Ernie 4.5 with positions on three axes.
package struct PaddleOCRVL: ModelDefinition {
    package static let title = "PaddleOCR-VL"
    package static let architectures = ["PaddleOCRVLForConditionalGeneration"]
    package static let modelTypes = ["paddleocr_vl"]

    let text: DecoderConfiguration
    let tower: PatchTower
    let mergeSize: Int
    let quantization: QuantizationConfig?
    let image: ImageSpec
    let common: InputSpec

    package func inputs(_ tokens: TokenNames) -> InputSpec {
        var spec = common
        spec.image = image.named(tokens, fallback: "<|IMAGE_PLACEHOLDER|>")
        return spec
    }

    /// Patches of a square that becomes a row.
    private var cell: Int { mergeSize * mergeSize }

    package var geometry: ModelGeometry { ModelGeometry(text, patchSize: tower.patchSize, mergeSize: mergeSize) }

    private static let rewrites = [
        NameRewrite("visual.vision_model.", "visual."), NameRewrite("model.visual.vision_model.", "visual."),
        NameRewrite("model.visual.", "visual."), NameRewrite("mlp_AR.", "projector."), NameRewrite("model.projector.", "projector."),
        NameRewrite("model.language_model.", "model."),
    ]

    package func effective(_ checkpoint: Checkpoint) -> Checkpoint { text.effective(checkpoint, Self.rewrites) }

    package func trace(_ checkpoint: CheckpointTypes, bounds: TraceBounds) throws(CheckpointError) -> Module {
        var entries = TraceEntries(decoder: text, images: ImageRows(), rewrites: Self.rewrites, quantization: quantization)
        entries.ignored = [.containing("packing_position_embedding"), .prefix("visual.head.")]
        entries.visionSymbols = [("M", max(bounds.patches / cell, 1))]
        return try entries.module(checkpoint, bounds) { tracer in
            let scale = PixelScale(image.pixels)
            let width = cell * tower.width
            let rows = tracer.scope("visual") { tracer.encode(tower, scale, rows: Dim(cell, times: "M")).rows }
            return tracer.scope("projector") {
                let normed = tracer.layerNorm("pre_norm", rows, width: tower.width, eps: 1e-5)
                let joined = tracer.b.reshape(normed, ["M", .fixed(width)])
                return tracer.mlp(joined, "linear_1", "linear_2", from: width, inner: width, to: text.width, .gelu)
            }
        }
    }
}
