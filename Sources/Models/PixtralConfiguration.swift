package import HuggingFace
import IR
import Plan

extension Pixtral {
    package init(_ directory: ModelDirectory) throws(CheckpointError) {
        let config = try directory.config()
        let top = try config.originalSection()
        text = try DecoderConfiguration(top.required("text_config"), assumed: "mistral", isTied: top.bool("tie_word_embeddings"))
        let isMerged = try top.string("model_type") == "mistral3"
        tower = try PatchTower.pixtral(top.required("vision_config"))
        let key = "vision_feature_layer"
        guard try tower.blocks(for: top.int(key) ?? (isMerged ? -1 : -2), top, key) == tower.depth else {
            throw top.error(key, "is not the last layer, which is not supported", .unsupported)
        }
        if !isMerged, let strategy = try top.string("vision_feature_select_strategy"), strategy != "full" {
            throw top.error("vision_feature_select_strategy", "is \"\(strategy)\"; only full fits a tower without class token", .unsupported)
        }
        mergeSize = isMerged ? try top.size("spatial_merge_size", or: 2, in: 1...16) : nil
        activation = top.has("projector_hidden_act") ? try ActivationFunction(top, "projector_hidden_act") : .gelu
        projectorBias = try top.bool("multimodal_projector_bias") ?? !isMerged
        quantization = try config.quantization()
        let token = try top.imageToken(vocabulary: text.vocabulary, or: isMerged ? 10 : 32_000)
        image = try Self.images(directory.imageProcessor(), tower, side: mergeSize ?? 1, token: token)
        common = try directory.inputs(vocabulary: text.vocabulary, positions: text.positions, config)
    }

    /// `PixtralImageProcessor`, with squares of patches for its patches, as `PixtralProcessor` has it.
    private static func images(
        _ section: ConfigSection, _ tower: PatchTower, side: Int, token: Int32
    ) throws(CheckpointError) -> ImageSpec {
        let file = try ProcessorFile(section, types: ["PixtralImageProcessor"])
        let size = try section.section("size")
        let longest = size?.has("longest_edge") ?? false ? try size?.size("longest_edge", in: 1...1 << 14) : try file.side()
        let fit = FitRule.longest(longest: longest ?? 1024, multiple: tower.patchSize * side)
        return ImageSpec(
            views: [file.view(fit)], pixels: file.pixels(tower, order: .cells(side: side, columnsFirst: false), form: .tiles),
            tensors: [VisionTensor("pixels", .pixels), VisionTensor("patch_positions", .patchPositions)],
            segments: [VisionSegments("tiles", .tiles)], features: .cells(side: side),
            prompt: ImagePrompt(
                marker: "", token: token, tokenText: "", pieces: [.lines([.features], between: "[IMG_BREAK]"), .text("[IMG_END]")]))
    }
}
