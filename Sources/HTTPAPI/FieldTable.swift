internal import JSON

/// Every field that a route's requests may hold, and what this server does with it.
struct FieldTable: Sendable {
    let supported: Set<String>
    /// Without effect on the answer.
    let harmless: Set<String>
    /// Not built; what asks for nothing is accepted.
    let unsupported: [String: Unbuilt]

    /// Throws for the first field that is unknown, or asks for what is not built; null is as good as absent.
    ///
    /// - Parameter place: put before names in errors, such as `reasoning.`.
    func check(_ object: JSONObject, in place: String = "") throws(APIError) {
        for (name, value) in object {
            if value.isNull || supported.contains(name) || harmless.contains(name) { continue }
            guard let unbuilt = unsupported[name] else { throw .unknown(field: name, in: place) }
            guard unbuilt.accepts(value) else { throw .unsupported(place + name, unbuilt) }
        }
    }
}

extension FieldTable {
    static let chat = FieldTable(
        supported: answers.union(["messages", "max_completion_tokens", "top_logprobs", "tools", "tool_choice", "parallel_tool_calls", "reasoning_effort", "include_reasoning"]).union(template).union(pixels),
        harmless: hints,
        unsupported: later.merging(
            [
                "echo": [false],
                "functions": [], "function_call": ["none", "auto"],
                "documents": [], "prompt": [], "moderation": [],
                "modalities": [["text"]], "audio": [], "prediction": [],
                "web_search_options": Unbuilt(because: "nothing is searched for here; leave it out", meansEmpty: true),
            ], uniquingKeysWith: { $1 }))

    static let completion = FieldTable(
        supported: answers.union(["prompt", "echo", "add_special_tokens"]), harmless: hints,
        unsupported: later.merging(["suffix": [""], "prompt_embeds": [], "messages": []], uniquingKeysWith: { $1 }))

    static let generate = FieldTable(
        supported: passed.union(GenerateRequest.own).union(["prompt"]), harmless: [],
        unsupported: later.merging(
            [
                "logprobs": [], "prompt_logprobs": [], "detokenize": [true], "guided_decoding": [], "output_kind": [],
                "extra_args": [], "prompt_embeds": [],
            ], uniquingKeysWith: { $1 }))

    static let embeddings = FieldTable(
        supported: template.union(["model", "input", "messages", "encoding_format", "normalize", "truncate_prompt_tokens", "cache_salt", "request_id"]).union(pixels),
        harmless: hints,
        unsupported: [
            "dimensions": Unbuilt(because: "only embeddings of models that were trained for it (Matryoshka) may be shortened, and generative models were not; leave it out"),
            "priority": [0], "documents": [], "additional_data": [], "embed_dtype": ["float32"], "endianness": ["native", "little"],
            "media_io_kwargs": ofMedia,
        ])

    static let tokenize = FieldTable(
        supported: template.union(["model", "prompt", "messages", "tools", "tool_choice", "parallel_tool_calls"]).union(pixels), harmless: hints,
        unsupported: ["return_token_strs": [false], "media_io_kwargs": ofMedia])

    static let detokenize = FieldTable(supported: ["model", "tokens"], harmless: hints, unsupported: [:])

    static let responses = FieldTable(
        supported: passed.union([
            "input", "instructions", "max_output_tokens", "text", "tools", "tool_choice", "parallel_tool_calls", "top_logprobs", "include",
            "stop", "stream_options", "chat_template_kwargs", "reasoning",
        ]),
        harmless: hints.union(["max_tool_calls", "client_metadata"]),
        unsupported: later.merging(
            [
                "previous_response_id": Unbuilt(because: "nothing is stored here, whatever store says; send the conversation so far in input"),
                "conversation": Unbuilt(because: "nothing is stored here; send the conversation so far in input"),
                "prompt": Unbuilt(because: "nothing is stored here; send the text of the prompt in input"),
                "background": Unbuilt([false], because: "nothing is stored here that could be asked for later"),
                "background_options": [["completion_window": "soonest"]], "truncation": ["disabled"], "context_management": [],
                "moderation": [], "image": [["context_compression": "auto"], ["context_compression": "disabled"]],
                "access_programs": Unbuilt([["cyber": "standard"]], because: "they are OpenAI's"),
                "mm_processor_kwargs": [], "enable_response_messages": [false], "previous_input_messages": [],
            ], uniquingKeysWith: { $1 }))

    /// The members of `reasoning` of a response.
    static let reasoning = FieldTable(
        supported: ["effort", "summary", "generate_summary"], harmless: [],
        unsupported: [
            "context": Unbuilt(["auto"], because: "the chat template decides which thoughts the model sees again"),
            "mode": Unbuilt(["standard"], because: "there is one way to answer"),
        ])

    /// The members of a function that is offered; what is not built stands beside it as well.
    static let function = FieldTable(
        supported: ["name", "description", "parameters", "strict"], harmless: [],
        unsupported: [
            "defer_loading": Unbuilt([false], because: "the model is told of all tools, and searches for none"),
            "allowed_callers": Unbuilt([["direct"]], because: "the model alone calls tools"),
            "input_examples": Unbuilt(because: "chat templates have no place for examples; tell of them in description"),
            "output_schema": Unbuilt(because: "chat templates have no place for it; tell of it in description"),
        ])

    static let messages = FieldTable(
        supported: passed.union(["max_tokens", "stop_sequences", "chat_template_kwargs"]).union(conversation),
        harmless: anthropicHints, unsupported: anthropicLater)

    static let countedMessages = FieldTable(
        supported: conversation.union(["model"]), harmless: anthropicHints, unsupported: anthropicLater)

    private static let conversation: Set<String> = ["messages", "system", "tools", "tool_choice", "thinking", "output_config"]
    private static let anthropicHints: Set<String> = ["metadata", "service_tier", "cache_control", "inference_geo", "user_profile_id", "workspace_id", "guided_decoding_backend"]
    private static let anthropicLater: [String: Unbuilt] = [
        "thread": Unbuilt(
            because: "nothing is stored here; send the whole conversation in messages",
            details: ["error_code": "thread_unsupported_request", "unsupported": ["thread"]]),
        "context_management": Unbuilt(
            [["type": "clear_thinking_20251015", "keep": "all"], ["type": "clear_thinking_20251015", "keep": ["type": "all"]]].map { ["edits": [$0]] },
            because: "nothing of a conversation is cleared or compacted here; send what the model is to read"),
        "compaction": Unbuilt(because: "nothing of a conversation is compacted here; send what the model is to read"),
        "container": Unbuilt(because: "no code is run here; leave it out"),
        "mcp_servers": Unbuilt(because: "the server asks no other; offer what those have in tools"),
        "fallbacks": Unbuilt(because: "no other model takes over here; leave it out"), "fallback_credit_token": [],
        "diagnostics": Unbuilt(because: "no earlier request is stored that this one could be compared with; leave it out"),
        "billing_policy": [], "speed": ["standard"],
    ]

    /// The members of `output_config` of a message.
    static let outputConfig = FieldTable(
        supported: ["format", "effort"], harmless: [], unsupported: ["task_budget": Unbuilt(because: "no budget of tokens is kept to; leave it out")])

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
        "prompt_cache_retention", "prompt_cache_options", "guided_decoding_backend", "session_id", "return_token_offsets", "return_mm_kwargs",
    ]

    private static let ofMedia = Unbuilt(because: "fps and num_frames of mm_processor_kwargs say which frames of a video are read")

    /// What vLLM has, in all of its forms.
    private static let later: [String: Unbuilt] = [
        "guided_whitespace_pattern": [], "return_tokens_as_token_ids": [false], "structural_tag": [], "media_io_kwargs": ofMedia,
        "logits_processors": Unbuilt(because: "requests bring no code; leave it out"), "kv_transfer_params": [], "ec_transfer_params": [],
        "vllm_xargs": [], "truncation_side": ["left"], "logprob_token_ids": [], "thinking_token_budget": [], "repetition_detection": [],
        "watermarking": [false], "return_prompt_text": [false], "routed_experts_prompt_start": [0],
    ]
}
