import ArgumentParser
import CommandLineSupport
import ForeignFlags
import Foundation
import HTTPAPI
import Inputs
import JSON
import ModelRuntime
import Plan

/// Bounds of what becomes of one request before the model sees it.
struct InputFlags: ParsableArguments {
    @Option(help: "More pixels than this are refused by an image's header alone, and eight times as many in one request.")
    var maxImagePixels = 89_478_485
    @Option(help: "Seconds of processor time that reading one request may take: JSON, images, template, tokens.")
    var maxRequestCpuSeconds = 30.0
    @Option(help: "Seconds until a request must have been read, its turn included; later it is answered 429.")
    var requestDeadline = 120.0
    @Option(help: "Bytes of image embeddings kept for reuse; 0 for none.")
    var imageCacheBytes = Size(argument: "512Mi") ?? Size(512 << 20)
    @Option(help: ArgumentHelp("Most images and videos of one request: image=2,video=1, or JSON such as {\"image\": 2}; unless given, as many as fit.", valueName: "limits"))
    var limitMmPerPrompt: String?

    @Option(
        help: ArgumentHelp(
            "How images are resized where requests do not say, as JSON: {\"min_pixels\": 3136, \"max_pixels\": 1003520}, or a size with shortest_edge and longest_edge; unless given, as the model's processor does.",
            valueName: "json"))
    var mmProcessorKwargs: String?

    /// Bounds of resized images, and which frames of videos are read.
    var processorArguments: (bounds: PixelBounds, sampling: FrameSampling.Request) {
        get throws {
            guard let text = mmProcessorKwargs else { return (PixelBounds(), FrameSampling.Request()) }
            guard let object = (try? JSONValue(parsing: Array(text.utf8)))?.objectValue else {
                throw ValidationError("--mm-processor-kwargs \(text) is no JSON object")
            }
            do throws(PixelBoundsError) {
                return (try PixelBounds(processorArguments: object), try FrameSampling.Request(processorArguments: object))
            } catch {
                throw ValidationError("--mm-processor-kwargs: \(error)")
            }
        }
    }

    @Option(help: ArgumentHelp("A chat template in place of the model's: a file in Jinja, or the template itself.", valueName: "file"))
    var chatTemplate: String?

    /// The source of --chat-template: of its file, or the value itself where it is no file and has braces. It parses.
    func template() throws -> String? {
        guard let chatTemplate else { return nil }
        if let data = FileManager.default.contents(atPath: chatTemplate) {
            guard data.count <= Self.templateBytesMax else { throw FlagError("--chat-template \(chatTemplate) has more than \(Self.templateBytesMax) bytes") }
            let source = String(decoding: data, as: UTF8.self)
            try ModelInputs.check(template: source, named: "--chat-template \(chatTemplate)")
            return source
        }
        guard chatTemplate.contains("{") else { throw FlagError("--chat-template \(chatTemplate) is neither a file that can be read nor a template") }
        try ModelInputs.check(template: chatTemplate, named: "--chat-template")
        return chatTemplate
    }

    /// Bounds requests as the flags say.
    func set(_ options: inout APIServer.Options) throws {
        (options.maxImages, options.maxVideos) = (try mediaLimits?.images, try mediaLimits?.videos)
        options.preparationCPUSeconds = maxRequestCpuSeconds
        options.preparationSeconds = requestDeadline
    }

    /// What of the flags has no effect.
    var notes: [String] { ((try? mediaLimits)?.note).map { ["--limit-mm-per-prompt \($0)"] } ?? [] }

    private static let templateBytesMax = 1 << 20
    /// Nil for as many as fit.
    private var mediaLimits: MediaLimits? { get throws { try limitMmPerPrompt.map { text throws(FlagError) in try MediaLimits(text) } } }

    func validate() throws {
        guard maxImagePixels >= 1 else { throw ValidationError("--max-image-pixels must be at least 1") }
        for (name, value) in [("--max-request-cpu-seconds", maxRequestCpuSeconds), ("--request-deadline", requestDeadline)] {
            guard value > 0, value <= 86400 else { throw ValidationError("\(name) \(value) is not above 0 and at most 86400 seconds") }
        }
        _ = try processorArguments
        do { _ = try mediaLimits } catch { throw ValidationError("--limit-mm-per-prompt \(error)") }
    }
}
