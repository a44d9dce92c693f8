import HuggingFace
import JSON
import Plan

extension InternVL {
    /// The token of one feature.
    static let contextToken = "<IMG_CONTEXT>"

    /// As transformers has it: `GotOcr2ImageProcessor`.
    static func pictures(
        _ file: ConfigSection, _ tower: PatchTower, _ mergeSize: Int, _ top: ConfigSection, _ vocabulary: Int
    ) throws(CheckpointError) -> PictureSpec {
        let file = try ProcessorFile(file, types: ["GotOcr2ImageProcessor"])
        let side = try file.side() ?? 384
        let isSplit = try file.section.bool("crop_to_patches") ?? false
        let least = try file.section.given("min_patches", in: 1...64) ?? 1
        let most = isSplit ? try file.section.given("max_patches", in: least...64) ?? 12 : 1
        return program(
            file, tower, mergeSize, side: side, least: isSplit ? least : 1, most: most, hasOverview: true, marker: "",
            token: try top.imageToken(vocabulary: vocabulary))
    }

    /// As its own code had it before (`dynamic_preprocess`), by Pillow.
    static func remotePictures(_ top: ConfigSection, _ tower: PatchTower, _ mergeSize: Int) throws(CheckpointError) -> PictureSpec {
        let empty = try ConfigSection([:], file: top.file)
        let file = try ProcessorFile(empty, types: [], defaults: .imageNet, precision: .pillow)
        let side = try top.int("force_image_size") == nil ? tower.gridSide * tower.patchSize : top.size("force_image_size", in: 1...1 << 14)
        let isSplit = try top.bool("dynamic_image_size") ?? false
        let least = try top.int("min_dynamic_patch") == nil ? 1 : top.size("min_dynamic_patch", in: 1...64)
        let most = try top.int("max_dynamic_patch") == nil ? max(least, 6) : top.size("max_dynamic_patch", in: least...64)
        return program(
            file, tower, mergeSize, side: side, least: isSplit ? least : 1, most: isSplit ? most : 1,
            hasOverview: try top.bool("use_thumbnail") ?? false, marker: "<image>", token: 0)
    }

    private static func program(
        _ file: ProcessorFile, _ tower: PatchTower, _ mergeSize: Int, side: Int, least: Int, most: Int, hasOverview: Bool, marker: String,
        token: Int32
    ) -> PictureSpec {
        var views = [file.view(.aspectTiles(side: side, least: least, most: most))]
        if hasOverview { views.append(file.view(.exact(width: side, height: side), condition: .split(view: 0))) }
        return PictureSpec(
            views: views, order: Array(views.indices),
            pixels: file.pixels(tower, order: .cells(side: mergeSize, columnsFirst: false), form: .tiles), tensors: tower.tensors(),
            segments: [VisionSegments("tiles", .tiles)], features: .cells(side: mergeSize),
            prompt: PicturePrompt(
                marker: marker, token: token, tokenText: contextToken, pieces: [.text("<img>"), .features, .text("</img>")]))
    }
}
