package import HuggingFace
import IR
import Plan

extension GLMOCR {
    package init(_ directory: ModelDirectory) throws(CheckpointError) {
        let config = try directory.config()
        let top = try config.originalSection()
        let isTied = try top.bool("tie_word_embeddings") == true ? true : nil
        text = try DecoderConfiguration(top.required("text_config"), assumed: "glm_ocr_text", isTied: isTied)
        let vision = try top.required("vision_config")
        tower = try .glm(vision)
        mergeSize = try vision.size("spatial_merge_size", or: 2, in: 1...16)
        guard try vision.size("out_hidden_size", or: 1536) == text.width else {
            throw vision.error("out_hidden_size", "is not the width of the text model, \(text.width)")
        }
        mergerInner = 3 * text.width
        quantization = try config.quantization()
        let token = try top.imageToken(vocabulary: text.vocabulary, or: 59_280)
        image = try Self.images(directory.imageProcessor(), tower, mergeSize, token: token)
        common = try directory.inputs(vocabulary: text.vocabulary, positions: .mrope(mergeSize: mergeSize), config)
    }

    /// `Glm46VImageProcessor`
    private static func images(
        _ section: ConfigSection, _ tower: PatchTower, _ mergeSize: Int, token: Int32
    ) throws(CheckpointError) -> ImageSpec {
        let file = try ProcessorFile(section, types: ["Glm46VImageProcessor"])
        let frames = tower.frames ?? 1
        let extents = [("patch_size", 14, tower.patchSize), ("merge_size", 2, mergeSize), ("temporal_patch_size", 2, frames)]
        for (key, standard, known) in extents {
            let given = try section.given(key, in: 1...1024) ?? standard
            guard given == known else { throw section.error(key, "is \(given), but the model's is \(known)", .inconsistent) }
        }
        let bounds = try section.pixelBounds(least: 112 * 112, most: 28 * 28 * 15_000)
        let fit = FitRule.volume(
            minPixels: bounds.least, maxPixels: bounds.most, multiple: tower.patchSize * mergeSize, frames: frames)
        var pixels = file.pixels(tower, order: .cells(side: mergeSize, columnsFirst: false), form: .patches)
        pixels.temporalPatchSize = frames
        return ImageSpec(
            views: [file.view(fit)], pixels: pixels,
            tensors: [VisionTensor("pixels", .pixels), VisionTensor("patch_positions", .patchPositions)],
            segments: [VisionSegments("tiles", .tiles)], features: .cells(side: mergeSize),
            prompt: ImagePrompt(marker: "", token: token, tokenText: ""))
    }
}

extension PatchTower {
    /// `GlmOcrVisionConfig`
    static func glm(_ config: ConfigSection) throws(CheckpointError) -> PatchTower {
        var tower = try PatchTower(
            qwen: config, QwenTowerDefaults(width: 1024, inner: 4096, activation: .silu, depth: 24, patchSize: 14))
        let eps = config.has("rms_norm_eps") ? try config.positive("rms_norm_eps") : 1e-5
        tower.norm = TowerNorm(isRootMeanSquare: true, eps: eps)
        tower.isGated = true
        tower.normalizesHeads = true
        tower.hasLastNorm = true
        let bias = try config.bool("attention_bias") ?? true
        (tower.hasQueryBias, tower.hasOutputBias, tower.hasFeedForwardBias) = (bias, bias, bias)
        return tower
    }
}
