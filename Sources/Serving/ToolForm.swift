package import GuidedDecoding
package import JSON
internal import Synchronization

/// Whether a chat template tells the model of tools, and how it writes calls; found when it is first asked.
package final class ToolForm: Sendable {
    package enum Support: Sendable {
        /// Calls are written in this form.
        case calls(ToolCalls.Form)
        /// The template tells of tools, but writes calls in another form.
        case otherForm
        /// The template does not look at tools.
        case none
    }

    private let render: @Sendable (JSONValue, JSONObject) throws -> String
    private let found = Mutex<Support?>(nil)

    package init(render: @escaping @Sendable (JSONValue, JSONObject) throws -> String) { self.render = render }

    package var support: Support {
        if let known = found.withLock({ $0 }) { return known }
        let support = tried()
        found.withLock { $0 = support }
        return support
    }

    private func tried() -> Support {
        let name = "wAzUbYqE"
        let parameters: JSONValue = ["type": "object", "properties": ["x": ["type": "integer"]]]
        let tool: JSONValue = ["type": "function", "function": ["name": .string(name), "description": "d", "parameters": parameters]]
        func text(_ messages: [JSONValue]) -> String {
            // A template takes content as a text, or as parts alone.
            let forms: [JSONValue] = ["a", [["type": "text", "text": "a"]]]
            for content in forms {
                let user: JSONValue = ["role": "user", "content": content]
                if let text = try? render(.array([user] + messages), ["tools": [tool]]) { return text }
            }
            return ""
        }
        guard text([]).contains(name) else { return .none }
        let call: JSONValue = ["type": "function", "id": "a", "function": ["name": .string(name), "arguments": ["x": 1]]]
        let history = text([["role": "assistant", "content": "", "tool_calls": [call]]])
        // The call stands last; those that only show the form come before.
        guard let start = history.ranges(of: ToolCalls.opening).last?.upperBound else { return .otherForm }
        var reader = ToolCallReader([ToolCalls.Function(name: name, parameters: parameters)])
        let pieces = reader.read(ToolCalls.opening + history[start...]) + reader.finish()
        let arguments = pieces.compactMap { if case .callGrew(let text) = $0 { text } else { nil } }.joined()
        guard pieces.contains(.callBegan(name: name)), (try? JSONValue(parsing: arguments)) == ["x": 1] else { return .otherForm }
        return .calls(history[start...].contains("<function=") ? .tags : .json)
    }
}
