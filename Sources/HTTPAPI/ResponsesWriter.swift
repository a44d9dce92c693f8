internal import JSON
internal import Serving

/// Writes the answer to one request for a response, whole or as the events of its stream.
struct ResponsesWriter: AnswerWriting {
    static let framing = StreamFraming.namedEvents

    private let head: AnswerHead
    /// Nil where no log probabilities were asked for.
    private let texts: TokenTexts?
    private let beginning: AnswerBlocks
    private let echo: JSONObject

    // Of a stream:
    private var eventCount = 0
    private var blocks: AnswerBlocks
    /// Items that have ended.
    private var output: [JSONValue] = []
    /// Tokens whose text is not written yet, and those of the text that grows.
    private var tokens: [TokenChoice] = []
    private var logprobs: [JSONValue] = []
    private var completion: Completion?

    /// - Parameter beginning: reads the answer.
    init(head: AnswerHead, texts: TokenTexts?, beginning: AnswerBlocks, echo: JSONObject) {
        self.head = head
        self.texts = texts
        self.beginning = beginning
        self.echo = echo
        blocks = beginning
    }

    func whole(_ choices: [AnswerChoice], _ usage: Usage) -> JSONValue {
        guard let choice = choices.first, let completion = choice.completion else { return response("failed", [], usage) }
        var blocks = beginning
        _ = blocks.add(choice.text) + blocks.finish(isNeverEmpty: true)
        // Those of thoughts are told nowhere.
        var logprobs = logprobs(Array(choice.tokens.dropFirst(choice.thoughts?.tokens ?? 0)))
        let output = blocks.blocks.enumerated().map { index, block -> JSONValue in
            let isCut = completion.reason != .stop && index == blocks.blocks.count - 1
            switch block {
            case .thought(let text): return item(index, thought: text, status: isCut ? "incomplete" : "completed")
            case .call(let call): return item(index, call, isCut: isCut)
            case .text(let text):
                defer { logprobs = [] }
                return item(index, text, logprobs, status: isCut ? "incomplete" : "completed")
            }
        }
        return ended(completion, output, usage)
    }

    mutating func opening(_ index: Int, _ beginning: AnswerBeginning) -> [JSONValue] {
        let response = response("in_progress", [], nil)
        return [event("response.created", ["response": response]), event("response.in_progress", ["response": response])]
    }

    mutating func pieces(_ index: Int, _ text: String, _ tokens: [TokenChoice]) -> [JSONValue] {
        self.tokens += tokens
        let wasThinking = blocks.isThinking
        let changes = blocks.add(text)
        let written = changes.flatMap { events($0, isCut: false) }
        // What closed the thoughts is no text.
        if wasThinking, !blocks.isThinking, !changes.contains(where: { if case .textGrew = $0 { true } else { false } }) { self.tokens = [] }
        return written
    }

    mutating func endings(_ index: Int, _ completion: Completion, _ tokens: [TokenChoice]) -> [JSONValue] {
        self.completion = completion
        self.tokens += tokens
        let changes = blocks.finish(isNeverEmpty: true)
        return changes.enumerated().flatMap { events($1, isCut: completion.reason != .stop && $0 == changes.count - 1) }
    }

    mutating func closing(_ usage: Usage) -> [JSONValue] {
        guard let completion else { return [] }
        let response = ended(completion, output, usage)
        return [event("response.\(response["status"]?.stringValue ?? "failed")", ["response": response])]
    }

    mutating func failure(_ error: APIError) -> JSONValue {
        event("response.failed", ["response": failed(error.status < 500 ? "invalid_prompt" : "server_error", error.message, output, nil)])
    }

    private func ended(_ completion: Completion, _ output: [JSONValue], _ usage: Usage) -> JSONValue {
        switch completion.reason {
        case .stop: response("completed", output, usage)
        case .length: response("incomplete", output, usage, ["incomplete_details": ["reason": "max_output_tokens"]])
        case .abort: failed("server_error", "the server stopped before the answer ended", output, usage)
        }
    }

    private func failed(_ code: String, _ message: String, _ output: [JSONValue], _ usage: Usage?) -> JSONValue {
        response("failed", output, usage, ["error": ["code": .string(code), "message": .string(message)]])
    }

    private func response(_ status: String, _ output: [JSONValue], _ usage: Usage?, _ fields: JSONObject = [:]) -> JSONValue {
        var response: JSONObject = [
            "id": .string(head.id), "object": "response", "created_at": .int(head.created), "status": .string(status), "error": nil,
            "incomplete_details": nil, "model": .string(head.model), "output": .array(output),
        ]
        for (name, value) in echo { response[name] = value }
        response["usage"] = usage.map(written) ?? .null
        for (name, value) in fields { response[name] = value }
        return .object(response)
    }

    private func written(_ usage: Usage) -> JSONValue {
        [
            "input_tokens": .int(usage.promptTokens),
            "input_tokens_details": ["cached_tokens": .int(head.reportsCachedTokens ? usage.cachedTokens : 0), "cache_write_tokens": 0],
            "output_tokens": .int(usage.completionTokens), "output_tokens_details": ["reasoning_tokens": .int(usage.reasoningTokens ?? 0)],
            "total_tokens": .int(usage.promptTokens + usage.completionTokens),
        ]
    }
}

extension ResponsesWriter {
    private func id(_ kind: String, _ index: Int) -> JSONValue { .string("\(kind)_\(head.uniquePart)_\(index)") }

    private func item(_ index: Int, _ text: String?, _ logprobs: [JSONValue], status: String) -> JSONValue {
        [
            "id": id("msg", index), "type": "message", "status": .string(status), "role": "assistant",
            "content": .array(text.map { [part($0, logprobs)] } ?? []),
        ]
    }

    private func part(_ text: String, _ logprobs: [JSONValue]) -> JSONValue {
        ["type": "output_text", "text": .string(text), "annotations": [], "logprobs": .array(logprobs)]
    }

    private func item(_ index: Int, _ call: AnswerReading.Call, status: String) -> JSONValue {
        [
            "id": id("fc", index), "type": "function_call", "status": .string(status), "call_id": id("call", call.number),
            "name": .string(call.name), "arguments": .string(call.arguments),
        ]
    }

    private func item(_ index: Int, _ call: AnswerReading.Call, isCut: Bool) -> JSONValue {
        item(index, call, status: isCut && (try? JSONValue(parsing: call.arguments)) == nil ? "incomplete" : "completed")
    }

    private func logprobs(_ tokens: [TokenChoice]) -> [JSONValue] { texts?.chat(tokens)["content"]?.arrayValue ?? [] }

    private mutating func event(_ type: String, _ fields: JSONObject) -> JSONValue {
        var event: JSONObject = ["type": .string(type), "sequence_number": .int(eventCount)]
        for (name, value) in fields { event[name] = value }
        eventCount += 1
        return .object(event)
    }

    /// - Parameter isCut: whether the answer ends with the change, before it was whole.
    private mutating func events(_ change: AnswerBlocks.Change, isCut: Bool) -> [JSONValue] {
        switch change {
        case .thoughtBegan, .thoughtGrew, .thoughtEnded: return thoughtEvents(change, isCut: isCut)
        case .textBegan(let index):
            logprobs = []
            return [
                event("response.output_item.added", ["output_index": .int(index), "item": item(index, nil, [], status: "in_progress")]),
                event("response.content_part.added", inPart("msg", index, ["part": part("", [])])),
            ]
        case .textGrew(let index, let text):
            let more = logprobs(tokens)
            tokens = []
            logprobs += more
            return [event("response.output_text.delta", inPart("msg", index, ["delta": .string(text), "logprobs": .array(more)]))]
        case .textEnded(let index, let text):
            if completion != nil {
                logprobs += logprobs(tokens)
                tokens = []
            }
            let item = item(index, text, logprobs, status: isCut ? "incomplete" : "completed")
            output.append(item)
            return [
                event("response.output_text.done", inPart("msg", index, ["text": .string(text), "logprobs": .array(logprobs)])),
                event("response.content_part.done", inPart("msg", index, ["part": part(text, logprobs)])),
                event("response.output_item.done", ["output_index": .int(index), "item": item]),
            ]
        case .callBegan(let index, let call):
            tokens = []
            return [event("response.output_item.added", ["output_index": .int(index), "item": item(index, call, status: "in_progress")])]
        case .callGrew(let index, let text):
            return [event("response.function_call_arguments.delta", inCall(index, ["delta": .string(text)]))]
        case .callEnded(let index, let call):
            let item = item(index, call, isCut: isCut)
            output.append(item)
            let done: JSONObject = ["name": .string(call.name), "arguments": .string(call.arguments)]
            return [
                event("response.function_call_arguments.done", inCall(index, done)),
                event("response.output_item.done", ["output_index": .int(index), "item": item]),
            ]
        }
    }

    private func inPart(_ kind: String, _ index: Int, _ fields: JSONObject) -> JSONObject {
        var all: JSONObject = ["item_id": id(kind, index), "output_index": .int(index), "content_index": 0]
        for (name, value) in fields { all[name] = value }
        return all
    }

    private func inCall(_ index: Int, _ fields: JSONObject) -> JSONObject {
        var all: JSONObject = ["item_id": id("fc", index), "output_index": .int(index)]
        for (name, value) in fields { all[name] = value }
        return all
    }
}

extension ResponsesWriter {
    private func item(_ index: Int, thought: String?, status: String) -> JSONValue {
        [
            "id": id("rs", index), "type": "reasoning", "status": .string(status), "summary": [],
            "content": .array(thought.map { [part(thought: $0)] } ?? []),
        ]
    }

    private func part(thought: String) -> JSONValue { ["type": "reasoning_text", "text": .string(thought)] }

    /// Log probabilities are those of the text behind thoughts.
    private mutating func thoughtEvents(_ change: AnswerBlocks.Change, isCut: Bool) -> [JSONValue] {
        switch change {
        case .thoughtBegan(let index):
            return [
                event("response.output_item.added", ["output_index": .int(index), "item": item(index, thought: nil, status: "in_progress")]),
                event("response.content_part.added", inPart("rs", index, ["part": part(thought: "")])),
            ]
        case .thoughtGrew(let index, let text):
            tokens = []
            return [event("response.reasoning_text.delta", inPart("rs", index, ["delta": .string(text)]))]
        case .thoughtEnded(let index, let text):
            let item = item(index, thought: text, status: isCut ? "incomplete" : "completed")
            output.append(item)
            return [
                event("response.reasoning_text.done", inPart("rs", index, ["text": .string(text)])),
                event("response.content_part.done", inPart("rs", index, ["part": part(thought: text)])),
                event("response.output_item.done", ["output_index": .int(index), "item": item]),
            ]
        default: return []
        }
    }
}
