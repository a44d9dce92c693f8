import HuggingFace
import Plan

extension Phi3V {
    /// Sides of a tile in pixels, which no file says.
    private static let tileSide = 336

    /// `Phi3VImageProcessor`: a page of tiles by Pillow, and the page as one tile by torch, resized when it is normalized.
    static func images(_ section: ConfigSection, _ tower: PatchTower, mergeSize: Int) throws(CheckpointError) -> ImageSpec {
        let file = try ProcessorFile(section, types: ["Phi3VImageProcessor"], filter: .bilinear, precision: .pillow)
        let side = tileSide
        try file.check(side: side, tower, "img_processor")
        guard tower.gridSide % mergeSize == 0 else {
            throw section.error("img_processor", "has \(tower.gridSide) patches in a line, no multiple of \(mergeSize)")
        }
        let most = try section.given("num_crops", in: 1...64) ?? 1
        let page = ViewSpec(.pages(side: side, most: most), filter: .bilinear, precision: .pillow, background: [255, 255, 255])
        let whole = ViewSpec(.interpolated(width: side, height: side), source: 0, filter: .bicubic, precision: .pillow)
        return ImageSpec(
            views: [page, whole], order: [1, 0],
            pixels: PixelSpec(
                patchSize: tower.patchSize, classRows: 1, order: .cells(side: mergeSize, columnsFirst: false), rescaleFactor: 1 / 255,
                normalization: file.normalization ?? .clip, isStepwise: true, form: .filledImages),
            tensors: [
                VisionTensor("pixels", .values), VisionTensor("table_rows", .tableRows(.raster(columns: tower.gridSide))),
                VisionTensor("class_rows", .classRows), VisionTensor("feature_rows", .featureRows),
                VisionTensor("extra_rows", .learnedRows),
            ], segments: [VisionSegments("tiles", .tiles)], features: .lines(grid: 0, whole: 1, side: mergeSize),
            prompt: ImagePrompt(
                marker: "<|image_{image}|>", token: 0, tokenText: "", mention: ImageMention(ending: "\n", separator: ""),
                spacing: .apart),
            dropsAlpha: true)
    }
}
