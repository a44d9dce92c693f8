internal import Inputs
internal import JSON
internal import Plan
internal import Serving

/// Reads parts that hold a video: a file at a URL, or a list of frames.
///
/// `video_url` is a URL or an object with one; `video` the same, or a list of the URLs of frames. A URL `data:video/jpeg;base64,…` holds
/// frames, image files whose base64 a comma divides. `fps` or `num_frames` say which frames of a file are read, in the part, its
/// `video_url` or the body's `mm_processor_kwargs`; the nearest to the video counts.
struct VideoFields {
    /// Of the part.
    let fields: FieldReader
    let place: String
    /// What the body says.
    let bounds: PixelBounds
    let sampling: FrameSampling.Request

    private static let framesPrefix = "data:video/jpeg;base64,"

    func read(_ name: String) throws(APIError) -> EncodedImage {
        guard let value = fields.value(name) else { throw .invalid("\(place).\(name) is required", param: "\(place).\(name)") }
        var (bounds, sampling) = (try PixelFields.read(fields).over(bounds), try Self.sampling(fields).over(sampling))
        if let list = value.arrayValue {
            guard name == "video" else { throw fields.mismatch(name, value, "a URL or an object with a url") }
            return try frames(list, name, bounds)
        }
        var url = value.stringValue
        if let object = value.objectValue {
            let inner = FieldReader(object: object, prefix: "\(place).\(name).")
            url = try inner.string("url")
            bounds = try PixelFields.read(inner).over(bounds)
            sampling = try Self.sampling(inner).over(sampling)
        }
        guard let url else { throw .invalid("\(place).\(name) must be a URL or an object with a url", param: place) }
        if url.prefix(Self.framesPrefix.count).lowercased() == Self.framesPrefix {
            var sources: [ImageSource] = []
            for (index, text) in url.dropFirst(Self.framesPrefix.count).split(separator: ",", omittingEmptySubsequences: false).enumerated() {
                guard let bytes = Base64.decode(text.utf8) else { throw fault("the base64 text of frame \(index) is damaged") }
                sources.append(.bytes(bytes))
            }
            return try video(sources, bounds)
        }
        return EncodedImage(video: try source(url), sampling: sampling, place: place, bounds: bounds)
    }

    private func frames(_ list: [JSONValue], _ name: String, _ bounds: PixelBounds) throws(APIError) -> EncodedImage {
        var sources: [ImageSource] = []
        for (index, value) in list.enumerated() {
            guard let url = value.stringValue ?? value["url"]?.stringValue ?? value["image_url"]?["url"]?.stringValue else {
                throw fields.mismatch("\(name)[\(index)]", value, "the URL of a frame")
            }
            sources.append(try source(url))
        }
        return try video(sources, bounds)
    }

    private func video(_ frames: [ImageSource], _ bounds: PixelBounds) throws(APIError) -> EncodedImage {
        guard !frames.isEmpty else { throw fault("the video has no frames") }
        return EncodedImage(frames: frames, place: place, bounds: bounds)
    }

    private func source(_ url: String) throws(APIError) -> ImageSource {
        let location: ImageSource
        do throws(ImageSourceError) { location = try ImageSource(location: url) } catch { throw fault(error.description) }
        if case .file = location, !url.drop(while: \.isWhitespace).lowercased().hasPrefix("file:") {
            throw fault("a video or a frame is a data: URL, or an http:, https: or file: URL")
        }
        return location
    }

    private func fault(_ reason: String) -> APIError { .invalid("\(place): \(reason)", param: place, code: "invalid_video_url") }

    /// `fps` and `num_frames` themselves.
    static func sampling(_ fields: FieldReader) throws(APIError) -> FrameSampling.Request {
        do throws(PixelBoundsError) { return try FrameSampling.Request(processorArguments: fields.object) } catch {
            throw .invalid("\(fields.prefix)\(error)", param: "\(fields.prefix)\(error.field)")
        }
    }

    /// Those of a body's `mm_processor_kwargs`.
    static func readBody(_ fields: FieldReader) throws(APIError) -> FrameSampling.Request {
        let name = "mm_processor_kwargs"
        guard let object = fields.value(name)?.objectValue else { return FrameSampling.Request() }
        return try sampling(FieldReader(object: object, prefix: "\(fields.prefix)\(name)."))
    }
}
