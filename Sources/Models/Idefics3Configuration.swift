package import HuggingFace
import Plan

extension Idefics3 {
    package init(_ directory: ModelDirectory) throws(CheckpointError) {
        let config = try directory.config()
        let top = try config.originalSection()
        text = try DecoderConfiguration(top.required("text_config"), assumed: "llama", isTied: top.bool("tie_word_embeddings"))
        var tower = try PatchTower.idefics3(top.required("vision_config"))
        tower.hasLastNorm = true
        self.tower = tower
        mergeSize = try top.size("scale_factor", or: 2, in: 1...16)
        guard tower.gridSide % mergeSize == 0 else {
            throw top.error("scale_factor", "is \(mergeSize), which does not divide a tile of \(tower.gridSide) × \(tower.gridSide) patches")
        }
        quantization = try config.quantization()
        let token = try top.imageToken(vocabulary: text.vocabulary, or: 128_257)
        image = try Self.images(directory.imageProcessor(), tower, mergeSize, token: token)
        common = try directory.inputs(vocabulary: text.vocabulary, positions: text.positions, config)
    }

    /// `Idefics3ImageProcessor`: tiles of the image in its ratio, then the whole of it; an image of one tile is that alone.
    private static func images(
        _ section: ConfigSection, _ tower: PatchTower, _ mergeSize: Int, token: Int32
    ) throws(CheckpointError) -> ImageSpec {
        let types = ["Idefics3ImageProcessor", "SmolVLMImageProcessor"]
        let file = try ProcessorFile(section, types: types, defaults: .half, filter: .lanczos)
        let side = try section.section("max_image_size")?.size("longest_edge", in: 1...1 << 12) ?? 364
        try file.check(side: side, tower, "max_image_size.longest_edge")
        let edge = try section.section("size")?.size("longest_edge", in: 1...1 << 12) ?? 4 * 364
        let square = FitRule.exact(width: side, height: side)
        let isSplit = try section.flag("do_image_splitting")
        let tiles = isSplit ? FitRule.multiples(side: side) : square
        return ImageSpec(
            views: [
                file.view(.longestEdge(edge: edge)), file.view(tiles, source: 0), file.view(square, source: 1, condition: .split(view: 1)),
            ], order: [1, 2], pixels: file.pixels(tower, order: .cells(side: mergeSize, columnsFirst: false), form: .prompt),
            tensors: [
                VisionTensor("pixels", .pixels), VisionTensor("table_rows", .tableRows(.buckets(side: tower.gridSide, .product))),
            ], segments: [VisionSegments("tiles", .tiles)], features: .cells(side: mergeSize),
            prompt: ImagePrompt(marker: "", token: token, tokenText: "", pieces: pieces))
    }

    /// The views are the image before it is cut, its tiles, and the whole of it beside them.
    private static var pieces: [PromptPiece] {
        let mark = "<fake_token_around_image>"
        let whole = mark + "<global-img>"
        let tile: [PromptPiece] = [.text(mark + "<row_{row}_col_{column}>"), .features]
        let split: [PromptPiece] = [
            .tiles(view: 1, tile, between: "", rowEnd: "\n"), .text("\n\n" + whole), .tiles(view: 2, [.features], between: "", rowEnd: ""),
        ]
        return [.view(2, split, otherwise: [.text(whole), .features]), .text(mark)]
    }
}
