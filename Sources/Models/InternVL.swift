package import HuggingFace
package import IR
package import Plan
import Tensors

/// InternVL 2 to 3 (arXiv 2312.14238), as transformers has it and as its own code had it before: tiles of a fixed size through
/// InternViT, squares of patches joined to one row, two linear layers.
package struct InternVL: ModelDefinition {
    package static let title = "InternVL"
    package static let architectures = ["InternVLForConditionalGeneration", "InternVLChatModel"]
    package static let modelTypes = ["internvl", "internvl_chat"]

    private let text: DecoderConfiguration
    private let tower: PatchTower
    /// Blocks in the checkpoint.
    private let blocks: Int
    /// Side of the square of patches that becomes a row.
    private let mergeSize: Int
    private let activation: ActivationFunction
    private let isRemote: Bool
    private let quantization: QuantizationConfig?
    private let image: ImageSpec
    private let common: InputSpec
    /// `template` of the remote layout.
    private let turns: TurnTemplate?

    package init(_ directory: ModelDirectory) throws(CheckpointError) {
        let config = try directory.config()
        let top = try config.originalSection()
        isRemote = try top.section("llm_config") != nil
        let section = try top.required(isRemote ? "llm_config" : "text_config")
        text = try DecoderConfiguration(section, assumed: isRemote ? "llama" : "qwen2", isTied: isRemote ? nil : top.bool("tie_word_embeddings"))
        var tower = try PatchTower.intern(top.required("vision_config"), isRemote: isRemote)
        blocks = tower.depth
        let key = isRemote ? "select_layer" : "vision_feature_layer"
        tower.depth = try tower.blocks(for: top.int(key) ?? -1, top, key)
        let ratio = top.has("downsample_ratio") ? try top.positive("downsample_ratio") : 0.5
        guard ratio <= 1, (1 / ratio).rounded() == 1 / ratio, let side = Int(exactly: 1 / ratio), tower.tilePatches % (side * side) == 0 else {
            throw top.error("downsample_ratio", "is \(ratio), which does not divide a tile of \(tower.tilePatches) patches", .unsupported)
        }
        mergeSize = side
        self.tower = tower
        activation = top.has("projector_hidden_act") ? try ActivationFunction(top, "projector_hidden_act") : .gelu
        quantization = try config.quantization()
        image = try isRemote
            ? Self.remoteImages(top, tower, mergeSize) : Self.images(directory.imageProcessor(), tower, mergeSize, top, text.vocabulary)
        turns = isRemote ? try Self.turns(top) : nil
        common = try directory.inputs(vocabulary: text.vocabulary, positions: text.positions, config)
    }

    package func inputs(_ tokens: TokenNames) throws(CheckpointError) -> InputSpec {
        var spec = common
        var image = image
        if isRemote {
            guard let token = tokens.token(Self.contextToken) else {
                throw CheckpointError(.inconsistent, file: "the tokenizer", "has no token \(Self.contextToken), which stands for images")
            }
            image.prompt.token = token
        }
        spec.image = image.named(tokens, fallback: Self.contextToken)
        spec.chatTemplate = turns?.source
        return spec
    }

    package var geometry: ModelGeometry { ModelGeometry(text, patchSize: tower.patchSize, mergeSize: mergeSize) }

    private var rewrites: [NameRewrite] {
        let parts = isRemote ? NameTables.internLM2 : []
        let own = [
            NameRewrite("vision_model.", "visual.", NameTables.internVisionRemote), NameRewrite("mlp1.0.", "projector.layer_norm."),
            NameRewrite("mlp1.1.", "projector.linear_1."), NameRewrite("mlp1.3.", "projector.linear_2."),
        ]
        return NameTables.wrapped(parts) + own + NameTables.tower(NameTables.internVision) + NameTables.projector
    }

    package func effective(_ checkpoint: Checkpoint) -> Checkpoint { text.effective(checkpoint, rewrites) }

    package func trace(_ checkpoint: CheckpointTypes, bounds: TraceBounds) throws(CheckpointError) -> Module {
        var entries = TraceEntries(decoder: text, images: ImageRows(), rewrites: rewrites, quantization: quantization)
        entries.ignored = PatchTower.unused(from: tower.depth, of: blocks) + [.prefix("visual.embeddings.mask_token")]
        let cell = mergeSize * mergeSize
        entries.visionSymbols = [("N", max(bounds.patches / (tower.positions ?? 1), 1))]
        return try entries.module(checkpoint, bounds) { tracer in
            let scale = PixelScale(image.pixels)
            let rows = tracer.scope("visual") { tracer.encode(tower, scale, rows: tower.tileRows).rows }
            let patches = tracer.droppingClassRows(rows, count: tower.tilePatches, width: tower.width)
            let width = cell * tower.width
            let joined = tracer.b.reshape(patches, [Dim(tower.tilePatches / cell, times: "N"), .fixed(width)])
            return tracer.scope("projector") {
                let normed = tracer.layerNorm("layer_norm", joined, width: width, eps: 1e-5)
                return tracer.mlp(normed, "linear_1", "linear_2", from: width, inner: text.width, to: text.width, activation)
            }
        }
    }
}
