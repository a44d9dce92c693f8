internal import Foundation
internal import JSON
internal import Serving

/// Puts answers into the form of one route.
protocol AnswerWriting: Sendable {
    static var framing: StreamFraming { get }
    /// Throws where the form cannot say how an answer ended.
    func whole(_ choices: [AnswerChoice], _ usage: Usage) throws(APIError) -> JSONValue
    /// The first pieces of a choice's stream.
    mutating func opening(_ index: Int, _ beginning: AnswerBeginning) -> [JSONValue]
    /// Pieces of a choice's stream for more of its text, with the tokens that it may hold.
    mutating func pieces(_ index: Int, _ text: String, _ tokens: [TokenChoice]) -> [JSONValue]
    /// The last pieces of a choice's stream.
    mutating func endings(_ index: Int, _ completion: Completion, _ tokens: [TokenChoice]) -> [JSONValue]
    /// A piece of a choice's stream that tells how many tokens the choice has so far.
    func telling(_ usage: Usage, in piece: JSONValue) -> JSONValue
    /// The pieces behind those of all choices.
    mutating func closing(_ usage: Usage) -> [JSONValue]
    /// The last piece of a stream that fails.
    mutating func failure(_ error: APIError) -> JSONValue
}

extension AnswerWriting {
    static var framing: StreamFraming { .events }

    func failure(_ error: APIError) -> JSONValue { error.body }

    func telling(_ usage: Usage, in piece: JSONValue) -> JSONValue { piece }
}

/// What all answers to one request say of themselves.
struct AnswerHead: Sendable {
    let id: String
    let model: String
    /// Seconds since 1970.
    let created: Int
    let reportsCachedTokens: Bool
    /// Whether the usage ends a stream, which its other pieces say.
    let withUsage: Bool
    /// Whether the tokens of prompt and answers are listed.
    var tellsTokenIDs = false

    /// What stands behind the kind in an id that no other answer has.
    static func newID() -> String { UUID().uuidString.replacing("-", with: "").lowercased() }

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

    func telling(_ usage: Usage, in piece: JSONValue) -> JSONValue {
        guard var object = piece.objectValue else { return piece }
        object["usage"] = [
            "prompt_tokens": .int(usage.promptTokens), "completion_tokens": .int(usage.completionTokens),
            "total_tokens": .int(usage.promptTokens + usage.completionTokens),
        ]
        return .object(object)
    }

    /// The ids of tokens; nil where they are not told.
    func ids(_ tokens: [Int32]?) -> JSONValue? {
        guard tellsTokenIDs, let tokens else { return nil }
        return .array(tokens.map { .int(Int($0)) })
    }

    func ids(_ tokens: [TokenChoice]) -> JSONValue? { ids(tokens.map(\.chosen.token)) }

    private func usage(_ usage: Usage) -> JSONValue {
        var details = JSONObject()
        if reportsCachedTokens { details["cached_tokens"] = .int(usage.cachedTokens) }
        details["image_tokens"] = .int(usage.imageTokens)
        var told: JSONObject = [
            "prompt_tokens": .int(usage.promptTokens),
            "completion_tokens": .int(usage.completionTokens),
            "total_tokens": .int(usage.promptTokens + usage.completionTokens),
            "prompt_tokens_details": .object(details),
        ]
        told["completion_tokens_details"] = usage.reasoningTokens.map { ["reasoning_tokens": .int($0)] }
        return .object(told)
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

/// How the pieces of a stream follow each other.
enum StreamFraming: Sendable {
    /// Server-sent events, `[DONE]` the last.
    case events
    /// Server-sent events that say their type before their data.
    case namedEvents
    /// A line of JSON each.
    case lines

    var contentType: String { self == .lines ? "application/x-ndjson" : "text/event-stream; charset=utf-8" }

    /// What follows the last piece.
    var end: [UInt8] { self == .events ? Array("data: [DONE]\n\n".utf8) : [] }

    func bytes(_ value: JSONValue) -> [UInt8] {
        let name = self == .namedEvents ? value["type"]?.stringValue.map { "event: \($0)\n" } : nil
        var bytes = Array((name ?? "").utf8) + Array((self == .lines ? "" : "data: ").utf8)
        value.write(into: &bytes)
        bytes += self == .lines ? [0x0A] : [0x0A, 0x0A]
        return bytes
    }
}
