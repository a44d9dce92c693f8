package import HuggingFace
package import IR
package import Plan
import Tensors

/// Phi-3-vision and Phi-3.5-vision (arXiv 2404.14219): tiles through CLIP, squares of patches joined, lines and views set apart by
/// learned rows, two linear layers.
package struct Phi3V: ModelDefinition {
    package static let title = "Phi-3-vision"
    package static let architectures = ["Phi3VForCausalLM"]
    package static let modelTypes = ["phi3_v"]

    private let text: DecoderConfiguration
    private let tower: PatchTower
    /// Blocks in the checkpoint.
    private let blocks: Int
    private let quantization: QuantizationConfig?
    private let image: ImageSpec
    private let common: InputSpec
    private static let mergeSize = 2

    /// The tower is CLIP ViT-L/14 at 336, which no configuration says; one for tests may have other extents.
    package init(_ directory: ModelDirectory) throws(CheckpointError) {
        let config = try directory.config()
        let top = try config.originalSection()
        text = try DecoderConfiguration(top, assumed: "phi3")
        let processor = try top.required("img_processor")
        let override = try processor.section("_tiny_override")
        let defaults = TowerDefaults(
            width: 1024, inner: 4096, blocks: 24, heads: 16, activation: .quickGelu, eps: 1e-5, imageSize: 336, patchSize: 14)
        var tower = try PatchTower.clip(override ?? processor, defaults)
        tower.takesBytes = false
        blocks = tower.depth
        tower.depth = try tower.blocks(for: -2, top, "img_processor")
        self.tower = tower
        let layout = try top.section("embd_layer")
        if let order = try layout?.string("hd_transform_order"), order != "sub_glb" {
            throw top.error("embd_layer.hd_transform_order", "is \"\(order)\"; only sub_glb is supported", .unsupported)
        }
        if try layout?.bool("use_hd_transform") == false {
            throw top.error("embd_layer.use_hd_transform", "is false, which is not supported", .unsupported)
        }
        quantization = try config.quantization()
        common = try directory.inputs(vocabulary: text.vocabulary, positions: text.positions, config)
        image = try Self.images(directory.imageProcessor(), tower, mergeSize: Self.mergeSize)
    }

    package func inputs(_ tokens: TokenNames) -> InputSpec {
        var spec = common
        spec.image = image
        return spec
    }

    package var geometry: ModelGeometry { ModelGeometry(text, patchSize: tower.patchSize, mergeSize: Self.mergeSize) }

    private static let rewrites = [
        NameRewrite("model.vision_embed_tokens.img_processor.vision_model.", "visual."),
        NameRewrite("model.vision_embed_tokens.img_projection.", "projector."), NameRewrite("model.vision_embed_tokens.", "projector."),
    ]

    package func effective(_ checkpoint: Checkpoint) -> Checkpoint { text.effective(checkpoint, Self.rewrites) }

    package func trace(_ checkpoint: CheckpointTypes, bounds: TraceBounds) throws(CheckpointError) -> Module {
        var entries = TraceEntries(decoder: text, images: ImageRows(), rewrites: Self.rewrites, quantization: quantization)
        entries.ignored = [.prefix("visual.post_layernorm."), .prefix("projector.wte.")] + PatchTower.unused(from: tower.depth, of: blocks)
        entries.visionSymbols = [("N", max(bounds.patches / (tower.positions ?? 1), 1)), ("M", bounds.features)]
        return try entries.module(checkpoint, bounds) { vision($0, PixelScale(factor: nil, mean: [0, 0, 0], deviation: [1, 1, 1])) }
    }

    private func vision(_ tracer: ModelTracer, _ scale: PixelScale) -> Value {
        let b = tracer.b
        let rows = tracer.scope("visual") { tracer.encode(tower, scale, rows: tower.tileRows).rows }
        let patches = tracer.droppingClassRows(rows, count: tower.tilePatches, width: tower.width)
        let cell = Self.mergeSize * Self.mergeSize
        let width = cell * tower.width
        let joined = b.reshape(patches, [Dim(tower.tilePatches / cell, times: "N"), .fixed(width)])
        return tracer.scope("projector") {
            let separators = ["sub_GN", "glb_GN"].map { b.reshape(tracer.padded($0, [.fixed(width)]), [1, .fixed(width)]) }
            let features = tracer.extraRows(tracer.featureRows(joined), b.concat(separators, axis: 0))
            return tracer.mlp(features, "0", "2", from: width, inner: text.width, to: text.width, .gelu)
        }
    }
}
