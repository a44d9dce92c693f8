package import JSON

/// The roles whose messages a chat template takes as text only: it fails on a list of parts, or prints the list.
package struct TextOnlyRoles: Sendable {
    private var roles: Set<String> = []

    /// Tries the template on a message of each role, once as a text and once as a part with that text.
    ///
    /// A role counts where the text alone is rendered and the part's is not, or stands in quotes. A template that refuses both
    /// tells nothing.
    package init(render: (JSONValue) throws -> String) {
        let probe = "wAzUbYqE"
        for role in ["system", "user", "assistant", "tool"] {
            func rendered(_ content: JSONValue) -> String? {
                let message: JSONValue = ["role": .string(role), "content": content]
                let greeting: JSONValue = ["role": "user", "content": "a"]
                switch role {
                case "user": return try? render([message])
                case "system": return try? render([message, greeting])
                default: return try? render([greeting, message])
                }
            }
            guard let text = rendered(.string(probe)), text.contains(probe) else { continue }
            let parts = rendered([["type": "text", "text": .string(probe)]]) ?? ""
            let isPrinted = ["'", "\""].contains { parts.contains($0 + probe + $0) && !text.contains($0 + probe + $0) }
            if !parts.contains(probe) || isPrinted { roles.insert(role) }
        }
    }

    /// The messages with the parts of such roles joined by line breaks, where all of them are texts.
    package func joined(_ messages: JSONValue) -> JSONValue {
        guard !roles.isEmpty, let list = messages.arrayValue else { return messages }
        return .array(list.map(joinedMessage))
    }

    private func joinedMessage(_ message: JSONValue) -> JSONValue {
        guard var members = message.objectValue, let role = members["role"]?.stringValue, roles.contains(role),
            let parts = members["content"]?.arrayValue
        else { return message }
        let texts = parts.compactMap { $0["type"] == "text" ? $0["text"]?.stringValue : nil }
        guard texts.count == parts.count else { return message }
        members["content"] = .string(texts.joined(separator: "\n"))
        return .object(members)
    }
}
