package import HuggingFace
import Plan

extension MiniCPMV46 {
    package init(_ directory: ModelDirectory) throws(CheckpointError) {
        let config = try directory.config()
        let top = try config.originalSection()
        // Positions count along the text on all three axes.
        var kind = DecoderKind.qwen35
        kind.axes = .one
        text = try DecoderConfiguration(top.required("text_config"), kind, isTied: top.bool("tie_word_embeddings"))
        let vision = try top.required("vision_config")
        let tower = try PatchTower.siglip(vision)
        self.tower = tower
        for (section, key) in [(vision, "window_kernel_size"), (top, "merge_kernel_size")] {
            guard try section.ints(key) ?? [2, 2] == [2, 2] else { throw section.error(key, "is not 2 × 2, which is not supported", .unsupported) }
        }
        guard try top.int("merger_times") ?? 1 == 1 else {
            throw top.error("merger_times", "is not 1, which is not supported", .unsupported)
        }
        let mode = try top.string("downsample_mode") ?? "16x"
        let block = try top.int("insert_layer_id") ?? 6
        guard mode == "4x" || (0..<tower.depth).contains(block) else {
            throw top.error("insert_layer_id", "is \(block), but the tower has \(tower.depth) blocks")
        }
        joiningBlock = mode == "4x" ? nil : block
        quantization = try config.quantization()
        let token = try top.imageToken(vocabulary: text.vocabulary)
        image = try Self.images(directory.imageProcessor(), tower, joins: joiningBlock != nil, token: token)
        common = try directory.inputs(vocabulary: text.vocabulary, positions: .sequential(start: 0), config)
    }

    /// `MiniCPMV4_6ImageProcessor`: the image as a whole, and slices of it where it is large.
    private static func images(
        _ section: ConfigSection, _ tower: PatchTower, joins: Bool, token: Int32
    ) throws(CheckpointError) -> ImageSpec {
        let file = try ProcessorFile(section, types: ["MiniCPMV4_6ImageProcessor"], defaults: .half)
        guard try section.string("downsample_mode") ?? "16x" == (joins ? "16x" : "4x") else {
            throw section.error("downsample_mode", "is not that of config.json", .inconsistent)
        }
        let patch = try section.given("patch_size", in: 1...256) ?? 14
        guard patch == tower.patchSize else { throw section.error("patch_size", "is \(patch), the tower takes \(tower.patchSize)", .inconsistent) }
        let side = try section.given("scale_resolution", in: 1...1 << 12) ?? 448
        let isSliced = try section.flag("slice_mode")
        let most = isSliced ? try section.given("max_slice_nums", in: 1...64) ?? 9 : 1
        let multiple = patch * (joins ? 4 : 2)
        let fits = [FitRule.overview(side: side, most: most, multiple: multiple), .slices(side: side, most: most, multiple: multiple)]
        let number = try section.flag("use_image_id") ? [PromptPiece.text("<image_id>{index}</image_id>")] : []
        let whole: [PromptPiece] = [.text("<image>"), .tiles(view: 0, [.features], between: "", rowEnd: ""), .text("</image>")]
        let slice: [PromptPiece] = [.text("<slice>"), .features, .text("</slice>")]
        let segments: [VisionSegments] =
            [VisionSegments("tiles", .tiles)] + (joins ? [VisionSegments("windows", .runs(count: 4)), VisionSegments("squares", .cells(side: 2))] : [])
        return ImageSpec(
            views: fits.map { file.view($0) }, order: [0, 1],
            pixels: file.pixels(tower, order: joins ? .nested : .cells(side: 2, columnsFirst: false), form: .strip),
            tensors: [VisionTensor("pixels", .pixels), VisionTensor("table_rows", .tableRows(.buckets(side: tower.gridSide, .quotient)))],
            segments: segments, features: .cells(side: joins ? 4 : 2),
            prompt: ImagePrompt(
                marker: "", token: token, tokenText: "",
                pieces: number + whole + [.view(1, [.tiles(view: 1, slice, between: "", rowEnd: "\n")], otherwise: [])]))
    }
}
