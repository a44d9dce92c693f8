package import HuggingFace
import Plan

extension PaddleOCRVL {
    /// Old files have the text model's keys at the top.
    package init(_ directory: ModelDirectory) throws(CheckpointError) {
        let config = try directory.config()
        let top = try config.originalSection()
        let section = try top.section("text_config") ?? top
        text = try DecoderConfiguration(section, own: "paddleocr_vl_text", isTied: top.bool("tie_word_embeddings"))
        let vision = try top.required("vision_config")
        tower = try .paddle(vision)
        mergeSize = try vision.size("spatial_merge_size", or: 2, in: 1...16)
        quantization = try config.quantization()
        let token = try top.imageToken(vocabulary: text.vocabulary, or: 100_295)
        image = try Self.images(directory.imageProcessor(), tower, mergeSize, token: token)
        common = try directory.inputs(vocabulary: text.vocabulary, positions: .mrope(mergeSize: mergeSize), config)
    }

    /// `PaddleOCRVLImageProcessor`
    private static func images(
        _ section: ConfigSection, _ tower: PatchTower, _ mergeSize: Int, token: Int32
    ) throws(CheckpointError) -> ImageSpec {
        let file = try ProcessorFile(section, types: ["PaddleOCRVLImageProcessor"])
        for (key, standard, known) in [("patch_size", 14, tower.patchSize), ("merge_size", 2, mergeSize), ("temporal_patch_size", 1, 1)] {
            let given = try section.given(key, in: 1...1024) ?? standard
            guard given == known else { throw section.error(key, "is \(given), but the model's is \(known)", .inconsistent) }
        }
        let bounds = try section.pixelBounds(least: 384 * 384, most: 1536 * 1536)
        let fit = FitRule.smart(
            minPixels: bounds.least, maxPixels: bounds.most, multiple: tower.patchSize * mergeSize, growsShortSide: true)
        let blend = BlendRule.bilinear(side: tower.gridSide, alignsCorners: false)
        return ImageSpec(
            views: [file.view(fit)],
            pixels: file.pixels(tower, order: .cells(side: mergeSize, columnsFirst: false), form: .rasterPatches),
            tensors: [
                VisionTensor("pixels", .pixels), VisionTensor("patch_positions", .patchPositions),
                VisionTensor("table_rows", .blendRows(blend)), VisionTensor("table_weights", .blendWeights(blend)),
            ], segments: [VisionSegments("tiles", .tiles)], features: .cells(side: mergeSize),
            prompt: ImagePrompt(marker: "", token: token, tokenText: ""))
    }
}
