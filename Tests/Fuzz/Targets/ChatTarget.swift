import Inputs
import JSON
import Seeded

extension FuzzTarget {
    /// Bodies of chats: each is answered once, by a completion or by what is wrong with it.
    static let chat = FuzzTarget("chat") { dice, corpus in
        JSONText.changed(dice.pick(corpus) ?? [], &dice, corpus: corpus, words: chatWords)
    } check: { input in
        try answered(input, at: "/v1/chat/completions")
    }

    /// Bodies of the other routes that read one, each sent to all of them.
    static let completion = FuzzTarget("completion") { dice, corpus in
        JSONText.changed(dice.pick(corpus) ?? [], &dice, corpus: corpus, words: completionWords)
    } check: { input in
        for path in ["/v1/completions", "/tokenize", "/detokenize"] { try answered(input, at: path) }
    }

    /// Sends a body and checks that it has one answer of JSON, or of a stream.
    static func answered(_ input: [UInt8], at path: String) throws {
        let head = "POST \(path) HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: \(input.count)\r\n\r\n"
        let connection = try FuzzConnection(port: try FuzzServer.shared.get().port)
        let (received, isClosed) = connection.exchange(Array(head.utf8) + input, patience: 20_000)
        let answers = try FuzzConnection.answers(received)
        guard isClosed, answers.count == 1, let answer = answers.first else { throw Finding("\(answers.count) answers, closed: \(isClosed)") }
        guard answer.status == 200 || 400..<500 ~= answer.status else {
            throw Finding("answers \(answer.status): \(String(decoding: answer.body.prefix(300), as: UTF8.self))")
        }
        guard answer.body.isEmpty || (try? JSONValue(parsing: Array(answer.body)))?.objectValue != nil else {
            throw Finding("answers what is no JSON object")
        }
    }

    private static let completionWords = [
        "model", "m", "prompt", "tokens", "messages", "echo", "suffix", "max_tokens", "min_tokens", "temperature", "top_p", "top_k", "min_p",
        "stop", "stop_token_ids", "include_stop_str_in_output", "seed", "stream", "n", "best_of", "use_beam_search", "length_penalty", "early_stopping", "never", "logprobs", "prompt_logprobs", "logit_bias", "bad_words",
        "allowed_token_ids", "presence_penalty", "frequency_penalty", "repetition_penalty", "ignore_eos", "skip_special_tokens",
        "add_special_tokens", "add_generation_prompt", "truncate_prompt_tokens", "return_token_ids", "role", "user", "content", "257", "<|im_end|>", "<|image_pad|>", "-1", "1e9", "2147483648",
    ]

    static let chatWords = [
        "model", "messages", "role", "content", "user", "assistant", "system", "developer", "tool", "text", "image_url", "url", "type",
        "input_text", "detail", "auto", "tool_calls", "function", "name", "arguments", "{\"a\":1}", "max_tokens", "max_completion_tokens",
        "temperature", "top_p", "top_k", "stop", "seed", "stream", "stream_options", "include_usage", "n", "logprobs", "cache_salt",
        "data:image/png;base64,", "data:image/png;base64,iVBORw0KGgo=", "video_url", "video", "input_video", "fps", "num_frames", "data:video/mp4;base64,AAAA", "data:,", "https://x/y.png", "<|image_pad|>", "<|im_end|>", "m",
        "response_format", "tools", "tool_choice", "required", "parallel_tool_calls", "guided_json", "guided_regex", "guided_choice", "json_schema", "schema", "reasoning_content", "repetition_penalty", "ignore_eos", "min_p", "user\n", "logit_bias", "bad_words",
        "allowed_token_ids", "stop_token_ids", "min_tokens", "top_logprobs", "best_of",
        "use_beam_search", "length_penalty", "early_stopping", "never",
        "allowed_token_ids", "stop_token_ids", "min_tokens", "top_logprobs", "best_of", "continue_final_message", "add_generation_prompt", "chat_template",
        "{{ messages }}", "{% for m in messages %}", "{% endfor %}", "truncate_prompt_tokens", "-1", "add_special_tokens", "return_token_ids", "request_id",
    ]
}
