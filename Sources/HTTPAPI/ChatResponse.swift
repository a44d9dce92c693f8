internal import JSON
internal import Serving

/// Writes the answers to one chat request.
struct ChatResponse: AnswerWriting {
    let head: AnswerHead
    /// Nil where no log probabilities were asked for.
    let texts: TokenTexts?

    private static let kind = "chat.completion"
    private static let chunkKind = "chat.completion.chunk"

    func whole(_ choices: [AnswerChoice], _ usage: Usage) -> JSONValue {
        let written = choices.enumerated().map { index, choice -> JSONValue in
            [
                "index": .int(index),
                "message": ["role": "assistant", "content": .string(choice.text), "refusal": nil],
                "logprobs": texts?.chat(choice.tokens) ?? .null,
                "finish_reason": choice.completion.map { .string($0.reason.rawValue) } ?? .null,
                "stop_reason": choice.completion?.stopReason ?? .null,
            ]
        }
        return head.whole(Self.kind, written, usage)
    }

    /// Who speaks.
    func opening(_ index: Int, beginning: String) -> JSONValue? {
        chunk(index, delta: ["role": "assistant", "content": .string(beginning)], [])
    }

    func piece(_ index: Int, _ text: String, _ tokens: [TokenChoice]) -> JSONValue {
        chunk(index, delta: ["content": .string(text)], tokens)
    }

    func ending(_ index: Int, _ completion: Completion, _ tokens: [TokenChoice]) -> JSONValue {
        chunk(index, delta: [:], tokens, ended: completion)
    }

    func counting(_ usage: Usage) -> JSONValue { head.whole(Self.chunkKind, [], usage) }

    private func chunk(_ index: Int, delta: JSONValue, _ tokens: [TokenChoice], ended: Completion? = nil) -> JSONValue {
        var choice = JSONObject()
        choice["index"] = .int(index)
        choice["delta"] = delta
        choice["logprobs"] = tokens.isEmpty ? .null : texts?.chat(tokens) ?? .null
        choice["finish_reason"] = ended.map { .string($0.reason.rawValue) } ?? .null
        choice["stop_reason"] = ended?.stopReason
        return head.chunk(Self.chunkKind, choice)
    }
}
