package import HuggingFace
package import IR
package import Plan
import Tensors

/// PaliGemma 1 and 2 (arXiv 2407.07726, 2412.03555): one square image through SigLIP, one linear layer, a Gemma whose prompt's
/// tokens all see each other. Positions start at 1.
package struct PaliGemma: ModelDefinition {
    package static let title = "PaliGemma"
    package static let architectures = ["PaliGemmaForConditionalGeneration"]
    package static let modelTypes = ["paligemma"]

    let text: DecoderConfiguration
    let tower: PatchTower
    let quantization: QuantizationConfig?
    let image: ImageSpec
    let common: InputSpec

    package func inputs(_ tokens: TokenNames) -> InputSpec {
        var spec = common
        spec.spans = .prompt
        spec.image = image.named(tokens, fallback: "<image>")
        spec.chatTemplate = Self.chatTemplate(spec.image?.prompt.marker ?? "<image>")
        let begin = spec.specialTokens["bos_token"] ?? "<bos>"
        spec.image?.prompt.spacing = .framed(behind: begin, end: "\n")
        return spec
    }

    package var geometry: ModelGeometry { ModelGeometry(text, patchSize: tower.patchSize, mergeSize: 1) }

    private static let rewrites = NameTables.wrapped() + NameTables.tower() + NameTables.projector

    package func effective(_ checkpoint: Checkpoint) -> Checkpoint { text.effective(checkpoint, Self.rewrites) }

    package func trace(_ checkpoint: CheckpointTypes, bounds: TraceBounds) throws(CheckpointError) -> Module {
        var entries = TraceEntries(decoder: text, images: ImageRows(), rewrites: Self.rewrites, quantization: quantization)
        entries.ignored = [.prefix("visual.head.")]
        entries.visionSymbols = [("N", max(bounds.patches / tower.tilePatches, 1))]
        return try entries.module(checkpoint, bounds) { tracer in
            let scale = PixelScale(image.pixels)
            let rows = tracer.scope("visual") { tracer.encode(tower, scale, rows: tower.tileRows).rows }
            return tracer.scope("projector") { tracer.linear("linear", rows, from: tower.width, to: text.width, bias: true) }
        }
    }
}
