internal import JSON

/// What requests in Anthropic's form say of thinking: a word for the chat template, where `--reasoning-parser` alone decides what is told apart.
extension ChatTranslation<Messages> {
    private static let efforts = TemplateFields.efforts.filter { $0 != "none" }

    /// What `thinking` holds, by its type.
    private static let kinds: [String: FieldTable] = [
        "enabled": ["type", "budget_tokens", "display"], "adaptive": ["type", "display"], "disabled": ["type"],
    ].mapValues { FieldTable(supported: $0, harmless: [], unsupported: ["block_binding": []]) }

    /// `thinking` and `output_config.effort`, as templates call them.
    mutating func setThinking(_ fields: FieldReader) throws(APIError) {
        var words = JSONObject()
        words["enable_thinking"] = try isEnabled(fields).map { .bool($0) }
        if let effort = try outputConfig(fields)?.string("effort") {
            guard Self.efforts.contains(effort) else {
                throw .invalid(
                    "output_config.effort must be one of \(Self.efforts.joined(separator: ", ")), not \(quoted: effort)",
                    param: "output_config.effort")
            }
            words["reasoning_effort"] = .string(effort)
        }
        if !words.isEmpty { body["chat_template_kwargs"] = .object(words) }
    }

    /// `output_config`, which holds `format` and `effort`.
    func outputConfig(_ fields: FieldReader) throws(APIError) -> FieldReader? {
        guard let value = fields.value("output_config") else { return nil }
        guard let config = value.objectValue else { throw fields.mismatch("output_config", value, "an object") }
        let inner = FieldReader(object: config, prefix: "output_config.")
        try FieldTable.outputConfig.check(config, in: inner.prefix)
        return inner
    }

    /// `chat_template_kwargs`, which win over what the other fields mean.
    mutating func addTemplateWords(_ fields: FieldReader) throws(APIError) {
        guard let value = fields.value("chat_template_kwargs") else { return }
        guard let given = value.objectValue else { throw fields.mismatch("chat_template_kwargs", value, "an object") }
        var words = body["chat_template_kwargs"]?.objectValue ?? JSONObject()
        for (name, value) in given { words[name] = value }
        body["chat_template_kwargs"] = .object(words)
    }

    /// What `thinking` asks of the template; nil for what that does of itself, as with `adaptive`.
    private mutating func isEnabled(_ fields: FieldReader) throws(APIError) -> Bool? {
        guard let value = fields.value("thinking") else { return nil }
        guard let object = value.objectValue else { throw fields.mismatch("thinking", value, "an object") }
        let thinking = FieldReader(object: object, prefix: "thinking.")
        let type = try thinking.string("type") ?? ""
        guard let table = Self.kinds[type] else {
            throw .invalid("thinking.type must be enabled, disabled or adaptive, not \(quoted: type)", param: "thinking.type")
        }
        try table.check(object, in: thinking.prefix)
        if let count = try thinking.integer("budget_tokens"), count < 1 {
            throw .invalid("thinking.budget_tokens must be at least 1, not \(count)", param: "thinking.budget_tokens")
        }
        switch try thinking.string("display") {
        case nil, "summarized": break
        case "omitted": form.hidesThoughts = true
        case let word?:
            throw .invalid("thinking.display must be summarized or omitted, not \(quoted: word)", param: "thinking.display")
        }
        return type == "adaptive" ? nil : type == "enabled"
    }
}
