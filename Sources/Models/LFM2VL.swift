package import HuggingFace
package import IR
package import Plan
import Tensors

/// LFM2-VL: an image in its own ratio, or tiles of it, through SigLIP 2, squares of patches joined to one row, and a decoder of which
/// most layers are short convolutions.
package struct LFM2VL: ModelDefinition {
    package static let title = "LFM2-VL"
    package static let architectures = ["Lfm2VlForConditionalGeneration"]
    package static let modelTypes = ["lfm2_vl"]

    let text: DecoderConfiguration
    let tower: PatchTower
    /// Side of the square of patches that becomes a row.
    let mergeSize: Int
    let projector: Projector
    let quantization: QuantizationConfig?
    /// Without the tokens' texts.
    let image: ImageSpec
    let common: InputSpec

    struct Projector {
        var inner: Int
        var activation: ActivationFunction
        var hasNorm: Bool
        var hasBias: Bool
    }

    package func inputs(_ tokens: TokenNames) -> InputSpec {
        var spec = common
        spec.image = image.named(tokens, fallback: "<image>")
        return spec
    }

    private var cell: Int { mergeSize * mergeSize }

    package var geometry: ModelGeometry { ModelGeometry(text, patchSize: tower.patchSize, mergeSize: mergeSize) }

    private static let rewrites = NameTables.wrapped(NameTables.lfm2) + NameTables.tower() + NameTables.projector

    package func effective(_ checkpoint: Checkpoint) -> Checkpoint { text.effective(checkpoint, Self.rewrites) }

    package func trace(_ checkpoint: CheckpointTypes, bounds: TraceBounds) throws(CheckpointError) -> Module {
        var entries = TraceEntries(decoder: text, images: ImageRows(), rewrites: Self.rewrites, quantization: quantization)
        entries.ignored = [.prefix("visual.head.")]
        entries.visionSymbols = [("M", max(bounds.patches / cell, 1))]
        return try entries.module(checkpoint, bounds) { vision($0, PixelScale(image.pixels)) }
    }

    private func vision(_ tracer: ModelTracer, _ scale: PixelScale) -> Value {
        let rows = tracer.scope("visual") { tracer.encode(tower, scale, rows: Dim(cell, times: "M")).rows }
        let width = cell * tower.width
        let joined = tracer.b.reshape(rows, ["M", .fixed(width)])
        return tracer.scope("projector") {
            let x = projector.hasNorm ? tracer.layerNorm("layer_norm", joined, width: width, eps: 1e-5) : joined
            return tracer.mlp(
                x, "linear_1", "linear_2", from: width, inner: projector.inner, to: text.width, projector.activation, bias: projector.hasBias)
        }
    }
}
