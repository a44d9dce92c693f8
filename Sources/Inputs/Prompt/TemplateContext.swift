package import Plan

extension InputSpec {
    /// What HuggingFace's `apply_chat_template` lets a template see for a conversation.
    ///
    /// `extra` comes last and wins: tools, a system's own variables, `add_generation_prompt`.
    package func templateContext(messages: JSONValue, extra: JSONObject = JSONObject()) -> JSONObject {
        var context = JSONObject()
        for (name, token) in specialTokens.sorted(by: { $0.key < $1.key }) { context[name] = .string(token) }
        context["messages"] = messages
        context["tools"] = .null
        context["documents"] = .null
        context["add_generation_prompt"] = .bool(true)
        for (key, value) in extra { context[key] = value }
        return context
    }
}
