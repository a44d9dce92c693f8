package import Budgets

/// What a video file says of itself.
package struct VideoFacts: Sendable, Hashable {
    /// Pixels of a frame.
    package var width: Int
    package var height: Int
    /// Frames of the whole video, at least one.
    package var frameCount: Int
    /// Frames in a second; 0 where the file does not tell.
    package var rate: Double

    package init(width: Int, height: Int, frameCount: Int, rate: Double) {
        (self.width, self.height, self.frameCount, self.rate) = (width, height, frameCount, rate)
    }
}

/// What decodes video files. Both functions may block, and throw where the file is none or costs too much.
package protocol VideoDecoder: Sendable {
    func facts(of file: [UInt8], budget: WorkBudget) throws(ImageError) -> VideoFacts

    /// The frames of these numbers, which rise and may repeat.
    func frames(_ indices: [Int], of file: [UInt8], _ facts: VideoFacts, budget: WorkBudget) throws(ImageError) -> any FrameSource
}

/// Frames one after the other.
package protocol FrameSource {
    func next() throws(ImageError) -> Image
}

/// Where nobody decodes videos.
package struct NoVideoDecoder: VideoDecoder {
    package init() {}

    private static let fault = ImageError.video("cannot be decoded here: vlm-video-frames does not lie beside this program; send a list of frames")

    package func facts(of file: [UInt8], budget: WorkBudget) throws(ImageError) -> VideoFacts { throw Self.fault }

    package func frames(_ indices: [Int], of file: [UInt8], _ facts: VideoFacts, budget: WorkBudget) throws(ImageError) -> any FrameSource { throw Self.fault }
}
