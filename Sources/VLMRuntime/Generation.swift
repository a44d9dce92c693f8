internal import Serving
internal import Synchronization

/// A piece of an answer, in order: tokens and texts, then one record of what it took.
public enum Generation: Sendable {
    /// Text of one or more tokens, never empty and never half a character.
    case chunk(String)
    /// A token, before its text, where `GenerateParameters.logprobs` asks for them.
    case token(TokenInfo)
    /// The end of a whole answer.
    case info(GenerateCompletionInfo)

    public var chunk: String? {
        if case .chunk(let text) = self { text } else { nil }
    }
    public var token: TokenInfo? {
        if case .token(let token) = self { token } else { nil }
    }
    public var info: GenerateCompletionInfo? {
        if case .info(let info) = self { info } else { nil }
    }
}

/// A token of an answer.
public struct TokenInfo: Sendable, Hashable {
    public struct Alternative: Sendable, Hashable {
        public let token: Int
        /// The natural logarithm of its probability under the model's own logits, before temperature and penalties.
        public let logprob: Float
    }

    public let chosen: Alternative
    /// The likeliest tokens in its place, the likeliest first.
    public let likeliest: [Alternative]

    init(_ choice: TokenChoice) {
        func alternative(_ token: TokenLogprob) -> Alternative { Alternative(token: Int(token.token), logprob: token.logprob) }
        chosen = alternative(choice.chosen)
        likeliest = choice.likeliest.map(alternative)
    }
}

/// Why an answer ended.
public enum GenerateStopReason: String, Sendable {
    /// The model's own end, or one of the stop strings.
    case stop
    /// `maxTokens`, or the end of the context.
    case length
}

/// What a whole answer took.
public struct GenerateCompletionInfo: Sendable {
    public let stopReason: GenerateStopReason
    public let promptTokenCount: Int
    /// Tokens of the prompt that were computed for an earlier request.
    public let cachedTokenCount: Int
    /// Tokens of the prompt that stand for images.
    public let imageTokenCount: Int
    public let generationTokenCount: Int
    /// From the request to the first token.
    public let promptTime: Duration
    /// From the first token to the end.
    public let generateTime: Duration

    /// Of the tokens behind the first one; 0 where there are none.
    public var tokensPerSecond: Double {
        let seconds = generateTime / .seconds(1)
        return seconds > 0 ? Double(max(generationTokenCount - 1, 0)) / seconds : 0
    }
}

/// An answer as it grows, to be read once. Leaving the loop, or cancelling its task, ends the request and frees its memory.
public struct GenerationStream: AsyncSequence, Sendable {
    private let answer: Answer

    init(_ generation: Serving.Generation, of owner: ModelContainer, onEnd: @escaping @Sendable (_ text: String) -> Void = { _ in }) {
        answer = Answer(generation, owner, onEnd)
    }

    public func makeAsyncIterator() -> Iterator { Iterator(answer) }

    public struct Iterator: AsyncIteratorProtocol {
        private var events: AsyncStream<GenerationEvent>.Iterator
        private let reading: Reading

        fileprivate init(_ answer: Answer) {
            events = answer.generation.events.makeAsyncIterator()
            reading = Reading(answer)
        }

        public mutating func next() async throws(ModelError) -> Generation? { try await next(isolation: nil) }

        /// The next piece; nil behind the record. Throws `cancelled` where the answer ends without one.
        public mutating func next(isolation actor: isolated (any Actor)?) async throws(ModelError) -> Generation? {
            while !reading.answer.isOver {
                guard let event = await events.next(isolation: actor) else { throw reading.answer.end(.cancelled) }
                if let piece = try reading.answer.piece(of: event) { return piece }
            }
            return nil
        }
    }
}

/// Ends the request once nobody reads it any more.
private final class Reading: Sendable {
    let answer: Answer

    init(_ answer: Answer) { self.answer = answer }

    deinit { answer.end() }
}

/// A request at work, and what has come of it.
private final class Answer: Sendable {
    private struct State {
        var text = ""
        var firstToken: ContinuousClock.Instant?
        var isOver = false
    }

    let generation: Serving.Generation
    /// Works as long as somebody reads.
    private let owner: ModelContainer
    private let began = ContinuousClock.now
    private let onEnd: @Sendable (String) -> Void
    private let state = Mutex(State())

    init(_ generation: Serving.Generation, _ owner: ModelContainer, _ onEnd: @escaping @Sendable (String) -> Void) {
        (self.generation, self.owner, self.onEnd) = (generation, owner, onEnd)
    }

    deinit { end() }

    var isOver: Bool { state.withLock { $0.isOver } }

    /// Tells of the end once, and ends the request where it still is at work.
    func end() {
        let text = state.withLock { state -> String? in
            defer { state.isOver = true }
            return state.isOver ? nil : state.text
        }
        guard let text else { return }
        generation.cancel()
        onEnd(text)
    }

    func end(_ error: ModelError) -> ModelError {
        end()
        return error
    }

    /// What a reader sees of an event; nil for nothing.
    func piece(of event: GenerationEvent) throws(ModelError) -> Generation? {
        switch event {
        case .prompt: return nil
        case .token(let choice):
            noteToken()
            return .token(TokenInfo(choice))
        case .text(let text, _):
            noteToken()
            state.withLock { $0.text += text }
            return .chunk(text)
        case .failed(let failure): throw end(ModelError(failure))
        case .finished(let completion):
            guard let reason = GenerateStopReason(rawValue: completion.reason.rawValue) else { throw end(.cancelled) }
            end()
            return .info(info(completion, reason))
        }
    }

    private func noteToken() { state.withLock { $0.firstToken = $0.firstToken ?? .now } }

    private func info(_ completion: Completion, _ reason: GenerateStopReason) -> GenerateCompletionInfo {
        let (end, first) = (ContinuousClock.now, state.withLock { $0.firstToken })
        return GenerateCompletionInfo(
            stopReason: reason, promptTokenCount: completion.usage.promptTokens, cachedTokenCount: completion.usage.cachedTokens,
            imageTokenCount: completion.usage.imageTokens, generationTokenCount: completion.usage.completionTokens,
            promptTime: (first ?? end) - began, generateTime: end - (first ?? end))
    }
}
