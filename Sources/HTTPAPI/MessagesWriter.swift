internal import JSON
internal import Serving

/// Writes the answer to one request for a message in Anthropic's form, whole or as the events of its stream.
struct MessagesWriter: AnswerWriting {
    static let framing = StreamFraming.namedEvents

    private let head: AnswerHead
    private let beginning: AnswerBlocks
    private let hidesThoughts: Bool
    private let promptTokens: Int

    // Of a stream:
    private var blocks: AnswerBlocks
    private var completion: Completion?

    /// - Parameters:
    ///   - beginning: reads the answer.
    ///   - hidesThoughts: whether blocks of thoughts come without their text.
    init(head: AnswerHead, beginning: AnswerBlocks, hidesThoughts: Bool, promptTokens: Int) {
        self.head = head
        self.beginning = beginning
        self.hidesThoughts = hidesThoughts
        self.promptTokens = promptTokens
        blocks = beginning
    }

    private static let stopped = APIError.unavailable("the server stopped before the answer ended")

    func whole(_ choices: [AnswerChoice], _ usage: Usage) throws(APIError) -> JSONValue {
        guard let choice = choices.first, let completion = choice.completion, completion.reason != .abort else { throw Self.stopped }
        var blocks = beginning
        _ = blocks.add(choice.text) + blocks.finish(isNeverEmpty: false)
        let content = blocks.blocks.enumerated().map { index, block -> JSONValue in
            switch block {
            case .thought(let text): thinking(hidesThoughts ? "" : text, signature: signature(index))
            case .text(let text): ["type": "text", "text": .string(text)]
            case .call(let call): use(call, input: (try? JSONValue(parsing: call.arguments)) ?? [:])
            }
        }
        var message = message(content)
        for (name, value) in ending(completion, hasCalls: blocks.hasCalls) { message[name] = value }
        message["usage"] = written(usage)
        return .object(message)
    }

    func opening(_ index: Int, _ beginning: AnswerBeginning) -> [JSONValue] {
        var (message, usage) = (message([]), Usage())
        usage.promptTokens = promptTokens
        message["usage"] = written(usage)
        return [["type": "message_start", "message": .object(message)], ["type": "ping"]]
    }

    mutating func pieces(_ index: Int, _ text: String, _ tokens: [TokenChoice]) -> [JSONValue] { blocks.add(text).flatMap(events) }

    mutating func endings(_ index: Int, _ completion: Completion, _ tokens: [TokenChoice]) -> [JSONValue] {
        self.completion = completion
        return blocks.finish(isNeverEmpty: false).flatMap(events)
    }

    func closing(_ usage: Usage) -> [JSONValue] {
        guard let completion, completion.reason != .abort else { return [failure(Self.stopped)] }
        let ending = JSONValue.object(ending(completion, hasCalls: blocks.hasCalls))
        return [["type": "message_delta", "delta": ending, "usage": written(usage)], ["type": "message_stop"]]
    }

    func failure(_ error: APIError) -> JSONValue { error.messagesBody }

    private func message(_ content: [JSONValue]) -> JSONObject {
        [
            "id": .string(head.id), "type": "message", "role": "assistant", "model": .string(head.model), "content": .array(content),
            "stop_reason": nil, "stop_sequence": nil,
        ]
    }

    private func ending(_ completion: Completion, hasCalls: Bool) -> JSONObject {
        var ending: JSONObject = ["stop_reason": "end_turn", "stop_sequence": nil]
        switch (completion.reason, completion.stop) {
        case (.length, _): ending["stop_reason"] = "max_tokens"
        case (_, .text(let text)?):
            ending["stop_reason"] = "stop_sequence"
            ending["stop_sequence"] = .string(text)
        case _ where hasCalls: ending["stop_reason"] = "tool_use"
        default: break
        }
        return ending
    }

    /// Tokens that came from the cache are not among `input_tokens`.
    private func written(_ usage: Usage) -> JSONValue {
        let cached = head.reportsCachedTokens ? usage.cachedTokens : 0
        return [
            "input_tokens": .int(usage.promptTokens - cached), "cache_creation_input_tokens": 0, "cache_read_input_tokens": .int(cached),
            "output_tokens": .int(usage.completionTokens),
        ]
    }

    private func use(_ call: AnswerReading.Call, input: JSONValue) -> JSONValue {
        ["type": "tool_use", "id": .string("toolu_\(head.uniquePart)_\(call.number)"), "name": .string(call.name), "input": input]
    }

    private func thinking(_ text: String, signature: String) -> JSONValue {
        ["type": "thinking", "thinking": .string(text), "signature": .string(signature)]
    }

    /// Clients want one, and send it back; nothing is checked by it.
    private func signature(_ index: Int) -> String { "sig_\(head.uniquePart)_\(index)" }

    private func events(_ change: AnswerBlocks.Change) -> [JSONValue] {
        switch change {
        case .textBegan(let index): [start(index, ["type": "text", "text": ""])]
        case .textGrew(let index, let text): [delta(index, ["type": "text_delta", "text": .string(text)])]
        case .textEnded(let index, _), .callEnded(let index, _): [stop(index)]
        case .thoughtBegan(let index): [start(index, thinking("", signature: ""))]
        case .thoughtGrew(let index, let text):
            hidesThoughts ? [] : [delta(index, ["type": "thinking_delta", "thinking": .string(text)])]
        case .thoughtEnded(let index, _): [delta(index, ["type": "signature_delta", "signature": .string(signature(index))]), stop(index)]
        case .callBegan(let index, let call): [start(index, use(call, input: [:]))]
        case .callGrew(let index, let text): [delta(index, ["type": "input_json_delta", "partial_json": .string(text)])]
        }
    }

    private func start(_ index: Int, _ block: JSONValue) -> JSONValue {
        ["type": "content_block_start", "index": .int(index), "content_block": block]
    }

    private func delta(_ index: Int, _ delta: JSONValue) -> JSONValue { ["type": "content_block_delta", "index": .int(index), "delta": delta] }

    private func stop(_ index: Int) -> JSONValue { ["type": "content_block_stop", "index": .int(index)] }
}

extension APIError {
    /// The form of errors on a path, which may have a query.
    func body(onPath path: String) -> JSONValue {
        path.prefix { $0 != "?" }.split(separator: "/").prefix(2) == ["v1", "messages"] ? messagesBody : body
    }

    /// Anthropic's form: `{"type": "error", "error": {"type", "message"}}`, and `details` for programs where there are some.
    var messagesBody: JSONValue {
        let kind =
            switch status {
            case 401: "authentication_error"
            case 403: "permission_error"
            case 404: "not_found_error"
            case 413: "request_too_large"
            case 429: "rate_limit_error"
            case 400..<500: "invalid_request_error"
            case 503: "overloaded_error"
            default: "api_error"
            }
        var error: JSONObject = ["type": .string(kind), "message": .string(message)]
        error["details"] = details
        return ["type": "error", "error": .object(error)]
    }
}
