import HuggingFace
import Plan

extension MiniCPMV {
    /// `MiniCPMVImageProcessor` by Pillow: the image as a whole, and slices of it where it is large.
    static func images(_ file: ConfigSection, _ tower: PatchTower, queries: Int) throws(CheckpointError) -> ImageSpec {
        let side = try file.given("scale_resolution", in: 1...1 << 12) ?? 448
        let most = try file.flag("slice_mode") ? try file.given("max_slice_nums", in: 1...64) ?? 9 : 1
        let normalization = PixelSpec.Normalization(
            mean: try file.channels("norm_mean") ?? [0.5, 0.5, 0.5], deviation: try file.channels("norm_std") ?? [0.5, 0.5, 0.5])
        guard normalization.deviation.allSatisfy({ Float($0) != 0 }) else { throw file.error("norm_std", "must not hold a zero") }
        let fits = [
            FitRule.overview(side: side, most: most, multiple: tower.patchSize), .slices(side: side, most: most, multiple: tower.patchSize),
        ]
        let padsTiles = tower.firstRows == .padding
        let isNumbered = try file.flag("use_image_id")
        return ImageSpec(
            views: fits.map { ViewSpec($0, filter: .bicubic, precision: .pillow) }, order: [0, 1],
            pixels: PixelSpec(
                patchSize: tower.patchSize, rescaleFactor: 1 / 255, normalization: normalization, isStepwise: true, padsTiles: padsTiles,
                form: .strips),
            tensors: tensors(tower, queries: queries),
            segments: [VisionSegments("tiles", .tiles), VisionSegments("queries", .queries(count: queries))]
                + (padsTiles ? [VisionSegments("kept", .kept)] : []),
            features: .queries(count: queries),
            prompt: ImagePrompt(
                marker: "(<image>./</image>)", token: 0, tokenText: "<unk>",
                pieces: padsTiles ? slicesInside : (isNumbered ? [.text("<image_id>{index}</image_id>")] : []) + slicesBehind),
            dropsAlpha: true)
    }

    private static func tensors(_ tower: PatchTower, queries: Int) -> [VisionTensor] {
        let padsTiles = tower.firstRows == .padding
        let table: TableRule = padsTiles ? .lineBuckets(side: tower.gridSide, .range) : .buckets(side: tower.gridSide, .range)
        return [
            VisionTensor("pixels", .pixels), VisionTensor("patch_positions", .patchPositions),
            VisionTensor("table_rows", .tableRows(table)), VisionTensor("query_rows", .queryRows(count: queries)),
        ] + (padsTiles ? [VisionTensor("class_rows", .classRows), VisionTensor("feature_rows", .keptRows)] : [])
    }

    private static let whole: [PromptPiece] = [.text("<image>"), .tiles(view: 0, [.features], between: "", rowEnd: ""), .text("</image>")]

    /// Version 2.6: each slice has marks of its own.
    private static let slicesBehind =
        whole + [
            .view(1, [.tiles(view: 1, [.text("<slice>"), .features, .text("</slice>")], between: "", rowEnd: "\n")], otherwise: [])
        ]

    /// Version 2.5: all slices stand between one pair of marks.
    private static let slicesInside =
        whole + [
            .view(
                1,
                [
                    .text("<slice>"), .tiles(view: 1, [.text("<image>"), .features, .text("</image>")], between: "", rowEnd: "\n"),
                    .text("</slice>"),
                ], otherwise: [])
        ]
}
