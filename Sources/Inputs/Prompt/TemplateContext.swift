package import JSON
package import Plan

extension InputSpec {
    /// What HuggingFace's `apply_chat_template` lets a template see for a conversation.
    ///
    /// Messages are as `ProcessorMixin.apply_chat_template` with `tokenize=True` makes them: members that are null are left
    /// out, content that is missing or empty is an empty list, `image_url` parts are `image` parts, and what a message calls
    /// `reasoning_content`, `thinking` or `reasoning`, the first of them that it has, is its `reasoning_content`, and its
    /// `thinking` unless it has one.
    ///
    /// `extra` comes last and wins: tools, a system's own variables, `add_generation_prompt`.
    package func templateContext(messages: JSONValue, extra: JSONObject = JSONObject()) -> JSONObject {
        var context = JSONObject()
        for (name, token) in specialTokens.sorted(by: { $0.key < $1.key }) { context[name] = .string(token) }
        context["messages"] = messages.arrayValue.map { .array($0.map(normalized)) } ?? messages
        context["tools"] = .null
        context["documents"] = .null
        context["add_generation_prompt"] = .bool(true)
        for (key, value) in extra { context[key] = value }
        return context
    }
}

private func normalized(_ message: JSONValue) -> JSONValue {
    guard var members = message.objectValue else { return message }
    for (name, value) in members where value.isNull { members[name] = nil }
    switch members["content"] {
    case nil, .string(""): members["content"] = .array([])
    case .array(let parts)?: members["content"] = .array(parts.map(normalizedPart))
    default: break
    }
    guard let reasoning = ["reasoning_content", "thinking", "reasoning"].lazy.compactMap({ members[$0] }).first else {
        return .object(members)
    }
    var aliased = JSONObject()
    aliased["thinking"] = reasoning
    for (name, value) in members { aliased[name] = value }
    aliased["reasoning_content"] = reasoning
    return .object(aliased)
}

private func normalizedPart(_ part: JSONValue) -> JSONValue {
    guard part["type"] == "image_url", let source = part["image_url"] else { return part }
    return ["type": "image", "url": source.objectValue == nil ? source : source["url"] ?? ""]
}
