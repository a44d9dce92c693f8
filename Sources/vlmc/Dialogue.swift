import CommandLineSupport
import Foundation
import Synchronization
import VLMRuntime

/// Questions from stdin, line by line, and their answers.
struct Dialogue {
    /// What a line that begins with a slash asks for.
    enum Line: Equatable {
        case question(String)
        case image(String)
        case video(String)
        case reset
        case help
        case quit
        case unknown(String)

        /// Nil for a line of nothing. Two slashes begin a question with one.
        init?(_ line: String) {
            let text = line.trimmingCharacters(in: .whitespaces)
            guard !text.isEmpty else { return nil }
            guard text.hasPrefix("/") else {
                self = .question(text)
                return
            }
            if text.hasPrefix("//") {
                self = .question(String(text.dropFirst()))
                return
            }
            let word = text.prefix { !$0.isWhitespace }
            let rest = text.dropFirst(word.count).trimmingCharacters(in: .whitespaces)
            switch word {
            case "/image" where !rest.isEmpty: self = .image(rest)
            case "/video" where !rest.isEmpty: self = .video(rest)
            case "/reset" where rest.isEmpty: self = .reset
            case "/help" where rest.isEmpty: self = .help
            case "/quit" where rest.isEmpty, "/exit" where rest.isEmpty: self = .quit
            default: self = .unknown(text)
            }
        }
    }

    private static let help = """
        /image PATH  an image for the next question; several times for several
        /video PATH  the same for a video
        /reset       forget what was said
        /help        this list
        /quit        leave, as the end of input does
        A question that begins with a slash begins with two. Ctrl-C stops an answer.
        """

    let asked: Asked
    let isTerminal: Bool
    let frames: FrameOptions
    /// Of the next question.
    var media: AskedMedia

    /// Returns at the end of input.
    mutating func run() throws {
        let current = CurrentAnswer()
        ProcessSignals.onInterrupt { [isTerminal] in
            if !current.stop(), isTerminal { StandardError.write("\n/quit or the end of input leaves\n> ") }
        }
        if isTerminal { StandardError.say("/help lists what a line may say; the end of input leaves") }
        while let text = next() {
            switch Line(text) {
            case nil: continue
            case .question(let question): try answer(question, current)
            case .image(let path): telling { $0.media.images.append(try Asked.image(path)) }
            case .video(let path): telling { $0.media.videos.append(try Asked.video(path, $0.frames)) }
            case .reset:
                asked.chat.clear()
                media = AskedMedia()
            case .help: StandardError.say(Self.help)
            case .quit: return
            case .unknown(let line): StandardError.say("error: \(line) is no command; /help lists them")
            }
        }
        if isTerminal { StandardError.write("\n") }
    }

    private func next() -> String? {
        if isTerminal { StandardError.write(media.isEmpty ? "> " : "[\(media.counted)] > ") }
        return readLine()
    }

    private mutating func telling(_ add: (inout Dialogue) throws -> Void) {
        do { try add(&self) } catch { StandardError.say("error: \(error)") }
    }

    /// A question that the model does not take is told, and was never asked; its images and videos are dropped.
    private mutating func answer(_ question: String, _ current: CurrentAnswer) throws {
        defer { current.set(nil) }
        let given = media
        media = AskedMedia()
        do {
            let info = try asked.answer(question, given) { current.set($0) }
            StandardError.say(Asked.line(info))
        } catch ModelError.cancelled {
            if !asked.writesJSON { try StandardOutput.write("\n") }
            StandardError.say("stopped")
        } catch let error as ModelError {
            StandardError.say("error: \(error)" + (given.isEmpty ? "" : "; the \(given.videos.isEmpty ? "images" : given.images.isEmpty ? "videos" : "images and videos") are dropped"))
        }
    }
}

/// The answer at work, which Ctrl-C stops.
private final class CurrentAnswer: Sendable {
    private let task = Mutex<Task<GenerateCompletionInfo, any Error>?>(nil)

    func set(_ answer: Task<GenerateCompletionInfo, any Error>?) { task.withLock { $0 = answer } }

    /// False where none is at work.
    func stop() -> Bool {
        task.withLock { task in
            task?.cancel()
            return task != nil
        }
    }
}
