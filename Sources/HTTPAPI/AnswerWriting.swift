internal import JSON
internal import Serving

/// Puts answers into the form of one route.
protocol AnswerWriting: Sendable {
    /// Whether each event of a stream says its type before its data; where not, `[DONE]` is the last.
    static var namesEvents: Bool { get }
    /// Throws where the form cannot say how an answer ended.
    func whole(_ choices: [AnswerChoice], _ usage: Usage) throws(APIError) -> JSONValue
    /// The first pieces of a choice's stream.
    mutating func opening(_ index: Int, _ beginning: AnswerBeginning) -> [JSONValue]
    /// Pieces of a choice's stream for more of its text, with the tokens that it may hold.
    mutating func pieces(_ index: Int, _ text: String, _ tokens: [TokenChoice]) -> [JSONValue]
    /// The last pieces of a choice's stream.
    mutating func endings(_ index: Int, _ completion: Completion, _ tokens: [TokenChoice]) -> [JSONValue]
    /// The pieces behind those of all choices.
    mutating func closing(_ usage: Usage) -> [JSONValue]
    /// The last piece of a stream that fails.
    mutating func failure(_ error: APIError) -> JSONValue
}

extension AnswerWriting {
    static var namesEvents: Bool { false }

    func failure(_ error: APIError) -> JSONValue { error.body }
}

/// What all answers to one request say of themselves.
struct AnswerHead: Sendable {
    let id: String
    let model: String
    /// Seconds since 1970.
    let created: Int
    let reportsCachedTokens: Bool
    /// Whether pieces of a stream say that the usage is still to come.
    let withUsage: Bool

    /// The part of `id` that no other answer's has.
    var uniquePart: Substring { id.drop { $0 != "-" && $0 != "_" }.dropFirst() }

    func object(_ kind: String, _ choices: [JSONValue]) -> JSONObject {
        var object = JSONObject()
        object["id"] = .string(id)
        object["object"] = .string(kind)
        object["created"] = .int(created)
        object["model"] = .string(model)
        object["choices"] = .array(choices)
        return object
    }

    /// - Parameter promptLogprobs: nil where none were asked for, or where the form has them elsewhere.
    func whole(_ kind: String, _ choices: [JSONValue], _ usage: Usage, promptLogprobs: JSONValue? = nil) -> JSONValue {
        var object = object(kind, choices)
        object["usage"] = self.usage(usage)
        object["prompt_logprobs"] = promptLogprobs
        return .object(object)
    }

    func chunk(_ kind: String, _ choice: JSONObject) -> JSONValue {
        var object = object(kind, [.object(choice)])
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

    /// - Parameter isNamed: whether the value's `type` is told as the event's.
    static func bytes(_ value: JSONValue, isNamed: Bool) -> [UInt8] {
        let name = isNamed ? value["type"]?.stringValue.map { "event: \($0)\n" } : nil
        var bytes = Array((name ?? "").utf8) + Array("data: ".utf8)
        value.write(into: &bytes)
        bytes += [0x0A, 0x0A]
        return bytes
    }
}
