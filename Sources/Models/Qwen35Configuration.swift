package import HuggingFace
import Plan

extension Qwen35 {
    package init(_ directory: ModelDirectory) throws(CheckpointError) {
        let config = try directory.config()
        let top = try config.originalSection()
        text = try DecoderConfiguration(top.required("text_config"), own: "qwen3_5_text", isTied: top.bool("tie_word_embeddings"))
        let vision = try top.required("vision_config")
        tower = try PatchTower.qwen3(vision)
        mergeSize = try vision.size("spatial_merge_size", or: 2, in: 1...16)
        guard try vision.size("out_hidden_size", or: 3584) == text.width else {
            throw vision.error("out_hidden_size", "is not the width of the text model, \(text.width)")
        }
        quantization = try config.quantization()
        let own = try Qwen2VLImages(directory.imageProcessor()).spec(
            tower, mergeSize: mergeSize, token: top.imageToken(vocabulary: text.vocabulary, or: 248_056), of: config)
        let vocabulary = text.vocabulary
        videos = FamilyVideos { () throws(CheckpointError) in
            try QwenVideos(kind: .qwen3, token: top.token("video_token_id", vocabulary: vocabulary, or: 248_057)).spec(directory, own)
        }
        image = own.with(videos.spec)
        common = try directory.inputs(vocabulary: text.vocabulary, positions: .mrope(mergeSize: mergeSize), config)
    }
}
