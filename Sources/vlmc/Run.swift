import ArgumentParser
import CommandLineSupport
import Foundation
import Inputs
import VLMRuntime

struct Run: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Ask a model questions; answers are streamed to stdout.",
        discussion: """
            A model directory is compiled first where the store does not have it as it is now, as vlm-serve does.

            With a question it answers once. Without one, at a terminal or with --interactive, it reads questions line by line and answers each \
            with all that was said before; /help lists what else a line may say. Ctrl-C stops the answer, the end of input the program.
            Without a server, by the likeliest tokens unless flags say otherwise. Timings go to stderr.
            """)

    @Argument(
        help: "A HuggingFace model directory, or OWNER/NAME in HuggingFace's cache; or an artifact: its directory, the beginning of its key, or its model's name.")
    var model: String

    @Argument(help: "The question.")
    var question: String?

    @Option(name: .customLong("image"), help: "A \(ImageFormat.list) file that goes before the question, or the first one; may be given several times.")
    var images: [String] = []

    @Option(name: .customLong("video"), help: "A video file, such as MP4 or WebM, that goes behind the images; may be given several times.")
    var videos: [String] = []

    @OptionGroup(title: "Videos") var frames: FrameOptions

    @Option(help: "What the model is told before everything else.")
    var system: String?

    @Flag(help: "Read questions from stdin line by line.")
    var interactive = false

    @Flag(help: "Write each answer as a line of JSON with its tokens and times, once it is whole.")
    var json = false

    @OptionGroup(title: "Answers") var sampling: SamplingOptions
    @OptionGroup var store: StoreOption
    @OptionGroup var compiling: CompilingOption
    @OptionGroup var computing: ComputeOptions

    private static let isTerminal = isatty(STDIN_FILENO) == 1

    func validate() throws {
        if interactive, question != nil { throw ValidationError("--interactive reads questions from stdin; leave \"\(question ?? "")\" out") }
        if question == nil, !interactive, !Self.isTerminal { throw ValidationError("give a question, or --interactive to read questions from stdin") }
        if let flag = frames.given, question != nil, videos.isEmpty { throw ValidationError("\(flag) is of videos; give one by --video") }
    }

    func run() throws {
        let media = AskedMedia(images: try images.map(Asked.image), videos: try videos.map { try Asked.video($0, frames) })
        let path = try store.artifact(self.model, compiling)
        let clock = ContinuousClock()
        let start = clock.now
        let model = try load(path)
        let ready = clock.now - start
        let chat = ChatSession(model, instructions: system, generateParameters: sampling.parameters)
        let asked = Asked(chat: chat, writesJSON: json)
        guard let question else {
            StandardError.say(String(format: "ready after %.2f s", ready / .seconds(1)))
            var dialogue = Dialogue(asked: asked, isTerminal: Self.isTerminal, frames: frames, media: media)
            return try dialogue.run()
        }
        do {
            let info = try asked.answer(question, media, ready: ready) { _ in }
            StandardError.say(String(format: "ready %.2f s, ", ready / .seconds(1)) + Asked.line(info))
        } catch let error as ModelError {
            throw Failure("\(error)")
        }
    }

    /// One request at a time.
    private func load(_ path: String) throws -> ModelContainer {
        var options = VLMRuntime.ModelOptions()
        options.threads = computing.threads
        options.maxSequences = 1
        return try waiting { [options] in
            do throws(ModelError) {
                return try await loadModelContainer(directory: URL(fileURLWithPath: path), options: options)
            } catch {
                throw Failure("\(error)")
            }
        }
    }
}
