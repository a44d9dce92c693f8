package import HuggingFace
import IR
import Plan

extension Qwen25VL {
    /// Old files have the text model's keys at the top.
    package init(_ directory: ModelDirectory) throws(CheckpointError) {
        let config = try directory.config()
        let top = try config.originalSection()
        let section = try top.section("text_config") ?? top
        text = try DecoderConfiguration(section, own: "qwen2_5_vl_text", isTied: top.bool("tie_word_embeddings"))
        let vision = try top.required("vision_config")
        var tower = try PatchTower(
            qwen: vision, QwenTowerDefaults(width: 3584, inner: 3420, activation: .silu, depth: 32, patchSize: 14))
        tower.norm.isRootMeanSquare = true
        tower.isGated = true
        tower.hasPatchBias = false
        tower.fullBlocks = try vision.ints("fullatt_block_indexes") ?? [7, 15, 23, 31]
        self.tower = tower
        mergeSize = try vision.size("spatial_merge_size", or: 2, in: 1...16)
        guard try vision.size("out_hidden_size", or: 3584) == text.width else {
            throw vision.error("out_hidden_size", "is not the width of the text model, \(text.width)")
        }
        quantization = try config.quantization()
        let window = try vision.size("window_size", or: 112, in: 1...1 << 12) / (tower.patchSize * mergeSize)
        guard window > 0 else { throw vision.error("window_size", "is less than the side of a merged square, \(tower.patchSize * mergeSize)") }
        let images = try Qwen2VLImages(directory.imageProcessor())
        try images.check(patchSize: tower.patchSize, mergeSize: mergeSize, frames: tower.frames ?? 1, of: config)
        let token = try top.imageToken(vocabulary: text.vocabulary, or: 151_655)
        let own = Self.windowed(images.spec(token: token, text: ""), side: mergeSize, window: window)
        let (vocabulary, rate) = (text.vocabulary, try vision.size("tokens_per_second", or: 4, in: 1...1 << 16))
        videos = FamilyVideos { () throws(CheckpointError) in
            let token = try top.token("video_token_id", vocabulary: vocabulary, or: 151_656)
            return try QwenVideos(kind: .qwen2, token: token, positionsPerSecond: rate).spec(directory, own)
        }
        image = own.with(videos.spec)
        common = try directory.inputs(vocabulary: text.vocabulary, positions: .mrope(mergeSize: mergeSize), config)
    }

    /// The patches window by window, and the features brought back to the order of the prompt.
    private static func windowed(_ spec: ImageSpec, side: Int, window: Int) -> ImageSpec {
        var spec = spec
        spec.pixels.order = .windows(side: side, window: window)
        spec.tensors.append(VisionTensor("feature_rows", .featureRows))
        spec.segments = [VisionSegments("tiles", .tiles), VisionSegments("windows", .windows)]
        return spec
    }
}
