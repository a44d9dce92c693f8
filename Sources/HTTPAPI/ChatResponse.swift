internal import JSON
internal import Serving

/// Writes the answers to one chat request.
struct ChatResponse: AnswerWriting {
    let head: AnswerHead
    /// Nil where no log probabilities were asked for.
    let texts: TokenTexts?
    /// How many calls of functions an answer may hold.
    let toolCalls: AnswerOptions.CallCount
    /// By choice, of streams.
    private var readings: [Int: Reading] = [:]

    private static let kind = "chat.completion"
    private static let chunkKind = "chat.completion.chunk"

    init(head: AnswerHead, texts: TokenTexts?, toolCalls: AnswerOptions.CallCount = .none) {
        self.head = head
        self.texts = texts
        self.toolCalls = toolCalls
    }

    /// How far a choice's text is read.
    private struct Reading {
        var reader = ToolCallReader()
        var callCount = 0
        /// Tokens whose text is not written yet.
        var tokens: [TokenChoice] = []
    }

    func whole(_ choices: [AnswerChoice], _ usage: Usage) -> JSONValue {
        let written = choices.enumerated().map { index, choice -> JSONValue in
            let (message, hasCalls) = message(index, choice.text)
            return [
                "index": .int(index),
                "message": message,
                "logprobs": texts?.chat(choice.tokens) ?? .null,
                "finish_reason": choice.completion.map { reason($0, hasCalls: hasCalls) } ?? .null,
                "stop_reason": choice.completion?.stopReason ?? .null,
            ]
        }
        return head.whole(Self.kind, written, usage)
    }

    private func message(_ index: Int, _ text: String) -> (JSONValue, hasCalls: Bool) {
        var message: JSONObject = ["role": "assistant", "content": .string(text), "refusal": nil]
        guard toolCalls != .none else { return (.object(message), false) }
        var (reading, content, calls) = (Reading(), "", [JSONValue]())
        for piece in reading.reader.read(text) + reading.reader.finish() {
            switch piece {
            case .text(let text): content += text
            case .call(let name, let arguments):
                if let call = call(index, &reading, name, arguments) { calls.append(.object(call)) }
            }
        }
        guard !calls.isEmpty else { return (.object(message), false) }
        message["content"] = content.isEmpty ? .null : .string(content)
        message["tool_calls"] = .array(calls)
        return (.object(message), true)
    }

    /// A call with its id; nil beyond the one that may be there.
    private func call(_ index: Int, _ reading: inout Reading, _ name: String, _ arguments: String) -> JSONObject? {
        guard toolCalls == .several || reading.callCount == 0 else { return nil }
        let id = "call_\(head.id.drop { $0 != "-" }.dropFirst())_\(index)_\(reading.callCount)"
        reading.callCount += 1
        return ["id": .string(id), "type": "function", "function": ["name": .string(name), "arguments": .string(arguments)]]
    }

    private func reason(_ completion: Completion, hasCalls: Bool) -> JSONValue {
        hasCalls && completion.reason == .stop ? "tool_calls" : .string(completion.reason.rawValue)
    }

    /// Who speaks.
    func opening(_ index: Int, beginning: String) -> JSONValue? {
        chunk(index, delta: ["role": "assistant", "content": .string(beginning)], [])
    }

    mutating func pieces(_ index: Int, _ text: String, _ tokens: [TokenChoice]) -> [JSONValue] {
        guard toolCalls != .none else { return [chunk(index, delta: ["content": .string(text)], tokens)] }
        var reading = readings[index] ?? Reading()
        defer { readings[index] = reading }
        reading.tokens += tokens
        return written(index, reading.reader.read(text), &reading)
    }

    private func written(_ index: Int, _ pieces: [ToolCallReader.Piece], _ reading: inout Reading) -> [JSONValue] {
        var chunks: [JSONValue] = []
        for piece in pieces {
            let delta: JSONValue
            switch piece {
            case .text(let text): delta = ["content": .string(text)]
            case .call(let name, let arguments):
                let number = reading.callCount
                guard var call = call(index, &reading, name, arguments) else { continue }
                call["index"] = .int(number)
                delta = ["tool_calls": [.object(call)]]
            }
            chunks.append(chunk(index, delta: delta, reading.tokens))
            reading.tokens = []
        }
        return chunks
    }

    mutating func endings(_ index: Int, _ completion: Completion, _ tokens: [TokenChoice]) -> [JSONValue] {
        guard toolCalls != .none else { return [chunk(index, delta: [:], tokens, ended: completion)] }
        var reading = readings[index] ?? Reading()
        reading.tokens += tokens
        let chunks = written(index, reading.reader.finish(), &reading)
        readings[index] = reading
        return chunks + [chunk(index, delta: [:], reading.tokens, ended: completion, hasCalls: reading.callCount > 0)]
    }

    func counting(_ usage: Usage) -> JSONValue { head.whole(Self.chunkKind, [], usage) }

    private func chunk(
        _ index: Int, delta: JSONValue, _ tokens: [TokenChoice], ended: Completion? = nil, hasCalls: Bool = false
    ) -> JSONValue {
        var choice = JSONObject()
        choice["index"] = .int(index)
        choice["delta"] = delta
        choice["logprobs"] = tokens.isEmpty ? .null : texts?.chat(tokens) ?? .null
        choice["finish_reason"] = ended.map { reason($0, hasCalls: hasCalls) } ?? .null
        choice["stop_reason"] = ended?.stopReason
        return head.chunk(Self.chunkKind, choice)
    }
}
