package import HuggingFace
import IR
import Plan

extension Qwen3VL {
    package init(_ directory: ModelDirectory) throws(CheckpointError) {
        let config = try directory.config()
        let top = try config.originalSection()
        text = try DecoderConfiguration(top.required("text_config"), own: "qwen3_vl_text", isTied: top.bool("tie_word_embeddings"))
        let vision = try top.required("vision_config")
        let tower = try PatchTower.qwen3(vision)
        self.tower = tower
        mergeSize = try vision.size("spatial_merge_size", or: 2, in: 1...16)
        earlier = try vision.ints("deepstack_visual_indexes") ?? [8, 16, 24]
        guard earlier.allSatisfy({ (0..<tower.depth).contains($0) }), earlier.count <= text.layers.count else {
            throw vision.error("deepstack_visual_indexes", "is \(earlier), but the tower has \(tower.depth) blocks")
        }
        guard try vision.size("out_hidden_size", or: 3584) == text.width else {
            throw vision.error("out_hidden_size", "is not the width of the text model, \(text.width)")
        }
        quantization = try config.quantization()
        let own = try Qwen2VLImages(directory.imageProcessor()).spec(
            tower, mergeSize: mergeSize, token: top.imageToken(vocabulary: text.vocabulary, or: 151_655), of: config)
        let vocabulary = text.vocabulary
        videos = FamilyVideos { () throws(CheckpointError) in
            try QwenVideos(kind: .qwen3, token: top.token("video_token_id", vocabulary: vocabulary, or: 151_656)).spec(directory, own)
        }
        image = own.with(videos.spec)
        common = try directory.inputs(vocabulary: text.vocabulary, positions: .mrope(mergeSize: mergeSize), config)
    }
}

extension PatchTower {
    /// `Qwen3VLVisionConfig` and `Qwen3_5VisionConfig`: a learned table of places beside the rotation.
    static func qwen3(_ vision: ConfigSection) throws(CheckpointError) -> PatchTower {
        var tower = try PatchTower(
            qwen: vision, QwenTowerDefaults(width: 1152, inner: 4304, activation: .geluTanh, depth: 27, patchSize: 16))
        let places = try vision.size("num_position_embeddings", or: 2304, in: 1...1 << 16)
        let side = Int(Double(places).squareRoot())
        guard side * side == places else { throw vision.error("num_position_embeddings", "is \(places), which is no square") }
        tower.positions = places
        tower.blendedRows = 4
        return tower
    }
}

extension Qwen2VLImages {
    /// The program for such a tower, whose table is blended to an image's grid.
    func spec(_ tower: PatchTower, mergeSize: Int, token: Int32, of config: ModelConfig) throws(CheckpointError) -> ImageSpec {
        try check(patchSize: tower.patchSize, mergeSize: mergeSize, frames: tower.frames ?? 1, of: config)
        var image = spec(token: token, text: "")
        let blend = BlendRule.bilinear(side: tower.gridSide, alignsCorners: true)
        image.tensors += [VisionTensor("table_rows", .blendRows(blend)), VisionTensor("table_weights", .blendWeights(blend))]
        image.segments = [VisionSegments("tiles", .tiles)]
        return image
    }
}
