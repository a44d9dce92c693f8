internal import JSON

/// Every field that a route's requests may hold, and what this server does with it.
struct FieldTable: Sendable {
    private let supported: Set<String>
    /// Without effect on the answer.
    private let harmless: Set<String>
    /// Not built yet; the values that ask for nothing are accepted.
    private let unsupported: [String: [JSONValue]]

    /// Throws for the first field that is unknown, or asks for what is not built yet; null is as good as absent.
    func check(_ object: JSONObject) throws(APIError) {
        for (name, value) in object {
            if value.isNull || supported.contains(name) || harmless.contains(name) { continue }
            guard let accepted = unsupported[name] else {
                throw .unknown(field: name)
            }
            guard accepted.contains(where: { Self.equal($0, value) }) else { throw .unsupported(name, possible: accepted) }
        }
    }

    private static func equal(_ left: JSONValue, _ right: JSONValue) -> Bool {
        if let number = left.doubleValue { return number == right.doubleValue }
        return left == right
    }
}

extension FieldTable {
    static let chat = FieldTable(
        supported: answers.union(["messages", "max_completion_tokens", "top_logprobs", "add_generation_prompt", "chat_template_kwargs", "tools", "tool_choice", "parallel_tool_calls"]), harmless: hints,
        unsupported: later.merging(
            [
                "echo": [false],
                "functions": [[]], "function_call": ["none", "auto"], "mm_processor_kwargs": [[:]], "min_pixels": [], "max_pixels": [],
                "chat_template": [], "continue_final_message": [false], "add_special_tokens": [false], "documents": [[]], "prompt": [],
                "modalities": [["text"]], "audio": [], "prediction": [], "reasoning_effort": ["none"], "web_search_options": [],
            ], uniquingKeysWith: { $1 }))

    static let completion = FieldTable(
        supported: answers.union(["prompt", "echo", "add_special_tokens"]), harmless: hints,
        unsupported: later.merging(["suffix": [""], "prompt_embeds": [], "messages": []], uniquingKeysWith: { $1 }))

    static let tokenize = FieldTable(
        supported: ["model", "prompt", "messages", "add_special_tokens", "add_generation_prompt", "chat_template_kwargs", "tools"], harmless: hints,
        unsupported: [
            "continue_final_message": [false], "return_token_strs": [false], "chat_template": [],
            "mm_processor_kwargs": [[:]],
        ])

    static let detokenize = FieldTable(supported: ["model", "tokens"], harmless: hints, unsupported: [:])

    /// What `AnswerOptions` and every request for answers read.
    private static let answers: Set<String> = [
        "model", "max_tokens", "temperature", "top_p", "top_k", "min_p", "seed", "n", "best_of", "stop", "stop_token_ids",
        "include_stop_str_in_output", "ignore_eos", "min_tokens", "repetition_penalty", "presence_penalty", "frequency_penalty",
        "logit_bias", "bad_words", "allowed_token_ids", "logprobs", "skip_special_tokens", "stream", "stream_options", "cache_salt",
        "response_format", "guided_json", "guided_regex", "guided_choice", "guided_grammar", "structured_outputs",
    ]

    private static let hints: Set<String> = [
        "user", "metadata", "store", "service_tier", "safety_identifier", "verbosity", "prompt_cache_key",
        "prompt_cache_retention", "guided_decoding_backend",
    ]

    private static let later: [String: [JSONValue]] = [
        "use_beam_search": [false], "length_penalty": [1], "early_stopping": [false], "prompt_logprobs": [],
        "spaces_between_special_tokens": [true], "guided_whitespace_pattern": [], "priority": [0], "request_id": [], "truncate_prompt_tokens": [],
        "return_token_ids": [false], "return_tokens_as_token_ids": [false],
    ]
}
