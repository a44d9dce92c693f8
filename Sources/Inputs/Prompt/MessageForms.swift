package import JSON
package import Plan

/// The forms of content that a chat template takes from each role: a text, a list of parts, or both.
///
/// Clients send either. Templates of text models fail on a list, or print it; templates of LLaVA's line look for parts alone, and
/// fail on a text or leave it out.
package struct MessageForms: Sendable {
    private var textOnly: Set<String> = []
    private var partsOnly: Set<String> = []

    /// Tries the template on a message of each role, once as a text and once as a part with that text.
    ///
    /// A form is taken where the text stands in what is rendered, and for parts not in quotes. A template that takes neither tells
    /// nothing.
    package init(render: (JSONValue) throws -> String) {
        let probe = "wAzUbYqE"
        for role in ["system", "user", "assistant", "tool"] {
            func rendered(_ content: JSONValue) -> String {
                let message: JSONValue = ["role": .string(role), "content": content]
                for greeting: JSONValue in ["a", [["type": "text", "text": "a"]]] {
                    let user: JSONValue = ["role": "user", "content": greeting]
                    let messages = role == "user" ? [message] : role == "system" ? [message, user] : [user, message]
                    if let text = try? render(.array(messages)), text.contains(probe) { return text }
                }
                return ""
            }
            let text = rendered(.string(probe))
            let parts = rendered([["type": "text", "text": .string(probe)]])
            let isPrinted = ["'", "\""].contains { parts.contains($0 + probe + $0) && !text.contains($0 + probe + $0) }
            let takesParts = parts.contains(probe) && !isPrinted
            if text.contains(probe) {
                if !takesParts { textOnly.insert(role) }
            } else if takesParts {
                partsOnly.insert(role)
            }
        }
    }

    /// The messages in a form that the template takes: parts that are texts are joined by line breaks, a text becomes a part.
    ///
    /// Parts with images are joined as `prompt` says, the markers of the images in their places.
    package func adapted(_ messages: JSONValue, _ prompt: ImagePrompt? = nil) -> JSONValue {
        guard !textOnly.isEmpty || !partsOnly.isEmpty, let list = messages.arrayValue else { return messages }
        var images = 0
        return .array(list.map { adaptedMessage($0, prompt, &images) })
    }

    /// - Parameter images: those before the message; grows by its own.
    private func adaptedMessage(_ message: JSONValue, _ prompt: ImagePrompt?, _ images: inout Int) -> JSONValue {
        let parts = message["content"]?.arrayValue
        let first = images
        images += parts?.count(where: ImageSource.isImage) ?? 0
        guard var members = message.objectValue, let role = members["role"]?.stringValue else { return message }
        if partsOnly.contains(role), let text = members["content"]?.stringValue {
            members["content"] = text.isEmpty ? [] : [["type": "text", "text": .string(text)]]
        }
        guard textOnly.contains(role), let parts else { return .object(members) }
        var (texts, number): ([String], Int) = ([], first)
        for part in parts {
            if let prompt, ImageSource.isImage(part) {
                number += 1
                texts.append(prompt.marker(number) + prompt.mention.ending)
            } else if part["type"] == "text", let text = part["text"]?.stringValue {
                texts.append(text)
            } else {
                return message
            }
        }
        let separator = number > first ? prompt?.mention.separator : nil
        members["content"] = .string(texts.joined(separator: separator ?? "\n"))
        return .object(members)
    }
}
