import HuggingFace
import Plan

extension Llava {
    /// Frames of a video file where nobody says how many; as many are 6272 tokens of the published models.
    private static let standardFrames = 32

    /// How `LlavaOnevisionVideoProcessor` and `LlavaOnevisionModel.get_video_features` read a video; nil where the directory has no processor
    /// for videos, or one that does not fit the images'.
    static func videos(_ directory: ModelDirectory, _ tower: PatchTower, _ image: ImageSpec, top: ConfigSection, vocabulary: Int) -> VideoSpec? {
        guard let file = try? directory.videoProcessor() else { return nil }
        return try? videos(file, tower, image, top, vocabulary)
    }

    private static func videos(
        _ section: ConfigSection, _ tower: PatchTower, _ image: ImageSpec, _ top: ConfigSection, _ vocabulary: Int
    ) throws(CheckpointError) -> VideoSpec? {
        let type = "LlavaOnevisionVideoProcessor"
        guard try section.string("video_processor_type") ?? type == type else { return nil }
        let key = top.has("video_token_index") && !top.has("video_token_id") ? "video_token_index" : "video_token_id"
        let token = try top.token(key, vocabulary: vocabulary, or: 151_647)
        let file = try ProcessorFile(section, types: ["LlavaOnevisionImageProcessor", type], defaults: .clip)
        let side = tower.gridSide * tower.patchSize
        guard try !(section.bool("do_center_crop") ?? false), (try file.side() ?? 384) / tower.patchSize == tower.gridSide else { return nil }
        guard file.normalization == image.pixels.normalization, file.rescaleFactor == image.pixels.rescaleFactor else { return nil }
        let given = try file.side() ?? side
        var frames = image
        frames.views = [file.view(.exact(width: given, height: given))]
        frames.order = [0]
        frames.features = .pooled(grid: tower.gridSide, side: (tower.gridSide + 1) / 2)
        frames.prompt = ImagePrompt(marker: "", token: token, tokenText: "")
        let rate = try section.double("fps")
        let count = try section.int("num_frames") == nil ? nil : section.size("num_frames", in: 1...1 << 16)
        let sampling = FrameSampling(
            rule: .shares, rate: count == nil ? rate : nil, count: count ?? (rate == nil ? standardFrames : nil), most: 1 << 16)
        return VideoSpec(frames: frames, sampling: sampling)
    }
}
