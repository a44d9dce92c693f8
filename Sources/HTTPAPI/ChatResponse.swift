internal import JSON
internal import Serving

/// Writes the answers to one chat request.
struct ChatResponse: AnswerWriting {
    let head: AnswerHead
    /// Nil where no log probabilities were asked for.
    let texts: TokenTexts?
    /// How many calls of functions an answer may hold.
    let toolCalls: AnswerReading.Limit
    /// What answers begin with.
    let start: ReasoningReader.Start
    /// Whether what the model thinks is told, where it is split off.
    var tellsThoughts = true
    /// How far each choice's text is read, of streams.
    private var readings: [Int: Reading] = [:]

    private static let kind = "chat.completion"
    private static let chunkKind = "chat.completion.chunk"

    init(head: AnswerHead, texts: TokenTexts?, toolCalls: AnswerReading.Limit = .none, start: ReasoningReader.Start = .saying) {
        self.start = start
        self.head = head
        self.texts = texts
        self.toolCalls = toolCalls
    }

    private struct Reading {
        var answer: AnswerReading
        /// Tokens whose text is not written yet.
        var tokens: [TokenChoice] = []
    }

    func whole(_ choices: [AnswerChoice], _ usage: Usage) -> JSONValue {
        let written = choices.enumerated().map { index, choice -> JSONValue in
            let (message, hasCalls) = message(index, choice.text)
            var written: JSONObject = [
                "index": .int(index),
                "message": message,
                "logprobs": texts?.chat(choice.tokens) ?? .null,
                "finish_reason": choice.completion.map { reason($0, hasCalls: hasCalls) } ?? .null,
                "stop_reason": choice.completion?.stopReason ?? .null,
            ]
            written["token_ids"] = head.ids(choice.tokens)
            return .object(written)
        }
        return told(choices.first?.beginning.prompt, in: head.whole(Self.kind, written, usage, promptLogprobs: choices.first?.promptLogprobs))
    }

    /// The same with the tokens of the prompt, where they are told.
    private func told(_ prompt: [Int32]?, in value: JSONValue) -> JSONValue {
        guard let ids = head.ids(prompt), var object = value.objectValue else { return value }
        object["prompt_token_ids"] = ids
        return .object(object)
    }

    /// - Returns: the message, and whether it holds calls that are whole.
    private func message(_ index: Int, _ text: String) -> (JSONValue, hasCalls: Bool) {
        var message: JSONObject = ["role": "assistant", "content": .string(text), "refusal": nil]
        var (reading, thoughts, content, calls) = (AnswerReading(toolCalls, start), "", "", [AnswerReading.Call]())
        for piece in reading.read(text) + reading.finish() {
            switch piece {
            case .reasoning(let text): if tellsThoughts { thoughts += text }
            case .text(let text): content += text
            case .callBegan(let call): calls.append(call)
            case .callGrew(_, let text): calls[calls.count - 1].arguments += text
            case .callEnded: break
            }
        }
        message["content"] = content.isEmpty && !(calls.isEmpty && thoughts.isEmpty) ? .null : .string(content)
        if !thoughts.isEmpty { message["reasoning_content"] = .string(thoughts) }
        guard !calls.isEmpty else { return (.object(message), false) }
        message["tool_calls"] = .array(calls.map { .object(written(index, $0)) })
        return (.object(message), reading.hasWholeCalls)
    }

    private func written(_ index: Int, _ call: AnswerReading.Call) -> JSONObject {
        [
            "id": .string("call_\(head.uniquePart)_\(index)_\(call.number)"), "type": "function",
            "function": ["name": .string(call.name), "arguments": .string(call.arguments)],
        ]
    }

    private func reason(_ completion: Completion, hasCalls: Bool) -> JSONValue {
        hasCalls && completion.reason == .stop ? "tool_calls" : .string(completion.reason.rawValue)
    }

    /// Who speaks.
    func opening(_ index: Int, _ beginning: AnswerBeginning) -> [JSONValue] {
        [told(beginning.prompt, in: chunk(index, delta: ["role": "assistant", "content": .string(beginning.text)], []))]
    }

    mutating func pieces(_ index: Int, _ text: String, _ tokens: [TokenChoice]) -> [JSONValue] {
        var reading = readings[index] ?? Reading(answer: AnswerReading(toolCalls, start))
        defer { readings[index] = reading }
        reading.tokens += tokens
        return chunks(index, reading.answer.read(text), &reading)
    }

    private func chunks(_ index: Int, _ pieces: [AnswerReading.Piece], _ reading: inout Reading) -> [JSONValue] {
        pieces.compactMap { piece in
            guard let delta = delta(index, piece) else { return nil }
            defer { reading.tokens = [] }
            return chunk(index, delta: delta, reading.tokens)
        }
    }

    private func delta(_ index: Int, _ piece: AnswerReading.Piece) -> JSONValue? {
        switch piece {
        case .reasoning(let text): return tellsThoughts ? ["reasoning_content": .string(text)] : nil
        case .text(let text): return ["content": .string(text)]
        case .callBegan(let call):
            var written = written(index, call)
            written["index"] = .int(call.number)
            return ["tool_calls": [.object(written)]]
        case .callGrew(let number, let text): return ["tool_calls": [["index": .int(number), "function": ["arguments": .string(text)]]]]
        case .callEnded: return nil
        }
    }

    mutating func endings(_ index: Int, _ completion: Completion, _ tokens: [TokenChoice]) -> [JSONValue] {
        var reading = readings[index] ?? Reading(answer: AnswerReading(toolCalls, start))
        reading.tokens += tokens
        let chunks = chunks(index, reading.answer.finish(), &reading)
        readings[index] = reading
        return chunks + [chunk(index, delta: [:], reading.tokens, ended: completion, hasCalls: reading.answer.hasWholeCalls)]
    }

    func telling(_ usage: Usage, in piece: JSONValue) -> JSONValue { head.telling(usage, in: piece) }

    func closing(_ usage: Usage) -> [JSONValue] { head.withUsage ? [head.whole(Self.chunkKind, [], usage)] : [] }

    private func chunk(
        _ index: Int, delta: JSONValue, _ tokens: [TokenChoice], ended: Completion? = nil, hasCalls: Bool = false
    ) -> JSONValue {
        var choice = JSONObject()
        choice["index"] = .int(index)
        choice["delta"] = delta
        choice["logprobs"] = tokens.isEmpty ? .null : texts?.chat(tokens) ?? .null
        choice["finish_reason"] = ended.map { reason($0, hasCalls: hasCalls) } ?? .null
        choice["stop_reason"] = ended?.stopReason
        choice["token_ids"] = head.ids(tokens)
        return head.chunk(Self.chunkKind, choice)
    }
}
