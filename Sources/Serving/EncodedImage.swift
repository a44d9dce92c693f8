package import Inputs
package import Plan

/// An image or a video of a request as it came.
package struct EncodedImage: Sendable {
    /// An image file, of a kind that `ImageFormat` names, or a video file, or where it still has to be had from.
    package var source: ImageSource
    /// Where the request holds it, such as `messages[0].content[1]`.
    package var place: String
    /// What the request says of the resized image's size.
    package var bounds: PixelBounds
    /// What the request gives in place of a file.
    package var embeddings: GivenEmbeddings?
    /// What a video has beside; nil for an image.
    package var video: EncodedVideo?

    package init(source: ImageSource, place: String, bounds: PixelBounds = PixelBounds()) {
        (self.source, self.place, self.bounds) = (source, place, bounds)
    }

    package init(file: [UInt8], place: String) { self.init(source: .bytes(file), place: place) }

    package init(embeddings: GivenEmbeddings, place: String, bounds: PixelBounds = PixelBounds()) {
        self.init(source: .bytes([]), place: place, bounds: bounds)
        self.embeddings = embeddings
    }

    package init(video: ImageSource, sampling: FrameSampling.Request = .init(), place: String, bounds: PixelBounds = PixelBounds()) {
        self.init(source: video, place: place, bounds: bounds)
        self.video = EncodedVideo(frames: [], sampling: sampling)
    }

    package init(frames: [ImageSource], place: String, bounds: PixelBounds = PixelBounds()) {
        self.init(source: .bytes([]), place: place, bounds: bounds)
        video = EncodedVideo(frames: frames, sampling: .init())
    }

    /// Where its files are: one, or those of a video's frames.
    package var sources: [ImageSource] {
        get { video.map { $0.frames.isEmpty ? [source] : $0.frames } ?? [source] }
        set {
            if let video, !video.frames.isEmpty { self.video?.frames = newValue } else if let first = newValue.first { source = first }
        }
    }

    /// Throws where files have not been fetched.
    var files: [[UInt8]] {
        get throws(InputError) {
            var files: [[UInt8]] = []
            for source in sources {
                guard case .bytes(let file) = source else { throw .badImage(place: place, reason: "the file has not been fetched", isVideo: video != nil) }
                files.append(file)
            }
            return files
        }
    }
}

/// What a request says of a video.
package struct EncodedVideo: Sendable {
    /// Image files, one for each frame, all of which are read; none where the video is a file.
    package var frames: [ImageSource]
    /// Which frames of a file are read.
    package var sampling: FrameSampling.Request
}
