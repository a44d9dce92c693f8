internal import JSON
internal import Serving

/// A request of vLLM's plain server, `POST /generate`: a prompt and sampling parameters.
///
/// Source: `vllm/entrypoints/api_server.py`.
struct GenerateRequest {
    /// The same as the body of a request for completions.
    let completion: JSONObject

    /// What it calls as `/v1/completions` does, beside `FieldTable.passed`.
    static let own: Set<String> = [
        "max_tokens", "n", "best_of", "stop", "truncate_prompt_tokens", "spaces_between_special_tokens", "use_beam_search", "length_penalty",
        "early_stopping",
    ]

    /// - Parameter model: the served model's name; a body may name it, and need not.
    init(_ object: JSONObject, model: String) throws(APIError) {
        try FieldTable.generate.check(object)
        let prompt = FieldReader(object: object).value("prompt")
        let isOne = prompt.map { $0.stringValue != nil || $0.arrayValue.map { $0.first?.intValue != nil } ?? true } ?? true
        guard isOne else { throw .invalid("prompt must be one text, or the token ids of one", param: "prompt") }
        if let count = try FieldReader(object: object).integer("max_tokens"), count < 1 {
            throw .invalid("max_tokens must be at least 1, not \(count)", param: "max_tokens")
        }
        var body = object
        if object["model"]?.isNull ?? true { body["model"] = .string(model) }
        body["echo"] = true
        completion = body
    }
}

/// Writes its answers: `{"text": […]}`, each text with the prompt before it; of streams all that there is so far in each line.
struct GenerateResponse: AnswerWriting {
    static let framing = StreamFraming.lines

    private var texts: [String]

    init(choices: Int) { texts = Array(repeating: "", count: choices) }

    private static func written(_ texts: [String]) -> JSONValue { ["text": .array(texts.map { .string($0) })] }

    func whole(_ choices: [AnswerChoice], _ usage: Usage) -> JSONValue { Self.written(choices.map { $0.beginning.text + $0.text }) }

    mutating func opening(_ index: Int, _ beginning: AnswerBeginning) -> [JSONValue] {
        texts[index] = beginning.text
        return []
    }

    mutating func pieces(_ index: Int, _ text: String, _ tokens: [TokenChoice]) -> [JSONValue] {
        texts[index] += text
        return [Self.written(texts)]
    }

    func endings(_ index: Int, _ completion: Completion, _ tokens: [TokenChoice]) -> [JSONValue] { [] }

    func closing(_ usage: Usage) -> [JSONValue] { [Self.written(texts)] }
}
