internal import JSON

/// Reads what a request lets the chat template see beside its messages.
enum TemplateFields {
    /// Fields of their own, or what only the server may say.
    private static let reserved: Set<String> = ["messages", "tools", "documents", "add_generation_prompt"]

    static func read(_ fields: FieldReader) throws(APIError) -> JSONObject {
        var extra = JSONObject()
        if let value = fields.value("chat_template_kwargs") {
            guard let object = value.objectValue else { throw fields.mismatch("chat_template_kwargs", value, "an object") }
            for (name, value) in object {
                guard !reserved.contains(name) else {
                    throw .invalid("chat_template_kwargs.\(name) is not possible there", param: "chat_template_kwargs")
                }
                extra[name] = value
            }
        }
        if let adds = try fields.boolean("add_generation_prompt") { extra["add_generation_prompt"] = .bool(adds) }
        return extra
    }
}
