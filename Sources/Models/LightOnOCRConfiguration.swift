package import HuggingFace
import Plan

extension LightOnOCR {
    package init(_ directory: ModelDirectory) throws(CheckpointError) {
        let config = try directory.config()
        let top = try config.originalSection()
        text = try DecoderConfiguration(top.required("text_config"), assumed: "qwen3", isTied: top.bool("tie_word_embeddings") ?? true)
        tower = try .pixtral(top.required("vision_config"))
        mergeSize = try top.size("spatial_merge_size", or: 2, in: 1...16)
        quantization = try config.quantization()
        let token = try top.imageToken(vocabulary: text.vocabulary, or: 151_655)
        image = try Self.images(directory.imageProcessor(), tower, side: mergeSize, token: token)
        common = try directory.inputs(vocabulary: text.vocabulary, positions: .sequential(start: 0), config)
    }

    /// `PixtralImageProcessor`, whose own patches need not be whole squares of the tower's.
    private static func images(
        _ section: ConfigSection, _ tower: PatchTower, side: Int, token: Int32
    ) throws(CheckpointError) -> ImageSpec {
        let file = try ProcessorFile(section, types: ["PixtralImageProcessor"])
        let size = try section.section("size")
        let longest = size?.has("longest_edge") ?? false ? try size?.size("longest_edge", in: 1...1 << 14) : try file.side()
        let multiple = try file.side("patch_size", in: 1...1024) ?? 16
        return ImageSpec(
            views: [file.view(.longest(longest: longest ?? 1024, multiple: multiple))], pixels: file.pixels(tower, form: .tiles),
            tensors: [
                VisionTensor("pixels", .pixels), VisionTensor("patch_positions", .patchPositions),
                VisionTensor("square_rows", .featureBlendRows),
            ],
            segments: [VisionSegments("tiles", .tiles)], features: .squares(side: side),
            prompt: ImagePrompt(marker: "", token: token, tokenText: ""))
    }
}
