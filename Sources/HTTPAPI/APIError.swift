internal import Budgets
internal import Inputs
internal import JSON
internal import Serving

/// What a client is told when its request is not answered.
package struct APIError: Error, Sendable, Equatable {
    package var status: Int
    var text: ErrorText
    var type: String
    /// The field at fault, such as `messages[0].content[1]`.
    package var param: String?
    var code: String?
    /// Seconds after which trying again makes sense.
    var retryAfter: Int?
    /// The methods that the path has, where another was used.
    var allowed: String?
    /// What Anthropic's form tells programs beside the message.
    var details: JSONValue?

    package var message: String { text.whole }

    /// The request itself is wrong.
    static func invalid(_ message: ErrorText, param: String? = nil, code: String? = nil, status: Int = 400) -> APIError {
        APIError(status: status, message: message, type: "invalid_request_error", param: param, code: code)
    }

    /// A field that no version of the API has; `place` is put before its name, which may be of any length.
    static func unknown(field: String, in place: String = "") -> APIError {
        let name = place + field.prefix(100)
        return invalid("unknown field \(name)", param: name, code: "unknown_parameter")
    }

    static func wrongMethod(_ method: String, path: String, allowed: String) -> APIError {
        var error = invalid(
            "\(method) is not possible on \(path.prefix(200)), only \(allowed)", code: "method_not_allowed", status: 405)
        error.allowed = allowed
        return error
    }

    static func overloaded(_ message: ErrorText) -> APIError {
        APIError(status: 429, message: message, type: "rate_limit_error", code: "server_overloaded", retryAfter: 1)
    }

    static func unavailable(_ message: ErrorText) -> APIError {
        APIError(status: 503, message: message, type: "service_unavailable", code: "not_ready", retryAfter: 1)
    }

    static func failed(_ message: ErrorText) -> APIError {
        APIError(status: 500, message: message, type: "server_error", code: "internal_error")
    }

    init(_ failure: GenerationFailure) {
        self = failure.isOfRequest ? .invalid("\(failure)", code: "no_token_allowed") : .failed("\(failure)")
    }

    init(
        status: Int, message: ErrorText, type: String, param: String? = nil, code: String? = nil, retryAfter: Int? = nil
    ) {
        self.status = status
        text = message
        self.type = type
        self.param = param
        self.code = code
        self.retryAfter = retryAfter
    }

    /// - Parameters:
    ///   - field: the field that holds the prompt.
    ///   - maxTokensField: the field in which the request set its most tokens.
    ///   - answersField: the field that asks for more than one answer.
    init(_ error: AdmissionError, place field: String = "messages", maxTokensField: String = "max_tokens", answersField: String = "n") {
        switch error {
        case .promptTooLong: self = .invalid("\(error)", param: field, code: "context_length_exceeded")
        case .promptEmpty, .spanTooLong: self = .invalid("\(error)", param: field)
        // Tokenizer and model come from one artifact, which contradicts itself.
        case .tokenOutOfRange: self = .failed("\(error)")
        case .maxTokensTooLarge(let maxTokens, let tokens, let length):
            self = .invalid(
                """
                \(maxTokensField) \(maxTokens) is too large: the model's context holds \(length) tokens and the prompt has \
                \(tokens), which leaves \(length - tokens)
                """,
                param: maxTokensField, code: "context_length_exceeded")
        case .embeddingsTooWide: self = .invalid("\(error)", param: field, code: "invalid_image_embeds")
        case .imageTooLarge: self = .invalid("\(error)", param: field, code: "image_too_large")
        case .promptNotReadable: self = .invalid("\(error)", param: "prompt_logprobs")
        case .tooManyBeams: self = .invalid("\(error)", param: "best_of")
        case .beamsTooLong: self = .invalid("\(error)", param: maxTokensField)
        case .tooManyAnswers: self = .invalid("\(error)", param: answersField)
        case .queueFull: self = .overloaded("\(error)")
        case .notServing: self = .unavailable("\(error)")
        }
    }

    /// - Parameter place: the field that holds what was read.
    init(_ error: InputError, place field: String = "messages") {
        switch error {
        case .badImage(let place, _, let isVideo): self = .invalid("\(error)", param: place, code: isVideo ? "invalid_video" : "invalid_image")
        case .badPrompt(let reason, nil): self = .invalid("\(reason)", param: field)
        case .badPrompt(let reason, let quote?): self = .invalid("\(reason): \(quoted: quote, upTo: .max)", param: field)
        case .tooLong:
            self = .invalid("\(error)", param: field, code: "context_length_exceeded")
        case .tooManyPixels: self = .invalid("\(error)", param: field, code: "image_too_large")
        case .stopped(.cpuTime): self = .invalid("\(error)", param: field, code: "request_too_costly")
        case .stopped(.deadline): self = .overloaded("\(error)")
        case .stopped(.cancelled), .stopped(.slice): self = .unavailable("\(error)")
        }
    }

    /// The same of one of several prompts, which stand in a field.
    func ofPrompt(_ index: Int, in field: String) -> APIError {
        var error = self
        error.text = "\(field)[\(index)]: \(text)"
        if param == field { error.param = "\(field)[\(index)]" }
        return error
    }

    /// OpenAI's form: `{"error": {"message", "type", "param", "code"}}`.
    var body: JSONValue {
        [
            "error": [
                "message": .string(message), "type": .string(type), "param": param.map { .string($0) } ?? .null,
                "code": code.map { .string($0) } ?? .null,
            ]
        ]
    }
}
