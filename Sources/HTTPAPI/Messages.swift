package import JSON
internal import Serving

/// `POST /v1/messages`: Anthropic's form of a chat.
package struct Messages: ChatForm {
    static let idPrefix = "msg_"

    var heldBytes: Int { 0 }
    /// Whether blocks of thoughts come without their text.
    var hidesThoughts = false

    /// The words of `tool_choice`.
    private static let choices: [String: JSONValue] = ["auto": "auto", "any": "required", "none": "none"]

    package static func translated(_ object: JSONObject) throws(APIError) -> ChatTranslation<Messages> {
        try FieldTable.messages.check(object)
        let fields = FieldReader(object: object)
        var translation = try conversation(fields)
        guard fields.value("max_tokens") != nil else { throw .invalid("max_tokens is required", param: "max_tokens") }
        for name in FieldTable.passed.union(["max_tokens"]) { translation.body[name] = object[name] }
        try translation.addTemplateWords(fields)
        if let stops = try fields.strings("stop_sequences") { translation.body["stop"] = .array(stops.map { .string($0) }) }
        translation.names.set("stop", "stop_sequences")
        try translation.setFormat(fields)
        return translation
    }

    /// What `POST /v1/messages/count_tokens` counts, as a request of `/tokenize`.
    package static func counted(_ object: JSONObject) throws(APIError) -> ChatTranslation<Messages> {
        try FieldTable.countedMessages.check(object)
        let fields = FieldReader(object: object)
        var translation = try conversation(fields)
        guard let model = fields.value("model") else { throw .invalid("model is required", param: "model") }
        translation.body["model"] = model
        // It adds no token, and is as wrong here as there.
        try translation.setFormat(fields)
        translation.body["response_format"] = nil
        return translation
    }

    private static func conversation(_ fields: FieldReader) throws(APIError) -> ChatTranslation<Messages> {
        var reader = MessagesReader()
        if let system = fields.value("system") { try reader.add(system: system, fields) }
        try reader.add(fields.value("messages"))
        var translation = ChatTranslation(form: Messages(), body: ["messages": .array(reader.messages)], names: reader.names)
        if reader.continuesLast { translation.body["continue_final_message"] = true }
        try translation.setTools(fields)
        try translation.setChoice(fields, words: choices)
        try translation.setThinking(fields)
        return translation
    }

    func writer(_ head: AnswerHead, _ texts: TokenTexts?, _ plan: AnswerPlan) -> MessagesWriter {
        MessagesWriter(
            head: head, beginning: AnswerBlocks(plan.options.toolCalls, plan.options.start), hidesThoughts: hidesThoughts,
            promptTokens: plan.groups.first?.request.prompt.ids.count ?? 0)
    }
}

extension ChatTranslation<Messages> {
    fileprivate mutating func setTools(_ fields: FieldReader) throws(APIError) {
        guard let value = fields.value("tools") else { return }
        guard let list = value.arrayValue else { throw fields.mismatch("tools", value, "a list") }
        var tools: [JSONValue] = []
        for (index, tool) in list.enumerated() {
            let place = "tools[\(index)]"
            guard let object = tool.objectValue else { throw .invalid("\(place) must be an object", param: place) }
            let inner = FieldReader(object: object, prefix: place + ".")
            if let type = try inner.string("type"), type != "custom" {
                throw .invalid(
                    "\(place).type must be custom, not \(quoted: type): tools that a server runs are not supported", param: "\(place).type",
                    code: "unsupported_parameter")
            }
            guard let schema = inner.value("input_schema") else {
                throw .invalid("\(place).input_schema is required", param: "\(place).input_schema")
            }
            var function: JSONObject = ["parameters": schema]
            for (name, value) in object where !value.isNull && !["type", "input_schema", "cache_control", "eager_input_streaming"].contains(name) {
                guard name != "parameters" else { throw .unknown(field: name, in: place + ".") }
                function[name] = value
            }
            tools.append(["type": "function", "function": .object(function)])
            names.set("\(place).function", place)
            names.set("\(place).function.parameters", "\(place).input_schema")
        }
        body["tools"] = .array(tools)
    }

    fileprivate mutating func setChoice(_ fields: FieldReader, words: [String: JSONValue]) throws(APIError) {
        guard let value = fields.value("tool_choice") else { return }
        guard let object = value.objectValue else { throw fields.mismatch("tool_choice", value, "an object") }
        let choice = FieldReader(object: object, prefix: "tool_choice.")
        for name in object.keys where !["type", "name", "disable_parallel_tool_use"].contains(name) {
            throw .unknown(field: name, in: choice.prefix)
        }
        let type = try choice.string("type") ?? ""
        if type == "tool" {
            guard let name = try choice.string("name") else { throw .invalid("tool_choice.name is required", param: "tool_choice.name") }
            body["tool_choice"] = ["type": "function", "function": ["name": .string(name)]]
        } else {
            guard let word = words[type] else {
                throw .invalid("tool_choice.type must be auto, any, tool or none, not \(quoted: type)", param: "tool_choice.type")
            }
            body["tool_choice"] = word
        }
        if let isDisabled = try choice.boolean("disable_parallel_tool_use") { body["parallel_tool_calls"] = .bool(!isDisabled) }
    }

    /// `output_config.format`, which says of the answer what `response_format` does.
    fileprivate mutating func setFormat(_ fields: FieldReader) throws(APIError) {
        guard let inner = try outputConfig(fields), let value = inner.value("format") else { return }
        guard let format = value.objectValue else { throw inner.mismatch("format", value, "an object") }
        guard format["type"] == "json_schema", let schema = format["schema"], format.count == 2 else {
            throw .invalid("output_config.format must be {\"type\":\"json_schema\",\"schema\":…}", param: "output_config.format")
        }
        body["response_format"] = ["type": "json_schema", "json_schema": ["schema": schema]]
        names.set("response_format", "output_config.format")
        names.set("response_format.json_schema", "output_config.format")
    }
}
