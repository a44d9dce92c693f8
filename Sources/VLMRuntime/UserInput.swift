public import Foundation
internal import Inputs
internal import JSON
internal import Serving

/// What a model is asked: a conversation whose last message it answers.
public struct UserInput: Sendable {
    /// An image, as a file in one of the formats that a server takes: JPEG, PNG, WebP, GIF, BMP or TIFF.
    public enum Image: Sendable {
        /// The bytes of the file.
        case data(Data)
        /// A file of this machine; nothing is fetched from elsewhere.
        case url(URL)
        /// What `ModelContainer.imageEmbeddings` made of an image, for the same model.
        case embeddings(ImageEmbeddings)
    }

    public var chat: [Chat.Message]

    /// A conversation, with roles as the model's chat template knows them.
    public init(chat: [Chat.Message]) { self.chat = chat }

    /// One question about images, which stand before it.
    public init(prompt: String, images: [Image] = []) { chat = [.user(prompt, images: images)] }
}

/// Conversations.
public enum Chat {
    public struct Message: Sendable {
        public enum Role: String, Sendable {
            case system, user, assistant
        }

        public var role: Role
        public var content: String
        /// They stand before the text.
        public var images: [UserInput.Image]

        public init(role: Role, content: String, images: [UserInput.Image] = []) {
            (self.role, self.content, self.images) = (role, content, images)
        }

        public static func system(_ content: String) -> Message { Message(role: .system, content: content) }
        public static func assistant(_ content: String) -> Message { Message(role: .assistant, content: content) }
        public static func user(_ content: String, images: [UserInput.Image] = []) -> Message {
            Message(role: .user, content: content, images: images)
        }
    }
}

extension UserInput {
    /// The messages as chat templates see them.
    var messages: JSONValue {
        .array(
            chat.map { message in
                let role = JSONValue.string(message.role.rawValue), text = JSONValue.string(message.content)
                guard !message.images.isEmpty else { return ["role": role, "content": text] }
                let images = [JSONValue](repeating: ["type": "image"], count: message.images.count)
                return ["role": role, "content": .array(images + [["type": "text", "text": text]])]
            })
    }

    /// The files of all images in order; reads those that are on disk.
    func files() throws(ModelError) -> [EncodedImage] {
        var files: [EncodedImage] = []
        for (message, place) in zip(chat, chat.indices) {
            for (index, image) in message.images.enumerated() {
                files.append(try image.file(place: "chat[\(place)].images[\(index)]"))
            }
        }
        return files
    }
}

extension UserInput.Image {
    /// Most bytes of one file.
    private static let bytesMax = 64 << 20

    func file(place: String) throws(ModelError) -> EncodedImage {
        let data: Data
        var place = place
        switch self {
        case .data(let given): data = given
        case .embeddings(let embeddings): return EncodedImage(embeddings: embeddings.given, place: place)
        case .url(let url):
            guard url.isFileURL else { throw .input("\(place): \(url) is no file; fetch it and give its data") }
            place += " (\(url.path))"
            do { data = try Self.contents(of: url) } catch { throw .input("\(place): \(error.localizedDescription)") }
        }
        guard data.count <= Self.bytesMax else { throw .input("\(place): more than \(Self.bytesMax >> 20) MB, the most that is read") }
        return EncodedImage(file: Array(data), place: place)
    }

    /// At most one byte more than may be.
    private static func contents(of url: URL) throws -> Data {
        let handle = try FileHandle(forReadingFrom: url)
        defer { try? handle.close() }
        return try handle.read(upToCount: bytesMax + 1) ?? Data()
    }
}
