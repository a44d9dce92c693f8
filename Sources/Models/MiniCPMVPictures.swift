import HuggingFace
import Plan

extension MiniCPMV {
    /// `MiniCPMVImageProcessor` by Pillow: the picture as a whole, and slices of it where it is large.
    static func pictures(
        _ file: ConfigSection, _ tower: PatchTower, queries: Int, hasNumbers: Bool
    ) throws(CheckpointError) -> PictureSpec {
        let side = try file.given("scale_resolution", in: 1...1 << 12) ?? 448
        let most = try file.flag("slice_mode") ? try file.given("max_slice_nums", in: 1...64) ?? 9 : 1
        let normalization = PixelSpec.Normalization(
            mean: try file.channels("norm_mean") ?? [0.5, 0.5, 0.5], deviation: try file.channels("norm_std") ?? [0.5, 0.5, 0.5])
        guard normalization.deviation.allSatisfy({ Float($0) != 0 }) else { throw file.error("norm_std", "must not hold a zero") }
        let fits = [
            FitRule.overview(side: side, most: most, multiple: tower.patchSize), .slices(side: side, most: most, multiple: tower.patchSize),
        ]
        let isNumbered = try file.flag("use_image_id")
        let number = hasNumbers && isNumbered ? [PromptPiece.text("<image_id>{index}</image_id>")] : []
        let whole: [PromptPiece] = [.text("<image>"), .tiles(view: 0, [.features], between: "", rowEnd: ""), .text("</image>")]
        let slice: [PromptPiece] = [.text("<slice>"), .features, .text("</slice>")]
        return PictureSpec(
            views: fits.map { ViewSpec($0, filter: .bicubic, precision: .pillow) }, order: [0, 1],
            pixels: PixelSpec(patchSize: tower.patchSize, rescaleFactor: 1 / 255, normalization: normalization, isStepwise: true, form: .strips),
            tensors: [
                VisionTensor("pixels", .pixels), VisionTensor("patch_positions", .patchPositions),
                VisionTensor("table_rows", .tableRows(.buckets(side: tower.gridSide, .range))),
                VisionTensor("query_rows", .queryRows(count: queries)),
            ], segments: [VisionSegments("tiles", .tiles), VisionSegments("queries", .queries(count: queries))],
            features: .queries(count: queries),
            prompt: PicturePrompt(
                marker: "(<image>./</image>)", token: 0, tokenText: "<unk>",
                pieces: number + whole + [.view(1, [.tiles(view: 1, slice, between: "", rowEnd: "\n")], otherwise: [])]))
    }
}
