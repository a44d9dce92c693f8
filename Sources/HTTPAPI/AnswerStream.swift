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

    func opening() -> [UInt8] {
        answers.indices.reduce(into: []) { bytes, index in
            guard let piece = writer.opening(index, beginning: plan.beginning(ofPrompt: index / plan.options.bestOf)) else { return }
            bytes += ServerSentEvent.bytes(piece)
        }
    }

    /// What is written of an event; tokens wait for the text that they are part of.
    mutating func bytes(of item: BranchEvent) -> [UInt8] {
        guard !hasFailed else { return [] }
        switch item.event {
        case .token(let choice):
            if plan.options.logprobs != nil { answers[item.branch].tokens.append(choice) }
            return []
        case .text(let text):
            return ServerSentEvent.bytes(writer.pieces(item.branch, text, takeTokens(item.branch)))
        case .finished(let completion):
            answers[item.branch].completion = completion
            left -= 1
            let bytes = ServerSentEvent.bytes(writer.endings(item.branch, completion, takeTokens(item.branch)))
            guard left == 0 else { return bytes }
            let counting = plan.options.includesUsage ? ServerSentEvent.bytes(writer.counting(plan.usage(answers))) : []
            return bytes + counting + ServerSentEvent.done
        case .failed(let reason):
            hasFailed = true
            return ServerSentEvent.bytes(APIError(reason).body) + ServerSentEvent.done
        }
    }

    private mutating func takeTokens(_ branch: Int) -> [TokenChoice] {
        defer { answers[branch].tokens = [] }
        return answers[branch].tokens
    }
}
