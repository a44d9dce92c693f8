import JSON
import Seeded

extension FuzzTarget {
    /// Bodies of `/v1/responses`, which become chats.
    static let responses = FuzzTarget("responses") { dice, corpus in
        JSONText.changed(dice.pick(corpus) ?? [], &dice, corpus: corpus, words: chatWords + responsesWords)
    } check: { input in
        try answered(input, at: "/v1/responses")
    }

    /// Bodies of `/v1/messages` and of its counting.
    static let messages = FuzzTarget("messages") { dice, corpus in
        JSONText.changed(dice.pick(corpus) ?? [], &dice, corpus: corpus, words: chatWords + messagesWords)
    } check: { input in
        for path in ["/v1/messages", "/v1/messages/count_tokens"] { try answered(input, at: path) }
    }

    private static let responsesWords = [
        "input", "instructions", "max_output_tokens", "input_image", "input_file", "output_text", "message", "function_call", "function_call_output",
        "call_id", "output", "item_reference", "text", "format", "verbosity", "include", "message.output_text.logprobs", "store", "background",
        "previous_response_id", "truncation", "disabled", "reasoning", "strict", "parameters", "metadata", "file_id",
    ]

    private static let messagesWords = [
        "system", "stop_sequences", "source", "base64", "media_type", "image/png", "data", "image", "tool_use", "tool_result", "tool_use_id", "is_error",
        "input", "id", "input_schema", "custom", "auto", "any", "none", "disable_parallel_tool_use", "thinking", "signature", "disabled",
        "cache_control", "ephemeral", "output_config", "effort", "metadata", "user_id",
    ]
}
