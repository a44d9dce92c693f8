package import HuggingFace
package import IR
package import Plan
import Tensors

/// Pixtral (arXiv 2410.07073) and Mistral Small 3.1: a tower over patches of any image size with rotary places on two axes, squares of
/// patches joined to one row in the latter, two linear layers, a Mistral.
package struct Pixtral: ModelDefinition {
    package static let title = "Pixtral and Mistral 3"
    package static let architectures = ["LlavaForConditionalGeneration", "Mistral3ForConditionalGeneration"]
    package static let modelTypes = ["llava", "mistral3"]

    let text: DecoderConfiguration
    let tower: PatchTower
    /// Side of the square of patches that becomes a row; nil where each patch is one.
    let mergeSize: Int?
    let activation: ActivationFunction
    let projectorBias: Bool
    let quantization: QuantizationConfig?
    let image: ImageSpec
    let common: InputSpec

    /// One of its names is LLaVA's; the tower tells them apart.
    package static func computes(_ config: ModelConfig) throws(CheckpointError) -> Bool {
        try config.originalSection().section("vision_config")?.string("model_type") == "pixtral"
    }

    package func inputs(_ tokens: TokenNames) -> InputSpec {
        var spec = common
        spec.image = image.named(tokens, fallback: "[IMG]")
        return spec
    }

    /// Patches of a square that becomes a row.
    private var cell: Int { (mergeSize ?? 1) * (mergeSize ?? 1) }

    package var geometry: ModelGeometry { ModelGeometry(text, patchSize: tower.patchSize, mergeSize: mergeSize ?? 1) }

    private static let rewrites =
        NameTables.wrapped() + ["vision_tower.", "model.vision_tower."].flatMap(NameTables.pixtralTower) + NameTables.projector

    package func effective(_ checkpoint: Checkpoint) -> Checkpoint { text.effective(checkpoint, Self.rewrites) }

    package func trace(_ checkpoint: CheckpointTypes, bounds: TraceBounds) throws(CheckpointError) -> Module {
        var entries = TraceEntries(decoder: text, images: ImageRows(), rewrites: Self.rewrites, quantization: quantization)
        entries.visionSymbols = [("M", max(bounds.patches / cell, 1))]
        return try entries.module(checkpoint, bounds) { vision($0, PixelScale(image.pixels)) }
    }

    private func vision(_ tracer: ModelTracer, _ scale: PixelScale) -> Value {
        let rows = tracer.scope("visual") { tracer.encode(tower, scale, rows: Dim(cell, times: "M")).rows }
        return tracer.scope("projector") {
            let joined = mergeSize == nil ? rows : merged(rows, tracer)
            return tracer.mlp(
                joined, "linear_1", "linear_2", from: tower.width, inner: text.width, to: text.width, activation, bias: projectorBias)
        }
    }

    /// Normalized patches of a square beside each other, channel by channel (`Mistral3PatchMerger`).
    private func merged(_ rows: Value, _ tracer: ModelTracer) -> Value {
        let normed = tracer.rmsNorm("norm", rows, width: tower.width, eps: text.eps)
        let joined = tracer.joinedSquares(normed, count: cell, width: tower.width)
        return tracer.scope("patch_merger") {
            tracer.linear("merging_layer", joined, from: cell * tower.width, to: tower.width, bias: false)
        }
    }
}
