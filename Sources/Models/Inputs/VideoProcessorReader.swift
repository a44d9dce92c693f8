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

    /// The program over that of the model's images; throws where the directory has no processor for videos, or one that does not fit them.
    func spec(_ directory: ModelDirectory, _ image: ImageSpec) throws(CheckpointError) -> VideoSpec {
        let file = try directory.neededVideoProcessor()
        if file.has("video_processor_type") {
            try file.checkVideoProcessor(kind.type)
        } else {
            try file.checkProcessor(["Qwen2VLImageProcessor", kind.type])
        }
        let (pixels, side) = (image.pixels, image.pixels.order.cellSide)
        for (key, standard, own) in [
            ("patch_size", kind == .qwen2 ? 14 : 16, pixels.patchSize), ("merge_size", 2, side), ("temporal_patch_size", 2, pixels.temporalPatchSize),
        ] {
            let given = try file.given(key, in: 1...1024) ?? standard
            guard given == own else { throw file.error(key, "is \(given), but \(own) for images", .unsupported) }
        }
        let rescaleFactor = try file.scaling()
        try file.checkPixels(
            rescaleFactor, file.normalization(rescaledBy: rescaleFactor, defaults: kind == .qwen2 ? .clip : .half), areThoseOf: pixels)
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

/// What becomes of the videos of a family that reads some.
struct FamilyVideos: Sendable {
    let spec: VideoSpec?
    /// Why there is none (`InputSpec.videoFault`).
    private let fault: String?

    /// What `read` throws keeps the model from taking videos, and from nothing else.
    init(_ read: () throws(CheckpointError) -> VideoSpec) {
        do throws(CheckpointError) { (spec, fault) = (try read(), nil) } catch {
            let name = error.file.split(separator: "/").last ?? "the directory"
            (spec, fault) = (nil, "\(name): \(error.message)")
        }
    }

    /// Writes the program, with the text of its token and of the marker, or the fault.
    func put(into inputs: inout InputSpec, _ tokens: TokenNames, fallback: String) {
        inputs.video = spec.map { spec in
            var named = spec
            named.frames = spec.frames.named(tokens, fallback: fallback)
            return named
        }
        inputs.videoFault = fault
    }
}

extension ModelDirectory {
    func neededVideoProcessor() throws(CheckpointError) -> ConfigSection {
        if let file = try videoProcessor() { return file }
        throw CheckpointError(.missing, file: file("video_preprocessor_config.json"), "is missing, and processor_config.json holds no video_processor")
    }
}

extension ConfigSection {
    /// Refuses the file of another class than `type`.
    func checkVideoProcessor(_ type: String) throws(CheckpointError) {
        guard let name = try string("video_processor_type"), name != type else { return }
        throw error("video_processor_type", "is \"\(name)\"; the known type for this model is \(type)", .unsupported)
    }

    /// Throws where frames would become other numbers than images.
    func checkPixels(
        _ rescaleFactor: Double?, _ normalization: PixelSpec.Normalization?, areThoseOf images: PixelSpec
    ) throws(CheckpointError) {
        guard rescaleFactor == images.rescaleFactor else { throw error("rescale_factor", "is not that of images", .unsupported) }
        guard normalization == images.normalization else { throw error("image_mean", "and image_std are not those of images", .unsupported) }
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
