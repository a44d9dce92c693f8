internal import Foundation
package import JSON

/// Where a message part says that its image is.
package enum ImageSource: Sendable, Hashable {
    /// The file itself, from a `data:` URL or a base64 field.
    case bytes([UInt8])
    /// A path on this machine, or a `file:` URL's path.
    case file(String)
    /// An `http:` or `https:` URL; whoever fetches it decides whether it may.
    case remote(String)

    /// Reads a URL or a path. A `data:` URL must be base64; its media type does not matter, the bytes tell.
    package init(location: String) throws(ImageSourceError) {
        if let first = location.first, first.isWhitespace {
            self = try .init(location: String(location.drop(while: \.isWhitespace)))
            return
        }
        if location.isEmpty { throw .init("the image's location is empty") }
        let scheme = location.prefix { $0 != ":" }.lowercased()
        switch scheme {
        case "data": self = .bytes(try Self.decode(dataURL: location))
        case "http", "https": self = .remote(location)
        case "file":
            let rest = location.dropFirst("file:".count)
            let host = rest.hasPrefix("//") ? rest.dropFirst(2).prefix { $0 != "/" } : ""
            guard host.isEmpty || host.lowercased() == "localhost" else {
                throw .init("the file URL names the host \(host.prefix(60)), and only files of this machine are read: write file:///…")
            }
            let path = rest.hasPrefix("//") ? String(rest.dropFirst(2 + host.count)) : String(rest)
            guard let path = path.removingPercentEncoding, !path.isEmpty else {
                throw .init("the file URL has no path")
            }
            self = .file(path)
        default: self = .file(location)
        }
    }

    private static func decode(dataURL: String) throws(ImageSourceError) -> [UInt8] {
        guard let comma = dataURL.utf8.firstIndex(of: UInt8(ascii: ",")) else {
            throw .init("the data URL has no comma; write data:image/png;base64,…")
        }
        guard dataURL[..<comma].lowercased().filter({ !$0.isWhitespace }).hasSuffix(";base64") else {
            throw .init("the data URL is not base64; write data:image/png;base64,…")
        }
        let data = dataURL[dataURL.utf8.index(after: comma)...]
        guard data.utf8.contains(UInt8(ascii: "%")) else { return try decode(base64: data) }
        guard let plain = data.removingPercentEncoding else { throw .init("the data URL's percent-encoding is damaged") }
        return try decode(base64: plain)
    }

    private static func decode(base64: some StringProtocol) throws(ImageSourceError) -> [UInt8] {
        guard let bytes = Base64.decode(base64.utf8) else { throw .init("the file's base64 text is damaged") }
        return bytes
    }

    /// The image of a message part, nil when the part is no image.
    ///
    /// Read are OpenAI's `image_url` (an object or a bare string) and `input_image`, and HuggingFace's `image` with its
    /// `image`, `url`, `path` or `base64` entry.
    package init?(part: JSONValue) throws(ImageSourceError) {
        guard let type = part["type"]?.stringValue, Self.types.contains(type) else { return nil }
        let given = ["image_url", "image", "url", "path", "base64"].filter { !(part[$0]?.isNull ?? true) }
        guard let key = given.first, let value = part[key] else {
            throw .init("a part of type \(type) has no image; give image_url.url")
        }
        guard given.count == 1 else {
            throw .init("a part has several images, in \(given.joined(separator: " and ")); give one")
        }
        if key == "base64" {
            guard let text = value.stringValue else { throw .init("base64 must be a string, not \(value.kind)") }
            self = .bytes(try Self.decode(base64: text))
            return
        }
        guard let location = value.stringValue ?? value["url"]?.stringValue else {
            throw .init("\(key) must be a string or an object with a url")
        }
        self = try .init(location: location)
    }

    /// Whether a message part says that it is an image.
    static func isImage(_ part: JSONValue) -> Bool { part["type"]?.stringValue.map(types.contains) ?? false }

    /// The types of parts that are images.
    fileprivate static let types: Set<String> = ["image", "image_url", "input_image"]
}

/// Why an image's place in a message cannot be understood.
package struct ImageSourceError: Error, Hashable, CustomStringConvertible {
    package var description: String
    /// Position of the message and of the part in it, from zero; nil outside a conversation.
    package var message: Int?
    package var part: Int?

    init(_ description: String) { self.description = description }
}

/// An image or a video of a conversation and the part that brings it, counted from zero.
package struct MediaReference: Sendable, Hashable {
    package enum Media: Sendable, Hashable {
        case image(ImageSource)
        case video(VideoPart)
    }

    package var message: Int
    package var part: Int
    package var media: Media

    /// The part as messages name it.
    package var place: String { "messages[\(message)].content[\(part)]" }

    /// The images and videos of all messages, in the order in which a chat template meets them.
    ///
    /// Throws, with the place, for messages and parts that are no objects, and for parts that are none of text, image and video.
    package static func all(in messages: [JSONValue]) throws(ImageSourceError) -> [MediaReference] {
        var references: [MediaReference] = []
        for (message, turn) in messages.enumerated() {
            for (part, content) in try parts(of: turn, at: message).enumerated() {
                do {
                    guard let media = try media(content) else { continue }
                    references.append(.init(message: message, part: part, media: media))
                } catch {
                    var located = error
                    located.message = message
                    located.part = part
                    located.description = "messages[\(message)].content[\(part)]: \(error.description)"
                    throw located
                }
            }
        }
        return references
    }

    /// The parts of a message; none where its content is text or missing.
    private static func parts(of turn: JSONValue, at message: Int) throws(ImageSourceError) -> [JSONValue] {
        var wrong: String
        if turn.objectValue == nil {
            wrong = "messages[\(message)]: a message must be an object, not \(turn.kind)"
        } else {
            switch turn["content"] {
            case .array(let parts)?: return parts
            case nil, .null?, .string?: return []
            case let content?: wrong = "messages[\(message)].content must be a string or a list of parts, not \(content.kind)"
            }
        }
        wrong = wrong.replacing("not a array", with: "not an array").replacing("not a object", with: "not an object")
        var error = ImageSourceError(wrong)
        error.message = message
        throw error
    }

    private static func media(_ part: JSONValue) throws(ImageSourceError) -> Media? {
        guard part.objectValue != nil else { throw .init("a part must be an object with a type, not \(part.kind)") }
        guard let type = part["type"]?.stringValue else { throw .init("a part needs a type, such as text or image") }
        if ["text", "input_text"].contains(type) { return nil }
        if let video = try VideoPart(part) { return .video(video) }
        guard let source = try ImageSource(part: part) else { throw .init("parts of type \(type) are not read; text, images and videos are") }
        return .image(source)
    }
}
