internal import JSON

/// Every field that a route's requests may hold, and what this server does with it.
struct FieldTable: Sendable {
    let supported: Set<String>
    /// Without effect on the answer.
    let harmless: Set<String>
    /// Not built yet; the values that ask for nothing are accepted.
    let unsupported: [String: [JSONValue]]

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
        supported: answers.union(["messages", "max_completion_tokens", "top_logprobs", "tools", "tool_choice", "parallel_tool_calls", "reasoning_effort", "include_reasoning"]).union(template).union(pixels),
        harmless: hints,
        unsupported: later.merging(
            [
                "echo": [false],
                "functions": [[]], "function_call": ["none", "auto"],
                "documents": [[]], "prompt": [],
                "modalities": [["text"]], "audio": [], "prediction": [], "web_search_options": [],
            ], uniquingKeysWith: { $1 }))

    static let completion = FieldTable(
        supported: answers.union(["prompt", "echo", "add_special_tokens"]), harmless: hints,
        unsupported: later.merging(["suffix": [""], "prompt_embeds": [], "messages": []], uniquingKeysWith: { $1 }))

    static let generate = FieldTable(
        supported: passed.union(GenerateRequest.own).union(["prompt"]), harmless: [],
        unsupported: later.merging(
            [
                "logprobs": [], "prompt_logprobs": [], "detokenize": [true], "guided_decoding": [], "logits_processors": [[]], "output_kind": [],
                "extra_args": [], "prompt_embeds": [],
            ], uniquingKeysWith: { $1 }))

    static let embeddings = FieldTable(
        supported: template.union(["model", "input", "messages", "encoding_format", "normalize", "truncate_prompt_tokens", "cache_salt", "request_id"]).union(pixels),
        harmless: hints,
        unsupported: [
            "dimensions": [], "priority": [0], "documents": [[]], "additional_data": [], "embed_dtype": ["float32"],
            "endianness": ["native", "little"],
        ])

    static let tokenize = FieldTable(
        supported: template.union(["model", "prompt", "messages", "tools", "tool_choice", "parallel_tool_calls"]).union(pixels), harmless: hints,
        unsupported: ["return_token_strs": [false]])

    static let detokenize = FieldTable(supported: ["model", "tokens"], harmless: hints, unsupported: [:])

    static let responses = FieldTable(
        supported: passed.union([
            "input", "instructions", "max_output_tokens", "text", "tools", "tool_choice", "parallel_tool_calls", "top_logprobs", "include",
            "stop", "stream_options", "chat_template_kwargs", "reasoning",
        ]),
        harmless: hints.union(["max_tool_calls", "prompt_cache_options"]),
        unsupported: [
            "previous_response_id": [], "conversation": [], "prompt": [], "background": [false], "truncation": ["disabled"],
            "context_management": [[]], "moderation": [],
        ])

    static let messages = FieldTable(
        supported: passed.union(["max_tokens", "stop_sequences", "chat_template_kwargs"]).union(conversation),
        harmless: anthropicHints, unsupported: anthropicLater)

    static let countedMessages = FieldTable(
        supported: conversation.union(["model"]), harmless: anthropicHints, unsupported: anthropicLater)

    private static let conversation: Set<String> = ["messages", "system", "tools", "tool_choice", "thinking", "output_config"]
    private static let anthropicHints: Set<String> = ["metadata", "service_tier", "cache_control", "inference_geo", "user_profile_id", "workspace_id", "guided_decoding_backend"]
    private static let anthropicLater: [String: [JSONValue]] = [
        "container": [], "mcp_servers": [[]], "context_management": [[:], ["edits": []]], "speed": ["standard"],
    ]

    /// What `AnswerOptions` and every request for answers read.
    private static let answers = passed.union([
        "max_tokens", "n", "best_of", "stop", "logprobs", "prompt_logprobs", "stream_options", "response_format", "truncate_prompt_tokens",
        "spaces_between_special_tokens", "return_token_ids", "request_id", "use_beam_search", "length_penalty", "early_stopping",
    ])

    /// What `TemplateFields` reads.
    static let template: Set<String> = [
        "add_generation_prompt", "continue_final_message", "add_special_tokens", "chat_template", "chat_template_kwargs",
    ]

    /// What every form of a request calls alike.
    static let passed: Set<String> = [
        "model", "temperature", "top_p", "top_k", "min_p", "seed", "stop_token_ids", "include_stop_str_in_output", "ignore_eos",
        "min_tokens", "repetition_penalty", "presence_penalty", "frequency_penalty", "logit_bias", "bad_words", "allowed_token_ids",
        "skip_special_tokens", "stream", "cache_salt", "priority", "guided_json", "guided_regex", "guided_choice", "guided_grammar",
        "structured_outputs", "guided_decoding_backend",
    ]

    /// What `PixelFields` reads of a body.
    static let pixels: Set<String> = ["mm_processor_kwargs", "min_pixels", "max_pixels"]

    private static let hints: Set<String> = [
        "cache_control",
        "user", "metadata", "store", "service_tier", "safety_identifier", "verbosity", "prompt_cache_key",
        "prompt_cache_retention", "guided_decoding_backend",
    ]

    private static let later: [String: [JSONValue]] = [
        "guided_whitespace_pattern": [], "return_tokens_as_token_ids": [false],
    ]
}
