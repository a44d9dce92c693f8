package import HuggingFace
package import IR
package import Plan
import Tensors

/// LLaVA-1.5, LLaVA-NeXT and LLaVA-OneVision (arXiv 2310.03744, 2408.03326): tiles of a fixed size through CLIP or SigLIP, two
/// linear layers, any decoder.
package struct Llava: ModelDefinition {
    package static let title = "LLaVA"
    package static let architectures = [
        "LlavaForConditionalGeneration", "LlavaNextForConditionalGeneration", "LlavaOnevisionForConditionalGeneration",
    ]
    package static let modelTypes = ["llava", "llava_next", "llava_onevision"]

    /// How the rows of an image's tiles become the rows that stand in the prompt.
    enum Packing {
        /// As they are.
        case tiles
        /// Some of them, with a row of its own at each line's end.
        case lines
        /// Blends of four of them, with such rows.
        case blendedLines
    }

    let text: DecoderConfiguration
    let tower: PatchTower
    /// After how many blocks rows are taken; several are joined.
    let depths: [Int]
    /// Blocks in the checkpoint.
    let blocks: Int
    let dropsClassRows: Bool
    let packing: Packing
    let activation: ActivationFunction
    let projectorBias: Bool
    let quantization: QuantizationConfig?
    let image: ImageSpec
    /// Nil for those of the line that take none.
    let videos: FamilyVideos?
    let common: InputSpec

    package func inputs(_ tokens: TokenNames) -> InputSpec {
        var spec = common
        spec.image = image.named(tokens, fallback: "<image>")
        videos?.put(into: &spec, tokens, fallback: "<video>")
        if packing == .tiles { spec.chatTemplate = Self.turns(spec.image?.prompt.marker ?? "").source }
        return spec
    }

    /// The turns of Vicuna, which LLaVA-1.5 was trained with.
    private static func turns(_ marker: String) -> TurnTemplate {
        TurnTemplate(
            system: ("", nil), user: "USER: ", assistant: "ASSISTANT: ", answer: "ASSISTANT:", systemEnding: " ", userEnding: " ",
            assistantEnding: "</s>", image: marker + "\n")
    }

    package var geometry: ModelGeometry { ModelGeometry(text, patchSize: tower.patchSize, mergeSize: 1) }

    private static let rewrites =
        NameTables.wrapped() + NameTables.tower() + NameTables.projector + [NameRewrite("model.image_newline", "image_newline")]

    package func effective(_ checkpoint: Checkpoint) -> Checkpoint { text.effective(checkpoint, Self.rewrites) }

    package func trace(_ checkpoint: CheckpointTypes, bounds: TraceBounds) throws(CheckpointError) -> Module {
        let deepest = depths.max() ?? 0
        var entries = TraceEntries(decoder: text, images: ImageRows(), rewrites: Self.rewrites, quantization: quantization)
        entries.ignored = [.prefix("visual.post_layernorm."), .prefix("visual.head.")] + PatchTower.unused(from: deepest, of: blocks)
        if packing == .tiles { entries.ignored.append(.prefix("image_newline")) }
        entries.visionSymbols = [("N", max(bounds.patches / (tower.positions ?? 1), 1))]
        if packing != .tiles { entries.visionSymbols.append(("M", bounds.features)) }
        return try entries.module(checkpoint, bounds) { $0.vision(self, PixelScale(image.pixels)) }
    }
}

extension ModelTracer {
    /// Tiles u8 `[rows · N, 3·p²]` to image rows f32 `[M, H]`.
    fileprivate func vision(_ model: Llava, _ scale: PixelScale) -> Value {
        let rows = selectedRows(model, scale)
        let count = model.tower.width * model.depths.count
        func projected(_ x: Value) -> Value {
            scope("projector") {
                mlp(x, "linear_1", "linear_2", from: count, inner: model.text.width, to: model.text.width, model.activation, bias: model.projectorBias)
            }
        }
        switch model.packing {
        case .tiles:
            return projected(model.dropsClassRows ? droppingClassRows(rows, count: model.tower.tilePatches, width: count) : rows)
        case .lines: return extraRows(projected(featureRows(rows)), lineEnd(model))
        case .blendedLines:
            let blends = blended(projected(rows), rowBlend("feature", count: 4, rows: "M"), width: model.text.width)
            return extraRows(blends, lineEnd(model))
        }
    }

    private func lineEnd(_ model: Llava) -> Value {
        b.reshape(parameter("image_newline", [.fixed(model.text.width)]), [1, .fixed(model.text.width)])
    }

    /// The rows after each of the depths beside each other.
    private func selectedRows(_ model: Llava, _ scale: PixelScale) -> Value {
        scope("visual") {
            var after: [Int: Value] = [:]
            let last = encode(model.tower, scale, rows: model.tower.tileRows) { after[$0 + 1] = $1 }
            let selected = model.depths.map { after[$0] ?? last.rows }
            return selected.count == 1 ? selected[0] : b.concat(selected, axis: 1)
        }
    }
}
