import CommandLineSupport
import Foundation
import JSON
import VLMRuntime

/// Images and videos of one question.
struct AskedMedia {
    var images: [UserInput.Image] = []
    var videos: [UserInput.Video] = []

    var isEmpty: Bool { images.isEmpty && videos.isEmpty }

    /// `2 images and 1 video`
    var counted: String {
        [(images.count, "image"), (videos.count, "video")].filter { $0.0 > 0 }.map { "\($0) \($1)\($0 == 1 ? "" : "s")" }.joined(separator: " and ")
    }
}

/// Answers for stdout.
struct Asked {
    let chat: ChatSession
    let writesJSON: Bool

    static func image(_ path: String) throws -> UserInput.Image {
        .named(path, Data(try Failure.wrapping { () throws(FileError) in try InputFile.read(path) }))
    }

    /// Most bytes of a video file.
    static let videoBytesMax = 512 << 20

    static func video(_ path: String, _ frames: FrameOptions) throws -> UserInput.Video {
        let bytes = try Failure.wrapping { () throws(FileError) in try InputFile.read(path, largest: videoBytesMax) }
        return .data(Data(bytes), name: path, framesPerSecond: frames.fps, frameCount: frames.numFrames)
    }

    /// Writes the answer to a question: as it grows, or as a line of JSON once it is whole.
    ///
    /// - Parameters:
    ///   - ready: how long the model took to load; nil where that was told.
    ///   - begun: handed the task, which may be cancelled meanwhile.
    func answer(
        _ question: String, _ media: AskedMedia, ready: Duration? = nil, begun: (Task<GenerateCompletionInfo, any Error>) -> Void
    ) throws -> GenerateCompletionInfo {
        try waiting(begun: begun) { [chat, writesJSON] in
            var text = ""
            var info: GenerateCompletionInfo?
            for try await piece in try await chat.streamDetails(to: question, images: media.images, videos: media.videos) {
                switch piece {
                case .chunk(let more) where writesJSON: text += more
                case .chunk(let more): try StandardOutput.write(more)
                case .info(let found): info = found
                case .token: break
                }
            }
            guard let info else { throw ModelError.cancelled }
            try StandardOutput.write((writesJSON ? Self.json(text, info, ready: ready) : "") + "\n")
            return info
        }
    }

    /// What an answer took, for people.
    static func line(_ info: GenerateCompletionInfo) -> String {
        let cached = info.cachedTokenCount > 0 ? " (\(info.cachedTokenCount) cached)" : ""
        return "\(info.promptTokenCount) prompt tokens\(cached); "
            + String(
                format: "first token %.2f s, %d tokens at %.1f tokens/s", info.promptTime / .seconds(1), info.generationTokenCount,
                info.tokensPerSecond)
    }

    private static func json(_ text: String, _ info: GenerateCompletionInfo, ready: Duration?) -> String {
        func seconds(_ duration: Duration) -> JSONValue { .double((duration / .seconds(1) * 1e6).rounded() / 1e6) }
        var object: JSONObject = [
            "text": .string(text), "finish_reason": .string(info.stopReason.rawValue), "prompt_tokens": .int(info.promptTokenCount),
            "cached_tokens": .int(info.cachedTokenCount), "image_tokens": .int(info.imageTokenCount),
            "completion_tokens": .int(info.generationTokenCount), "first_token_seconds": seconds(info.promptTime),
            "decode_seconds": seconds(info.generateTime),
        ]
        if let ready { object["load_seconds"] = seconds(ready) }
        return JSONValue.object(object).serializedText
    }
}
