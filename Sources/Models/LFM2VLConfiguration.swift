package import HuggingFace
import IR
import Plan

extension LFM2VL {
    package init(_ directory: ModelDirectory) throws(CheckpointError) {
        let config = try directory.config()
        let top = try config.originalSection()
        let (current, old) = (try top.bool("tie_word_embeddings"), try top.bool("tie_embedding"))
        text = try DecoderConfiguration(top.required("text_config"), assumed: "lfm2", isTied: old ?? current ?? true)
        var tower = try PatchTower.siglip2(top.required("vision_config"))
        tower.hasLastNorm = true
        self.tower = tower
        mergeSize = try top.size("downsample_factor", or: 2, in: 1...16)
        projector = Projector(
            inner: try top.size("projector_hidden_size", or: 2560, in: 1...1 << 20),
            activation: top.has("projector_hidden_act") ? try ActivationFunction(top, "projector_hidden_act") : .gelu,
            hasNorm: try top.bool("projector_use_layernorm") ?? true, hasBias: try top.bool("projector_bias") ?? true)
        quantization = try config.quantization()
        let token = try top.imageToken(vocabulary: text.vocabulary, or: 396)
        image = try Self.images(directory.imageProcessor(), tower, mergeSize: mergeSize, token: token)
        common = try directory.inputs(vocabulary: text.vocabulary, positions: .sequential(start: 0), config)
    }

    /// `Lfm2VlImageProcessor`: a small image in its ratio; a large one in tiles, and then as a whole.
    private static func images(
        _ section: ConfigSection, _ tower: PatchTower, mergeSize: Int, token: Int32
    ) throws(CheckpointError) -> ImageSpec {
        let file = try ProcessorFile(section, types: ["Lfm2VlImageProcessor"], defaults: .half, filter: .bilinear)
        let patch = try section.given("encoder_patch_size", in: 1...256) ?? 16
        let factor = try section.given("downsample_factor", in: 1...16) ?? 2
        guard patch == tower.patchSize, factor == mergeSize else {
            throw section.error(
                "encoder_patch_size", "makes patches of \(patch) joined by \(factor), the tower takes those of \(tower.patchSize) joined by \(mergeSize)",
                .inconsistent)
        }
        let multiple = patch * factor
        let least = try section.given("min_image_tokens", in: 1...1 << 16) ?? 64
        let most = try section.given("max_image_tokens", in: least...1 << 16) ?? 256
        let whole = FitRule.bounded(minPixels: least * multiple * multiple, maxPixels: most * multiple * multiple, multiple: multiple)
        let side = try section.given("tile_size", in: multiple...1 << 14) ?? 512
        let (fewest, tiles) = (try section.given("min_tiles", in: 1...64) ?? 2, try section.given("max_tiles", in: 1...64) ?? 10)
        var longest = most * factor * factor
        var views = [file.view(whole)]
        var pieces: [PromptPiece] = [.text("<|image_start|>"), .features, .text("<|image_end|>")]
        let isSplit = try section.flag("do_image_splitting")
        if isSplit, fewest != 1 || tiles != 1 {
            guard fewest > 1, fewest <= tiles else { throw section.error("min_tiles", "is \(fewest); expected 2 to max_tiles, \(tiles)") }
            let tolerance = try section.double("max_pixels_tolerance") ?? 2
            guard tolerance > 0, tolerance <= 1e6 else { throw section.error("max_pixels_tolerance", "is \(tolerance), which cannot be") }
            let area = Int(Double(most * multiple * multiple) * tolerance)
            let condition = ViewSpec.Condition.larger(pixels: area, multiple: multiple, least: patch)
            let hasOverview = try section.flag("use_thumbnail")
            views.insert(file.view(.aspectTiles(side: side, least: fewest, most: tiles), condition: condition), at: 0)
            views[1].condition = hasOverview ? .always : .without(view: 0)
            let tile: [PromptPiece] = [.text("<|img_row_{row}_col_{column}|>"), .features]
            let overview: [PromptPiece] = [.tiles(view: 1, [.features], between: "", rowEnd: "")]
            let thumbnail: [PromptPiece] = hasOverview ? [.text("<|img_thumbnail|>")] + overview : []
            let split: [PromptPiece] = [.tiles(view: 0, tile, between: "", rowEnd: "")] + thumbnail
            pieces = [.text("<|image_start|>"), .view(0, split, otherwise: overview), .text("<|image_end|>")]
            longest = max(longest, (side / patch) * (side / patch))
        }
        return ImageSpec(
            views: views, order: Array(views.indices),
            pixels: file.pixels(tower, order: .cells(side: factor, columnsFirst: false), form: .padded(rows: longest)),
            tensors: [VisionTensor("pixels", .pixels), VisionTensor("table_weights", .blendWeights(.antialiased(side: tower.gridSide)))],
            segments: [VisionSegments("tiles", .tiles)], features: .cells(side: factor),
            prompt: ImagePrompt(marker: "", token: token, tokenText: "", pieces: pieces))
    }
}

extension PatchTower {
    /// `Siglip2VisionConfig`: patches of any image size, as rows of a linear layer; the whole table is resized to an image's grid.
    static func siglip2(_ config: ConfigSection) throws(CheckpointError) -> PatchTower {
        var tower = try PatchTower(config, TowerDefaults(activation: .geluTanh, eps: 1e-6))
        let places = try config.size("num_patches", or: 256, in: 1...1 << 12)
        let side = Int(Double(places).squareRoot())
        guard side * side == places else { throw config.error("num_patches", "is \(places), which is no square") }
        tower.positions = places
        tower.resizesTable = true
        tower.hasChannelsLast = true
        return tower
    }
}
