import HuggingFace
import Plan

extension Llava {
    /// Frames of a video file where nobody says how many; as many are 6272 tokens of the published models.
    private static let standardFrames = 32

    /// How `LlavaOnevisionVideoProcessor` and `LlavaOnevisionModel.get_video_features` read a video; throws where the directory has no
    /// processor for videos, or one that does not fit the images'.
    static func videos(
        _ directory: ModelDirectory, _ tower: PatchTower, _ image: ImageSpec, top: ConfigSection, vocabulary: Int
    ) throws(CheckpointError) -> VideoSpec {
        let (section, type) = (try directory.neededVideoProcessor(), "LlavaOnevisionVideoProcessor")
        try section.checkVideoProcessor(type)
        let key = top.has("video_token_index") && !top.has("video_token_id") ? "video_token_index" : "video_token_id"
        let token = try top.token(key, vocabulary: vocabulary, or: 151_647)
        let file = try ProcessorFile(section, types: ["LlavaOnevisionImageProcessor", type], defaults: .clip)
        let side = tower.gridSide * tower.patchSize
        if try section.bool("do_center_crop") ?? false { throw section.error("do_center_crop", "is true, which is not supported", .unsupported) }
        try file.check(side: file.side() ?? 384, tower, "size")
        try section.checkPixels(file.rescaleFactor, file.normalization, areThoseOf: image.pixels)
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
