import HuggingFace
import JSON
import Plan

extension Llava {
    /// How images are read: by CLIP's processor, by `LlavaNextImageProcessor` or by `LlavaOnevisionImageProcessor`.
    static func images(
        _ file: ConfigSection, _ tower: PatchTower, _ packing: Packing, token: Int32, top: ConfigSection
    ) throws(CheckpointError) -> ImageSpec {
        let side = tower.gridSide * tower.patchSize
        let segments = [VisionSegments("tiles", .tiles)]
        let prompt = ImagePrompt(marker: "", token: token, tokenText: "")
        switch packing {
        case .tiles:
            let file = try ProcessorFile(file, types: ["CLIPImageProcessor", "SiglipImageProcessor"])
            return ImageSpec(
                views: [file.view(try tileFit(file, side: side, tower))], pixels: file.pixels(tower, form: .tiles), tensors: tower.tensors(),
                segments: segments, features: .cells(side: 1), prompt: prompt)
        case .lines:
            let file = try ProcessorFile(file, types: ["LlavaNextImageProcessor"])
            let tile = try file.side() ?? 336
            let views = [file.view(.exact(width: tile, height: tile)), file.view(.pinpoints(try pinpoints(file.section, tile)), tile: tile)]
            let more = [VisionTensor("feature_rows", .featureRows), VisionTensor("extra_rows", .learnedRows)]
            return ImageSpec(
                views: views, order: [0, 1], pixels: file.pixels(tower, form: .images), tensors: tower.tensors() + more, segments: segments,
                features: .stitched(bases: [0], grid: 1, most: nil), prompt: prompt)
        case .blendedLines:
            let file = try ProcessorFile(file, types: ["LlavaOnevisionImageProcessor"], defaults: .clip)
            let tile = try file.side() ?? 384
            let gray = (file.normalization?.mean ?? [0, 0, 0]).map { UInt8(clamping: Int($0 * 255)) }
            let views = [
                file.view(.exact(width: tile, height: tile), condition: .alone),
                file.view(.pinpoints(try pinpoints(file.section, tile)), condition: .alone, tile: tile),
                file.view(.padded(side: tile), condition: .amongOthers, background: gray),
            ]
            let aspect = try top.string("vision_aspect_ratio") ?? "anyres_max_9"
            guard aspect.hasPrefix("anyres_max_"), let most = Int(aspect.dropFirst(11)), (1...1 << 10).contains(most) else {
                throw top.error("vision_aspect_ratio", "is \"\(aspect)\"; only anyres_max_N is supported", .unsupported)
            }
            let more = [
                VisionTensor("feature_rows", .featureBlendRows), VisionTensor("feature_weights", .featureBlendWeights),
                VisionTensor("extra_rows", .learnedRows),
            ]
            return ImageSpec(
                views: views, order: [0, 1, 2], pixels: file.pixels(tower, form: .images), tensors: tower.tensors() + more,
                segments: segments, features: .stitched(bases: [0, 2], grid: 1, most: most), prompt: prompt)
        }
    }

    /// CLIP's processor brings the shorter side to an edge and crops the middle; SigLIP's brings both to one size.
    private static func tileFit(_ file: ProcessorFile, side: Int, _ tower: PatchTower) throws(CheckpointError) -> FitRule {
        let size = try file.section.section("size")
        let crops = try file.section.flag("do_center_crop") && tower.firstRows == .classToken
        guard crops, size?.has("height") != true else {
            let given = try file.side() ?? side
            return .exact(width: given, height: given)
        }
        let edge = try file.side() ?? 224
        let crop = try file.side("crop_size") ?? 224
        return .cover(edge: edge, width: crop, height: crop)
    }

    private static func pinpoints(_ file: ConfigSection, _ tile: Int) throws(CheckpointError) -> [ImageSize] {
        let key = "image_grid_pinpoints"
        guard let given = file.members[key]?.arrayValue else { throw file.error(key, "is missing, or no list of sizes") }
        var sizes: [ImageSize] = []
        for element in given {
            let sides = element.arrayValue?.compactMap(\.intValue) ?? []
            guard sides.count == 2, sides.allSatisfy({ (tile...1 << 14).contains($0) && $0 % tile == 0 }) else {
                throw file.error(key, "holds a size that is not a height and a width, multiples of \(tile)")
            }
            sizes.append(ImageSize(width: sides[1], height: sides[0]))
        }
        guard (1...1024).contains(sizes.count) else { throw file.error(key, "has \(sizes.count) sizes; expected 1 to 1024") }
        return sizes
    }
}
