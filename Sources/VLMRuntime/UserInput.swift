public import Foundation
internal import Inputs
internal import JSON
internal import Plan
internal import Serving

/// What a model is asked: a conversation whose last message it answers.
public struct UserInput: Sendable {
    /// An image, as a file in one of the formats that a server takes: JPEG, PNG, WebP, GIF, BMP or TIFF.
    public enum Image: Sendable {
        /// The bytes of the file.
        case data(Data)
        /// The same, and what errors call it in place of where it stands in the conversation.
        case named(String, Data)
        /// A file of this machine; nothing is fetched from elsewhere.
        case url(URL)
        /// What `ModelContainer.imageEmbeddings` made of an image, for the same model.
        case embeddings(ImageEmbeddings)
    }

    /// A video: a file such as MP4 or WebM, or a list of frames.
    public struct Video: Sendable {
        /// Frames that are read of each second, or of the whole video; nil for as many as the model's processor reads of a file, and
        /// all of a list.
        public var framesPerSecond: Double?
        public var frameCount: Int?
        fileprivate let source: Source

        fileprivate enum Source: Sendable {
            case file(Image)
            case frames([Image])
        }

        /// The bytes of a file.
        ///
        /// - Parameter name: what errors call it; nil for where it stands in the conversation.
        public static func data(_ data: Data, name: String? = nil, framesPerSecond: Double? = nil, frameCount: Int? = nil) -> Video {
            let file = name.map { Image.named($0, data) } ?? .data(data)
            return Video(framesPerSecond: framesPerSecond, frameCount: frameCount, source: .file(file))
        }

        /// A file of this machine; nothing is fetched from elsewhere.
        public static func url(_ url: URL, framesPerSecond: Double? = nil, frameCount: Int? = nil) -> Video {
            Video(framesPerSecond: framesPerSecond, frameCount: frameCount, source: .file(.url(url)))
        }

        /// Images of one size, one for each frame, all of which are read.
        public static func frames(_ frames: [Image]) -> Video { Video(source: .frames(frames)) }
    }

    public var chat: [Chat.Message]

    /// A conversation, with roles as the model's chat template knows them.
    public init(chat: [Chat.Message]) { self.chat = chat }

    /// One question about images and videos, which stand before it.
    public init(prompt: String, images: [Image] = [], videos: [Video] = []) { chat = [.user(prompt, images: images, videos: videos)] }
}

/// Conversations.
public enum Chat {
    public struct Message: Sendable {
        public enum Role: String, Sendable {
            case system, user, assistant
        }

        public var role: Role
        public var content: String
        /// They stand before the text, videos behind images.
        public var images: [UserInput.Image]
        public var videos: [UserInput.Video]

        public init(role: Role, content: String, images: [UserInput.Image] = [], videos: [UserInput.Video] = []) {
            (self.role, self.content, self.images, self.videos) = (role, content, images, videos)
        }

        public static func system(_ content: String) -> Message { Message(role: .system, content: content) }
        public static func assistant(_ content: String) -> Message { Message(role: .assistant, content: content) }
        public static func user(_ content: String, images: [UserInput.Image] = [], videos: [UserInput.Video] = []) -> Message {
            Message(role: .user, content: content, images: images, videos: videos)
        }
    }
}

extension UserInput {
    /// The messages as chat templates see them.
    var messages: JSONValue {
        .array(
            chat.map { message in
                let role = JSONValue.string(message.role.rawValue), text = JSONValue.string(message.content)
                guard !message.images.isEmpty || !message.videos.isEmpty else { return ["role": role, "content": text] }
                let images = [JSONValue](repeating: ["type": "image"], count: message.images.count)
                let videos = [JSONValue](repeating: ["type": "video"], count: message.videos.count)
                return ["role": role, "content": .array(images + videos + [["type": "text", "text": text]])]
            })
    }

    /// The files of all images and videos in order; reads those that are on disk.
    func files() throws(ModelError) -> [EncodedImage] {
        var files: [EncodedImage] = []
        for (message, place) in zip(chat, chat.indices) {
            for (index, image) in message.images.enumerated() {
                files.append(try image.file(place: "chat[\(place)].images[\(index)]"))
            }
            for (index, video) in message.videos.enumerated() {
                files.append(try video.file(place: "chat[\(place)].videos[\(index)]"))
            }
        }
        return files
    }
}

extension UserInput.Image {
    /// Most bytes of one file.
    private static let bytesMax = 64 << 20

    func file(place: String) throws(ModelError) -> EncodedImage {
        if case .embeddings(let embeddings) = self { return EncodedImage(embeddings: embeddings.given, place: place) }
        let (bytes, place) = try contents(place, bytesMax: Self.bytesMax)
        return EncodedImage(file: bytes, place: place)
    }

    /// The bytes of a file, and its place with its path.
    fileprivate func contents(_ place: String, bytesMax: Int) throws(ModelError) -> (bytes: [UInt8], place: String) {
        let data: Data
        var place = place
        switch self {
        case .data(let given): data = given
        case .named(let name, let given): (place, data) = (name, given)
        case .embeddings: throw .input("\(place): embeddings are no file")
        case .url(let url):
            guard url.isFileURL else { throw .input("\(place): \(url) is no file; fetch it and give its data") }
            place += " (\(url.path))"
            do { data = try Self.read(url, bytesMax: bytesMax) } catch { throw .input("\(place): \(error.localizedDescription)") }
        }
        guard data.count <= bytesMax else { throw .input("\(place): more than \(bytesMax >> 20) MB, the most that is read") }
        return (Array(data), place)
    }

    /// At most one byte more than may be.
    private static func read(_ url: URL, bytesMax: Int) throws -> Data {
        let handle = try FileHandle(forReadingFrom: url)
        defer { try? handle.close() }
        return try handle.read(upToCount: bytesMax + 1) ?? Data()
    }
}

extension UserInput.Video {
    /// Most bytes of one file.
    private static let bytesMax = 512 << 20

    func file(place: String) throws(ModelError) -> EncodedImage {
        switch source {
        case .file(let file):
            let (bytes, place) = try file.contents(place, bytesMax: Self.bytesMax)
            do throws(PixelBoundsError) {
                let sampling = try FrameSampling.Request(processorArguments: ["fps": framesPerSecond.map { .double($0) } ?? .null, "num_frames": frameCount.map { .int($0) } ?? .null])
                return EncodedImage(video: .bytes(bytes), sampling: sampling, place: place)
            } catch { throw .input("\(place): \(error)") }
        case .frames(let frames):
            var files: [ImageSource] = []
            for (index, frame) in frames.enumerated() { files.append(.bytes(try frame.contents("\(place) frame \(index)", bytesMax: 64 << 20).bytes)) }
            guard !files.isEmpty else { throw .input("\(place): the video has no frames") }
            return EncodedImage(frames: files, place: place)
        }
    }
}
