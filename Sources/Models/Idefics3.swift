package import HuggingFace
package import IR
package import Plan
import Tensors

/// Idefics3 and SmolVLM (arXiv 2408.12637, 2504.05299): tiles of a fixed size through SigLIP, squares of patches joined to one row, one
/// linear layer, a Llama.
package struct Idefics3: ModelDefinition {
    package static let title = "Idefics3 and SmolVLM"
    package static let architectures = ["Idefics3ForConditionalGeneration", "SmolVLMForConditionalGeneration"]
    package static let modelTypes = ["idefics3", "smolvlm"]

    let text: DecoderConfiguration
    let tower: PatchTower
    let mergeSize: Int
    let quantization: QuantizationConfig?
    let image: ImageSpec
    let common: InputSpec

    package func inputs(_ tokens: TokenNames) -> InputSpec {
        var spec = common
        spec.image = image.named(tokens, fallback: "<image>")
        return spec
    }

    package var geometry: ModelGeometry { ModelGeometry(text, patchSize: tower.patchSize, mergeSize: mergeSize) }

    private static let rewrites = [
        NameRewrite("model.text_model.", "model."), NameRewrite("model.vision_model.", "visual."),
        NameRewrite("model.connector.modality_projection.", "projector."),
    ]

    package func effective(_ checkpoint: Checkpoint) -> Checkpoint { text.effective(checkpoint, Self.rewrites) }

    package func trace(_ checkpoint: CheckpointTypes, bounds: TraceBounds) throws(CheckpointError) -> Module {
        var entries = TraceEntries(decoder: text, images: ImageRows(), rewrites: Self.rewrites, quantization: quantization)
        let cell = mergeSize * mergeSize
        entries.visionSymbols = [("N", max(bounds.patches / tower.tilePatches, 1))]
        return try entries.module(checkpoint, bounds) { tracer in
            let scale = PixelScale(image.pixels)
            let rows = tracer.scope("visual") { tracer.encode(tower, scale, rows: tower.tileRows).rows }
            let width = cell * tower.width
            let joined = tracer.b.reshape(rows, [Dim(tower.tilePatches / cell, times: "N"), .fixed(width)])
            return tracer.scope("projector") { tracer.linear("proj", joined, from: width, to: text.width, bias: false) }
        }
    }
}
