package import HuggingFace
package import IR
package import Plan
import Tensors

/// LightOnOCR (arXiv 2601.14251): Pixtral's tower over patches of any image size, whole squares of patches joined to one row, two
/// linear layers, a Qwen3.
package struct LightOnOCR: ModelDefinition {
    package static let architectures = ["LightOnOcrForConditionalGeneration"]
    package static let modelTypes = ["lighton_ocr"]

    let text: DecoderConfiguration
    let tower: PatchTower
    /// Side of the square of patches that becomes a row.
    let mergeSize: Int
    let quantization: QuantizationConfig?
    let image: ImageSpec
    let common: InputSpec

    package func inputs(_ tokens: TokenNames) -> InputSpec {
        var spec = common
        spec.image = image.named(tokens, fallback: "<|image_pad|>")
        return spec
    }

    /// Patches of a square that becomes a row.
    private var cell: Int { mergeSize * mergeSize }

    package var geometry: ModelGeometry { ModelGeometry(text, patchSize: tower.patchSize, mergeSize: mergeSize) }

    private static let rewrites =
        NameTables.pixtralTower("model.vision_encoder.")
        + [NameRewrite("model.vision_projection.", "projector."), NameRewrite("model.language_model.", "model.")]

    package func effective(_ checkpoint: Checkpoint) -> Checkpoint { text.effective(checkpoint, Self.rewrites) }

    package func trace(_ checkpoint: CheckpointTypes, bounds: TraceBounds) throws(CheckpointError) -> Module {
        var entries = TraceEntries(decoder: text, images: ImageRows(), rewrites: Self.rewrites, quantization: quantization)
        entries.visionSymbols = [("P", bounds.patches), ("M", bounds.features)]
        return try entries.module(checkpoint, bounds) { vision($0, PixelScale(image.pixels)) }
    }

    /// Patches in raster order to image rows; patches beyond the last whole square are seen by the others and make no row.
    private func vision(_ tracer: ModelTracer, _ scale: PixelScale) -> Value {
        let b = tracer.b
        let rows = tracer.scope("visual") { tracer.encode(tower, scale, rows: "P").rows }
        let squares = b.input("square_rows", TensorType(.i32, ["M", .fixed(cell)]))
        return tracer.scope("projector") {
            let normed = tracer.rmsNorm("norm", rows, width: tower.width, eps: text.eps)
            let gathered = b.gather(normed, b.reshape(squares, [Dim(cell, times: "M")]))
            let joined = tracer.joinedSquares(gathered, count: cell, width: tower.width)
            let merged = tracer.scope("patch_merger") {
                tracer.linear("merging_layer", joined, from: cell * tower.width, to: tower.width, bias: false)
            }
            return tracer.mlp(merged, "linear_1", "linear_2", from: tower.width, inner: text.width, to: text.width, .gelu, bias: false)
        }
    }
}
