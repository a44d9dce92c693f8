internal import JSON
internal import Serving

/// Decides what a stream says of each event; a state machine without sockets.
struct AnswerStream<Writer: AnswerWriting>: Sendable {
    private let plan: AnswerPlan
    private var writer: Writer
    private var answers: [AnswerChoice]
    private var left: Int
    /// By prompt: what the engine has told of it, whether the streams of its answers have begun, and what has come of them before.
    private var prompts: [(told: [PromptToken], isOpen: Bool, held: [BranchEvent])]
    /// Whether one answer has failed, which ends the stream.
    private(set) var hasFailed = false
    /// Of all answers, once they have ended.
    private(set) var usage: Usage?
    /// Whether nothing more is written.
    var isOver: Bool { hasFailed || usage != nil }

    init(_ plan: AnswerPlan, _ writer: Writer) {
        self.plan = plan
        self.writer = writer
        answers = plan.beginningAnswers
        left = answers.count
        prompts = Array(repeating: ([], false, []), count: plan.groups.count)
    }

    /// The beginning of the streams of all answers that wait for nothing of their prompt.
    mutating func opening() -> [UInt8] { prompts.indices.flatMap { open($0) } }

    /// Begins the streams of the answers to a prompt, and goes on with what was held, where enough is told of it.
    private mutating func open(_ prompt: Int) -> [UInt8] {
        guard !prompts[prompt].isOpen, let beginning = plan.beginning(ofPrompt: prompt, told: prompts[prompt].told) else { return [] }
        let held = prompts[prompt].held
        prompts[prompt] = ([], true, [])
        let perPrompt = plan.options.bestOf
        var bytes: [UInt8] = []
        for index in prompt * perPrompt..<(prompt + 1) * perPrompt { bytes += events(writer.opening(index, beginning), index, tokens: 0) }
        for item in held { bytes += self.bytes(of: item) }
        return bytes
    }

    private static func events(_ values: [JSONValue]) -> [UInt8] {
        values.flatMap { Writer.framing.bytes($0) }
    }

    /// The same of an answer that has so many tokens, which each piece tells where that was asked for.
    private func events(_ values: [JSONValue], _ branch: Int, tokens: Int) -> [UInt8] {
        guard plan.options.usage == .everyPiece else { return Self.events(values) }
        var usage = Usage()
        usage.promptTokens = plan.groups[branch / plan.options.bestOf].request.prompt.ids.count
        usage.completionTokens = tokens
        return Self.events(values.map { writer.telling(usage, in: $0) })
    }

    private static var end: [UInt8] { Writer.framing.end }

    /// What is written of an event; tokens wait for the text that they are part of.
    mutating func bytes(of item: BranchEvent) -> [UInt8] {
        guard !hasFailed else { return [] }
        let prompt = item.branch / plan.options.bestOf
        switch item.event {
        case .prompt(let tokens):
            prompts[prompt].told += tokens
            return open(prompt)
        case .token, .text, .finished:
            guard prompts[prompt].isOpen else {
                prompts[prompt].held.append(item)
                return []
            }
            return written(item)
        case .failed(let reason):
            hasFailed = true
            return Self.events([writer.failure(APIError(reason))]) + Self.end
        }
    }

    /// What is written of an event of an answer whose stream has begun.
    private mutating func written(_ item: BranchEvent) -> [UInt8] {
        switch item.event {
        case .prompt, .failed: return []
        case .token(let choice):
            if plan.options.tellsTokens { answers[item.branch].tokens.append(choice) }
            return []
        case .text(let text, let tokens):
            answers[item.branch].thoughts?.read(text, tokens: tokens)
            return events(writer.pieces(item.branch, text, takeTokens(item.branch)), item.branch, tokens: tokens)
        case .finished(let completion):
            answers[item.branch].end(completion)
            left -= 1
            let tokens = completion.usage.completionTokens
            let bytes = events(writer.endings(item.branch, completion, takeTokens(item.branch)), item.branch, tokens: tokens)
            guard left == 0 else { return bytes }
            let usage = plan.usage(answers)
            self.usage = usage
            return bytes + Self.events(writer.closing(usage)) + Self.end
        }
    }

    private mutating func takeTokens(_ branch: Int) -> [TokenChoice] {
        defer { answers[branch].tokens = [] }
        return answers[branch].tokens
    }
}
