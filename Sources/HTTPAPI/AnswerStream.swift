internal import JSON
internal import Serving

/// Decides what a stream says of each event; a state machine without sockets.
struct AnswerStream<Writer: AnswerWriting>: Sendable {
    private let plan: AnswerPlan
    private var writer: Writer
    private var answers: [AnswerChoice]
    private var left: Int
    /// Whether one answer has failed, which ends the stream.
    private(set) var hasFailed = false

    init(_ plan: AnswerPlan, _ writer: Writer) {
        self.plan = plan
        self.writer = writer
        left = plan.groups.count * plan.options.bestOf
        answers = Array(repeating: AnswerChoice(), count: left)
    }

    mutating func opening() -> [UInt8] {
        var bytes: [UInt8] = []
        for index in answers.indices {
            bytes += Self.events(writer.opening(index, beginning: plan.beginning(ofPrompt: index / plan.options.bestOf)))
        }
        return bytes
    }

    private static func events(_ values: [JSONValue]) -> [UInt8] {
        values.flatMap { ServerSentEvent.bytes($0, isNamed: Writer.namesEvents) }
    }

    private static var end: [UInt8] { Writer.namesEvents ? [] : ServerSentEvent.done }

    /// What is written of an event; tokens wait for the text that they are part of.
    mutating func bytes(of item: BranchEvent) -> [UInt8] {
        guard !hasFailed else { return [] }
        switch item.event {
        case .token(let choice):
            if plan.options.logprobs != nil { answers[item.branch].tokens.append(choice) }
            return []
        case .text(let text):
            return Self.events(writer.pieces(item.branch, text, takeTokens(item.branch)))
        case .finished(let completion):
            answers[item.branch].completion = completion
            left -= 1
            let bytes = Self.events(writer.endings(item.branch, completion, takeTokens(item.branch)))
            guard left == 0 else { return bytes }
            return bytes + Self.events(writer.closing(plan.usage(answers))) + Self.end
        case .failed(let reason):
            hasFailed = true
            return Self.events([writer.failure(APIError(reason))]) + Self.end
        }
    }

    private mutating func takeTokens(_ branch: Int) -> [TokenChoice] {
        defer { answers[branch].tokens = [] }
        return answers[branch].tokens
    }
}
