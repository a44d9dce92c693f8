/// How a video becomes what the vision entry reads, and what stands for it in a prompt.
///
/// A video is a list of frames of one size. Each `temporalPatchSize` of them are a slice, the last frame repeated where they are too
/// few; the patches of a slice are a tile, and no patch sees another slice.
package struct VideoSpec: Sendable, Hashable, Codable {
    /// What is done with frames: one view, and the tensors and segments of the model's images.
    package var frames: ImageSpec
    package var sampling: FrameSampling
    /// Positions on the axis of time in a second of the video; nil where each slice is the next position.
    package var positionsPerSecond: Int?

    package init(frames: ImageSpec, sampling: FrameSampling, positionsPerSecond: Int? = nil) {
        (self.frames, self.sampling, self.positionsPerSecond) = (frames, sampling, positionsPerSecond)
    }
}

/// Which frames of a video file are read, where a request does not say.
package struct FrameSampling: Sendable, Hashable, Codable {
    package var rule: Rule
    /// Frames of a second of the video; nil where `count` says how many.
    package var rate: Double?
    /// Frames of the whole video.
    package var count: Int?
    /// Bounds of what a rate gives.
    package var least: Int
    package var most: Int
    /// Numbers of frames are brought to multiples of it.
    package var multiple: Int

    package enum Rule: String, Sendable, Hashable, Codable {
        /// `torch.arange(0, N, N / n)` (HF `Qwen2VLVideoProcessor`)
        case steps
        /// `numpy.linspace(0, N − 1, n)`, rounded (HF `Qwen3VLVideoProcessor`)
        case ends
        /// `i · N / n`, rounded down (HF `default_sample_indices_fn`)
        case shares
    }

    package init(rule: Rule, rate: Double?, count: Int? = nil, least: Int = 1, most: Int, multiple: Int = 1) {
        (self.rule, self.rate, self.count) = (rule, rate, count)
        (self.least, self.most, self.multiple) = (least, most, multiple)
    }
}

/// How the size of a video's frames follows from theirs and their number.
package struct ClipFit: Sendable, Hashable, Codable {
    package var minPixels: Int
    package var maxPixels: Int
    package var multiple: Int
    /// Frames of a slice.
    package var sliceFrames: Int
    /// Whether the bounds are those of all frames together (HF `Qwen3VLVideoProcessor`), and not of each.
    package var isShared: Bool
    /// HF `max_video_tokens` where `cap_pixels_per_frame` holds.
    package var tokensMax: Int?

    package init(minPixels: Int, maxPixels: Int, multiple: Int, sliceFrames: Int, isShared: Bool, tokensMax: Int? = nil) {
        (self.minPixels, self.maxPixels, self.multiple) = (minPixels, maxPixels, multiple)
        (self.sliceFrames, self.isShared, self.tokensMax) = (sliceFrames, isShared, tokensMax)
    }
}
