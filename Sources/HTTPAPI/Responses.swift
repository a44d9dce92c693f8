package import JSON
internal import Serving

/// `POST /v1/responses`: OpenAI's Responses, without what a server would have to keep.
package struct Responses: ChatForm {
    static let idPrefix = "resp_"

    /// What answers repeat of their request.
    let echo: JSONObject
    let heldBytes: Int

    private static let defaults: KeyValuePairs<String, JSONValue> = [
        "background": false, "instructions": nil, "max_output_tokens": nil, "max_tool_calls": nil, "metadata": [:],
        "parallel_tool_calls": true, "previous_response_id": nil, "prompt_cache_key": nil, "reasoning": ["effort": nil, "summary": nil],
        "safety_identifier": nil, "service_tier": "default", "text": ["format": ["type": "text"]], "tool_choice": "auto", "tools": [],
        "top_logprobs": 0, "truncation": "disabled", "user": nil,
    ]

    private init(_ object: JSONObject) {
        var echo = JSONObject()
        for (name, value) in Self.defaults { echo[name] = value }
        // The field says how the request was served.
        for (name, _) in Self.defaults where name != "service_tier" {
            if let value = object[name], !value.isNull { echo[name] = value }
        }
        if var text = echo["text"]?.objectValue, text["format"]?.isNull ?? true {
            text["format"] = ["type": "text"]
            echo["text"] = .object(text)
        }
        for name in ["temperature", "top_p"] { echo[name] = object[name] }
        echo["store"] = false
        self.echo = echo
        heldBytes = ["instructions", "tools", "metadata", "text"].reduce(0) { $0 + 2 * (object[$1]?.serialized.count ?? 0) }
    }

    package static func translated(_ object: JSONObject) throws(APIError) -> ChatTranslation<Responses> {
        let fields = FieldReader(object: object)
        try FieldTable.responses.check(object)
        var input = ResponsesInput()
        if let text = try fields.string("instructions") { input.add(instructions: text) }
        try input.add(fields.value("input"))
        var translation = ChatTranslation(form: Responses(object), body: JSONObject(), names: input.names)
        for name in FieldTable.passed.union(["tool_choice", "parallel_tool_calls", "stop", "stream_options", "chat_template_kwargs"]) {
            translation.body[name] = object[name]
        }
        translation.body["messages"] = .array(input.messages)
        translation.body["max_completion_tokens"] = object["max_output_tokens"]
        translation.names.set("max_completion_tokens", "max_output_tokens")
        _ = try fields.boolean("store")
        try translation.setReasoning(fields)
        try translation.setFormat(fields)
        try translation.setTools(fields)
        try translation.setLogprobs(fields)
        return translation
    }

    func writer(_ head: AnswerHead, _ texts: TokenTexts?, _ plan: AnswerPlan) -> ResponsesWriter {
        var echo = echo
        for (name, value) in [("temperature", plan.options.sampling.temperature), ("top_p", plan.options.sampling.topP)]
        where echo[name]?.isNull ?? true {
            echo[name] = .double(Double("\(value)") ?? Double(value))
        }
        return ResponsesWriter(head: head, texts: texts, beginning: AnswerBlocks(plan.options.toolCalls, plan.options.start), echo: echo)
    }
}

extension ChatTranslation<Responses> {
    private static let summaries = ["auto", "concise", "detailed"]

    /// `reasoning`, whose effort is `reasoning_effort` of a chat; thoughts are told whole, whatever summary is asked for.
    fileprivate mutating func setReasoning(_ fields: FieldReader) throws(APIError) {
        names.set("reasoning_effort", "reasoning.effort")
        guard let value = fields.value("reasoning") else { return }
        guard let object = value.objectValue else { throw fields.mismatch("reasoning", value, "an object") }
        let inner = FieldReader(object: object, prefix: "reasoning.")
        try FieldTable.reasoning.check(object, in: inner.prefix)
        body["reasoning_effort"] = inner.value("effort")
        for name in ["summary", "generate_summary"] {
            guard let word = try inner.string(name), !Self.summaries.contains(word) else { continue }
            throw .invalid("reasoning.\(name) must be one of \(Self.summaries.joined(separator: ", "))", param: "reasoning.\(name)")
        }
    }

    /// `text`, which says of the answer what `response_format` does.
    fileprivate mutating func setFormat(_ fields: FieldReader) throws(APIError) {
        names.set("response_format", "text.format")
        names.set("response_format.json_schema", "text.format")
        guard let value = fields.value("text") else { return }
        guard let text = value.objectValue else { throw fields.mismatch("text", value, "an object") }
        for name in text.keys where name != "format" && name != "verbosity" { throw .unknown(field: name, in: "text.") }
        guard let value = FieldReader(object: text).value("format") else { return }
        guard var format = value.objectValue else { throw FieldReader(object: text, prefix: "text.").mismatch("format", value, "an object") }
        guard format["type"] == "json_schema" else {
            for name in format.keys where name != "type" { throw .unknown(field: name, in: "text.format.") }
            body["response_format"] = value
            return
        }
        format.removeValue(forKey: "type")
        body["response_format"] = ["type": "json_schema", "json_schema": .object(format)]
    }

    /// Functions, which lie one level deeper in a chat request.
    fileprivate mutating func setTools(_ fields: FieldReader) throws(APIError) {
        if let list = fields.value("tools")?.arrayValue {
            body["tools"] = .array(list.enumerated().map { index, tool in
                names.set("tools[\(index)].function", "tools[\(index)]")
                guard var function = tool.objectValue, function["type"] == "function" else { return tool }
                function.removeValue(forKey: "type")
                return ["type": "function", "function": .object(function)]
            })
        } else {
            body["tools"] = fields.value("tools")
        }
        guard let choice = fields.value("tool_choice")?.objectValue else { return }
        guard choice["type"] == "function", let name = choice["name"]?.stringValue else {
            throw .invalid("tool_choice must be none, auto, required or {\"type\":\"function\",\"name\":…}", param: "tool_choice")
        }
        body["tool_choice"] = ["type": "function", "function": ["name": .string(name)]]
    }

    /// `include` asks for log probabilities, `top_logprobs` for others in their place.
    fileprivate mutating func setLogprobs(_ fields: FieldReader) throws(APIError) {
        let logprobs = "message.output_text.logprobs"
        // Thoughts are told as they are, and come back so.
        let known = [logprobs, "reasoning.encrypted_content"]
        let included = try fields.strings("include") ?? []
        if let index = included.firstIndex(where: { !known.contains($0) }) {
            throw .invalid(
                "include[\(index)] must be \(known.joined(separator: " or ")), not \(quoted: included[index])", param: "include",
                code: "unsupported_parameter")
        }
        body["top_logprobs"] = fields.value("top_logprobs")
        let others = try fields.integer("top_logprobs") ?? 0
        if included.contains(logprobs) || others > 0 { body["logprobs"] = true }
    }
}
