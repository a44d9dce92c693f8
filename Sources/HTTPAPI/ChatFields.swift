internal import Inputs
internal import JSON

/// Every field that a chat request may hold, and what this server does with it.
enum ChatFields {
    /// Read by `ChatRequest`.
    static let supported: Set<String> = [
        "model", "messages", "max_tokens", "max_completion_tokens", "temperature", "top_p", "top_k", "seed", "stop",
        "ignore_eos", "repetition_penalty", "stream", "stream_options", "cache_salt", "min_p", "min_tokens", "presence_penalty",
        "frequency_penalty", "include_stop_str_in_output", "stop_token_ids", "logit_bias", "bad_words", "allowed_token_ids",
        "skip_special_tokens",
    ]

    /// Without effect on the answer.
    static let harmless: Set<String> = [
        "user", "metadata", "store", "service_tier", "safety_identifier", "verbosity", "prompt_cache_key",
        "prompt_cache_retention",
    ]

    /// Not built yet; the values that ask for nothing are accepted.
    static let unsupported: [String: [JSONValue]] = [
        "n": [1], "best_of": [1], "use_beam_search": [false], "length_penalty": [1], "early_stopping": [false],
        "logprobs": [false], "top_logprobs": [0], "prompt_logprobs": [], "echo": [false],
        "spaces_between_special_tokens": [true],
        "guided_json": [], "guided_regex": [], "guided_choice": [], "guided_grammar": [],
        "guided_decoding_backend": [], "guided_whitespace_pattern": [], "structured_outputs": [],
        "response_format": [["type": "text"]],
        "tools": [[]], "tool_choice": ["none", "auto"], "parallel_tool_calls": [true, false],
        "functions": [[]], "function_call": ["none", "auto"],
        "mm_processor_kwargs": [[:]], "min_pixels": [], "max_pixels": [],
        "chat_template": [], "chat_template_kwargs": [[:]], "add_generation_prompt": [true],
        "continue_final_message": [false], "add_special_tokens": [false], "documents": [[]],
        "priority": [0], "request_id": [], "truncate_prompt_tokens": [], "return_token_ids": [false],
        "return_tokens_as_token_ids": [false], "prompt": [], "modalities": [["text"]], "audio": [], "prediction": [],
        "reasoning_effort": ["none"], "web_search_options": [],
    ]

    /// Throws for the first field that is unknown, or asks for what is not built yet; null is as good as absent.
    static func check(_ object: JSONObject) throws(APIError) {
        for (name, value) in object {
            if value.isNull || supported.contains(name) || harmless.contains(name) { continue }
            guard let accepted = unsupported[name] else {
                throw .unknown(field: name)
            }
            guard accepted.contains(where: { equal($0, value) }) else { throw .unsupported(name, possible: accepted) }
        }
    }

    private static func equal(_ left: JSONValue, _ right: JSONValue) -> Bool {
        if let number = left.doubleValue { return number == right.doubleValue }
        return left == right
    }
}
