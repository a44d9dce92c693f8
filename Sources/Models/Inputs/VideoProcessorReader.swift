import HuggingFace
import Plan

/// How videos of the Qwen2-VL line are read: `Qwen2VLVideoProcessor` or `Qwen3VLVideoProcessor`.
struct QwenVideos {
    enum Kind {
        case qwen2, qwen3

        var type: String { self == .qwen2 ? "Qwen2VLVideoProcessor" : "Qwen3VLVideoProcessor" }
    }

    var kind: Kind
    /// The token that takes a feature.
    var token: Int32
    /// Positions on the axis of time in a second; nil where slices are counted.
    var positionsPerSecond: Int?

    /// The program over that of the model's images; nil where the directory has no processor for videos, or one that does not fit them.
    func spec(_ directory: ModelDirectory, _ image: ImageSpec) -> VideoSpec? {
        guard let file = try? directory.videoProcessor() else { return nil }
        return try? spec(file, image)
    }

    private func spec(_ file: ConfigSection, _ image: ImageSpec) throws(CheckpointError) -> VideoSpec? {
        if let type = try file.string("video_processor_type") {
            guard type == kind.type else { return nil }
        } else {
            try file.checkProcessor(["Qwen2VLImageProcessor", kind.type])
        }
        let (pixels, side) = (image.pixels, image.pixels.order.cellSide)
        let rescaleFactor = try file.scaling()
        let standard: PixelSpec.Normalization = kind == .qwen2 ? .clip : .half
        guard try file.given("patch_size", in: 1...1024) ?? (kind == .qwen2 ? 14 : 16) == pixels.patchSize,
            try file.given("merge_size", in: 1...64) ?? 2 == side, try file.given("temporal_patch_size", in: 1...64) ?? 2 == pixels.temporalPatchSize,
            rescaleFactor == pixels.rescaleFactor,
            try file.normalization(rescaledBy: rescaleFactor, defaults: standard) == pixels.normalization
        else { return nil }
        var frames = image
        frames.pixels.storedFrames = pixels.temporalPatchSize
        frames.views = [ViewSpec(try fit(file, pixels, side), filter: try file.filter(), precision: .torchvision)]
        frames.prompt = ImagePrompt(marker: "", token: token, tokenText: "", pieces: pieces)
        return VideoSpec(frames: frames, sampling: try sampling(file, pixels.temporalPatchSize), positionsPerSecond: positionsPerSecond)
    }

    /// Qwen3-VL writes when each slice is.
    private var pieces: [PromptPiece] {
        guard kind == .qwen3 else { return [.features] }
        return [.tiles(view: 0, [.text("<{seconds} seconds><|vision_start|>"), .features, .text("<|vision_end|>")], between: "", rowEnd: "")]
    }

    private func fit(_ file: ConfigSection, _ pixels: PixelSpec, _ side: Int) throws(CheckpointError) -> FitRule {
        let multiple = pixels.patchSize * side
        guard try file.flag("do_resize") else { return .keep(multiple: multiple) }
        let cell = kind == .qwen2 ? 28 * 28 : 32 * 32
        let bounds = try file.pixelBounds(least: 128 * cell, most: 768 * cell)
        let tokensMax = try file.bool("cap_pixels_per_frame") == true
            ? try file.given("max_video_tokens", in: 1...1 << 24) ?? (kind == .qwen2 ? 128_000 : 768) : nil
        return .clip(
            ClipFit(
                minPixels: bounds.least, maxPixels: bounds.most, multiple: multiple, sliceFrames: pixels.temporalPatchSize,
                isShared: kind == .qwen3, tokensMax: tokensMax))
    }

    private func sampling(_ file: ConfigSection, _ sliceFrames: Int) throws(CheckpointError) -> FrameSampling {
        let count = try file.int("num_frames") == nil ? nil : file.size("num_frames", in: 1...1 << 16)
        // qwen-vl-utils takes two frames of a second, and so does Qwen3-VL's processor.
        let rate = try file.double("fps") ?? (count == nil ? 2 : nil)
        return FrameSampling(
            rule: kind == .qwen2 ? .steps : .ends, rate: rate, count: count, least: try file.given("min_frames", in: 1...1 << 16) ?? 4,
            most: try file.given("max_frames", in: 1...1 << 16) ?? 768, multiple: kind == .qwen2 ? sliceFrames : 1)
    }
}

extension VideoSpec {
    /// The program with the text of its token; the marker as well.
    func named(_ tokens: TokenNames, fallback: String) -> VideoSpec {
        var spec = self
        spec.frames = frames.named(tokens, fallback: fallback)
        return spec
    }
}

extension ImageSpec {
    /// The program over rows as videos need them.
    func with(_ video: VideoSpec?) -> ImageSpec {
        var spec = self
        if let video { spec.pixels.storedFrames = video.frames.pixels.storedFrames }
        return spec
    }
}
