internal import Inputs
internal import JSON
internal import Serving

/// Writes the answers to one chat request.
struct ChatResponse: Sendable {
    let id: String
    let model: String
    /// Seconds since 1970.
    let created: Int
    let reportsCachedTokens: Bool

    /// The whole answer.
    func whole(_ text: String, _ completion: Completion) -> JSONValue {
        let choice: JSONValue = [
            "index": 0,
            "message": ["role": "assistant", "content": .string(text), "refusal": nil],
            "logprobs": nil,
            "finish_reason": .string(completion.reason.rawValue),
            "stop_reason": completion.stopReason,
        ]
        return [
            "id": .string(id), "object": "chat.completion", "created": .int(created), "model": .string(model),
            "choices": [choice], "usage": usage(completion.usage),
        ]
    }

    /// The first piece of a stream: who speaks.
    func opening(withUsage: Bool) -> JSONValue {
        chunk(delta: ["role": "assistant", "content": ""], withUsage: withUsage)
    }

    func piece(_ text: String, withUsage: Bool) -> JSONValue {
        chunk(delta: ["content": .string(text)], withUsage: withUsage)
    }

    /// The last piece of a stream: why it ended.
    func ending(_ completion: Completion, withUsage: Bool) -> JSONValue {
        chunk(
            delta: [:], finishReason: .string(completion.reason.rawValue),
            stopReason: completion.stopReason, withUsage: withUsage)
    }

    /// The piece after the last one, which counts tokens.
    func counting(_ usage: Usage) -> JSONValue {
        [
            "id": .string(id), "object": "chat.completion.chunk", "created": .int(created), "model": .string(model),
            "choices": [], "usage": self.usage(usage),
        ]
    }

    private func chunk(
        delta: JSONValue, finishReason: JSONValue = nil, stopReason: JSONValue? = nil, withUsage: Bool
    ) -> JSONValue {
        var choice = JSONObject()
        choice["index"] = 0
        choice["delta"] = delta
        choice["logprobs"] = .null
        choice["finish_reason"] = finishReason
        choice["stop_reason"] = stopReason
        var object = JSONObject()
        object["id"] = .string(id)
        object["object"] = "chat.completion.chunk"
        object["created"] = .int(created)
        object["model"] = .string(model)
        object["choices"] = [.object(choice)]
        if withUsage { object["usage"] = .null }
        return .object(object)
    }

    private func usage(_ usage: Usage) -> JSONValue {
        var details = JSONObject()
        if reportsCachedTokens { details["cached_tokens"] = .int(usage.cachedTokens) }
        details["image_tokens"] = .int(usage.imageTokens)
        return [
            "prompt_tokens": .int(usage.promptTokens),
            "completion_tokens": .int(usage.completionTokens),
            "total_tokens": .int(usage.promptTokens + usage.completionTokens),
            "prompt_tokens_details": .object(details),
        ]
    }
}

extension Completion {
    /// The stop string or stop token that ended the text, else null.
    var stopReason: JSONValue {
        switch stop {
        case .text(let text): .string(text)
        case .token(let token): .int(Int(token))
        case nil: .null
        }
    }
}

/// One event of a server-sent stream.
enum ServerSentEvent {
    static let done = Array("data: [DONE]\n\n".utf8)

    static func bytes(_ value: JSONValue) -> [UInt8] {
        var bytes = Array("data: ".utf8)
        value.write(into: &bytes)
        bytes += [0x0A, 0x0A]
        return bytes
    }
}
