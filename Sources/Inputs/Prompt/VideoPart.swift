package import JSON
package import Plan

/// What a message part says of its video.
package struct VideoPart: Sendable, Hashable {
    /// One of a file, or those of frames.
    package let sources: [ImageSource]
    /// Whether `sources` are image files, one for each frame.
    package let isFrames: Bool
    /// Which frames of a file are read.
    package let sampling: FrameSampling.Request

    private static let types: Set<String> = ["video", "video_url", "input_video"]

    /// Nil when the part is no video.
    ///
    /// Read are `video_url` (an object or a bare string) and HuggingFace's `video` with its `video`, `url`, `path` or `base64` entry, or a list
    /// of frames; `fps` or `num_frames` beside them.
    package init?(_ part: JSONValue) throws(ImageSourceError) {
        guard let object = part.objectValue, let type = object["type"]?.stringValue, Self.types.contains(type) else { return nil }
        let given = ["video_url", "video", "url", "path", "base64"].filter { !(object[$0]?.isNull ?? true) }
        guard let key = given.first, let value = object[key] else { throw .init("a part of type \(type) has no video; give video_url.url") }
        guard given.count == 1 else { throw .init("a part has several videos, in \(given.joined(separator: " and ")); give one") }
        do throws(PixelBoundsError) {
            let own = try FrameSampling.Request(processorArguments: object)
            sampling = try FrameSampling.Request(processorArguments: value.objectValue ?? JSONObject()).over(own)
        } catch { throw .init("\(error)") }
        isFrames = value.arrayValue != nil
        var sources: [ImageSource] = []
        for value in value.arrayValue ?? [value] {
            guard let location = value.stringValue ?? value["url"]?.stringValue else { throw .init("\(key) must be a string, an object with a url, or a list of frames") }
            sources.append(try ImageSource(location: key == "base64" ? "data:;base64,\(location)" : location))
        }
        guard !sources.isEmpty else { throw .init("the video has no frames") }
        self.sources = sources
    }
}
