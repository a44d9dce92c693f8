import HuggingFace
import IR
import Models
import Plan

/// One square of an image through CLIP, two linear layers, and any decoder.
struct ToyFamily: ModelDefinition {
    static let title = "Toy"
    static let architectures = ["ToyForConditionalGeneration"]
    static let modelTypes = ["toy"]

    let text: DecoderConfiguration
    let tower: PatchTower
    let image: ImageSpec
    let common: InputSpec

    init(_ directory: ModelDirectory) throws(CheckpointError) {
        let config = try directory.config()
        let top = try config.originalSection()
        text = try DecoderConfiguration(top.required("text_config"), assumed: "llama", isTied: false)
        tower = try PatchTower.clip(top.required("vision_config"))
        let file = try ProcessorFile(directory.imageProcessor(), types: ["CLIPImageProcessor"])
        let side = try file.tileSide(tower)
        image = ImageSpec(
            views: [file.view(.cover(edge: side, width: side, height: side))], pixels: file.pixels(tower, form: .tiles),
            tensors: tower.tensors(), segments: [VisionSegments("tiles", .tiles)], features: .cells(side: 1),
            prompt: ImagePrompt(marker: "", token: try top.imageToken(vocabulary: text.vocabulary), tokenText: ""))
        common = try directory.inputs(vocabulary: text.vocabulary, positions: .sequential(start: 0), config)
    }

    func inputs(_ tokens: TokenNames) -> InputSpec {
        var spec = common
        spec.image = image.named(tokens, fallback: "<image>")
        return spec
    }

    var geometry: ModelGeometry { ModelGeometry(text, patchSize: tower.patchSize, mergeSize: 1) }

    func trace(_ checkpoint: CheckpointTypes, bounds: TraceBounds) throws(CheckpointError) -> Module {
        var run = tower
        run.depth -= 1  // features are the rows before the last block
        var entries = TraceEntries(text, images: ImageRows(), rewrites: NameTables.wrapped() + NameTables.tower() + NameTables.projector)
        entries.ignored = [.prefix("visual.post_layernorm.")] + PatchTower.unused(from: run.depth, of: tower.depth)
        entries.visionSymbols = [("N", max(bounds.patches / (tower.tilePatches + 1), 1))]
        return try entries.module(checkpoint, bounds) { tracer in
            let rows = tracer.scope("visual") { tracer.encode(run, PixelScale(image.pixels), rows: run.tileRows).rows }
            let patches = tracer.droppingClassRows(rows, count: tower.tilePatches, width: tower.width)
            return tracer.scope("projector") {
                tracer.mlp(patches, "linear_1", "linear_2", from: tower.width, inner: text.width, to: text.width, .gelu)
            }
        }
    }
}
