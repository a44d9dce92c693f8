import CommandLineSupport
import Foundation
import Inputs
import JSON
import Plan
import Serving

/// Messages with their images and videos, and what else a chat template may see.
struct Conversation {
    let messages: [JSONValue]
    let extra: JSONObject
    private let folder: URL

    init(_ document: JSONValue, relativeTo folder: URL) throws(Failure) {
        var extra = document.objectValue ?? JSONObject()
        guard let messages = (document.arrayValue ?? extra["messages"]?.arrayValue) else {
            throw Failure("the messages are neither a list nor an object with messages")
        }
        extra["messages"] = nil
        self.messages = messages
        self.extra = extra
        self.folder = folder
    }

    /// The files of all images and videos in the order of their parts; an error names the part.
    func media() throws(Failure) -> [EncodedImage] {
        let references = try Failure.wrapping { () throws(ImageSourceError) in try MediaReference.all(in: messages) }
        var media: [EncodedImage] = []
        for reference in references {
            let place = reference.place
            do {
                switch reference.media {
                case .image(let source): media.append(EncodedImage(file: try bytes(source), place: place))
                case .video(let video):
                    let files = try video.sources.map { ImageSource.bytes(try bytes($0, largest: video.isFrames ? InputFile.largest : Asked.videoBytesMax)) }
                    media.append(
                        video.isFrames ? EncodedImage(frames: files, place: place) : EncodedImage(video: files[0], sampling: video.sampling, place: place))
                }
            } catch {
                throw Failure("\(place): \(error)")
            }
        }
        return media
    }

    private func bytes(_ source: ImageSource, largest: Int = InputFile.largest) throws -> [UInt8] {
        switch source {
        case .bytes(let bytes): return bytes
        case .remote(let url): throw Failure("\(shown(url)) is not fetched; give a path or a data: URL")
        case .file(let path):
            let url = path.hasPrefix("/") ? URL(fileURLWithPath: path) : folder.appending(path: path)
            do { return try InputFile.read(url.path, largest: largest) } catch {
                guard path.utf8.count > Self.shownCount else { throw Failure("\(error)") }
                throw Failure("there is no file \(shown(path)); base64 text belongs behind data:image/png;base64,")
            }
        }
    }

    /// More of a path than this is not repeated in messages.
    private static let shownCount = 200

    private func shown(_ path: String) -> String {
        path.utf8.count <= Self.shownCount ? path : "\(path.prefix(40))… of \(path.utf8.count) bytes"
    }
}
