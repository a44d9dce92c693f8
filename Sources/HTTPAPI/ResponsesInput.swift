internal import JSON

/// Reads `input` and `instructions` of a response, as messages of a chat.
struct ResponsesInput {
    private(set) var messages: [JSONValue] = []
    private(set) var names = GivenNames()
    /// Of the last message, which is the assistant's.
    private var calls: [JSONValue] = []
    /// What the assistant's next message begins with, and where it stands.
    private var thoughts: (text: String, place: String)?

    private static let roles: Set<String> = ["user", "assistant", "system", "developer"]

    init() { names.set("messages", "input") }

    mutating func add(instructions text: String) {
        add(["role": "system", "content": .string(text)], as: "instructions")
    }

    /// A text, or a list of messages, of thoughts, of calls and of their results.
    mutating func add(_ input: JSONValue?) throws(APIError) {
        guard let input else { throw .invalid("input is required", param: "input") }
        if input.stringValue != nil { return add(["role": "user", "content": input], as: "input") }
        guard let items = input.arrayValue else { throw .invalid("input must be a string or a list, not \(input.kind)", param: "input") }
        guard !items.isEmpty else { throw .invalid("input must not be empty", param: "input") }
        for (index, item) in items.enumerated() { try add(item, place: "input[\(index)]") }
        takeCalls()
        takeThoughts()
    }

    private mutating func add(_ message: JSONObject, as place: String) {
        takeCalls()
        var message = message
        if let (text, _) = thoughts, message["role"] == "assistant" {
            message["reasoning_content"] = .string(text)
            thoughts = nil
        }
        takeThoughts()
        names.set("messages[\(messages.count)]", place)
        messages.append(.object(message))
    }

    private mutating func add(_ item: JSONValue, place: String) throws(APIError) {
        guard let object = item.objectValue else { throw .invalid("\(place) must be an object", param: place) }
        let fields = FieldReader(object: object, prefix: place + ".")
        switch try fields.string("type") ?? "message" {
        case "message":
            guard let role = try fields.string("role") else { throw .invalid("\(place).role is required", param: "\(place).role") }
            guard Self.roles.contains(role) else {
                throw .invalid(
                    "\(place).role must be one of user, assistant, system, developer, not \(quoted: role)", param: "\(place).role")
            }
            add(["role": .string(role), "content": object["content"] ?? .null], as: place)
        case "function_call":
            let call: JSONValue = [
                "id": .string(try required("call_id", fields)), "type": "function",
                "function": ["name": .string(try required("name", fields)), "arguments": .string(try required("arguments", fields))],
            ]
            add(call: call, place: place)
        case "function_call_output":
            let id = try required("call_id", fields)
            guard let output = fields.value("output") else { throw .invalid("\(place).output is required", param: "\(place).output") }
            names.set("messages[\(messages.count)].content", "\(place).output")
            add(["role": "tool", "tool_call_id": .string(id), "content": output], as: place)
        case "reasoning": try add(thoughts: fields, place: place)
        case let type:
            throw .invalid(
                "\(place).type must be message, reasoning, function_call or function_call_output, not \(quoted: type); nothing is kept between requests",
                param: "\(place).type", code: "unsupported_parameter")
        }
    }

    private func required(_ name: String, _ fields: FieldReader) throws(APIError) -> String {
        guard let text = try fields.string(name) else { throw .invalid("\(fields.prefix)\(name) is required", param: fields.prefix + name) }
        return text
    }

    /// Calls belong to the assistant's message before them, where there is one.
    private mutating func add(call: JSONValue, place: String) {
        if messages.last?["role"] != "assistant" || thoughts != nil { add(["role": "assistant", "content": ""], as: place) }
        let field = "messages[\(messages.count - 1)].tool_calls[\(calls.count)]"
        names.set(field, place)
        names.set(field + ".function", place)
        calls.append(call)
    }

    private mutating func takeCalls() {
        guard !calls.isEmpty, var message = messages.popLast()?.objectValue else { return }
        message["tool_calls"] = .array(calls)
        messages.append(.object(message))
        calls = []
    }

    /// What was thought, of `content`, or of `summary` where there is none; an item of no text says nothing.
    private mutating func add(thoughts fields: FieldReader, place: String) throws(APIError) {
        var told = try self.text(of: "content", "reasoning_text", fields)
        if told == nil { told = try self.text(of: "summary", "summary_text", fields) }
        guard let text = told else {
            guard fields.value("encrypted_content") == nil else {
                throw .invalid(
                    "\(place).encrypted_content cannot be read here; send the thoughts as content", param: "\(place).encrypted_content",
                    code: "unsupported_parameter")
            }
            return
        }
        takeCalls()
        thoughts = (thoughts.map { $0.text + "\n" + text } ?? text, place)
    }

    private func text(of name: String, _ type: String, _ fields: FieldReader) throws(APIError) -> String? {
        guard let value = fields.value(name) else { return nil }
        guard let parts = value.arrayValue else { throw fields.mismatch(name, value, "a list") }
        var texts: [String] = []
        for (index, part) in parts.enumerated() {
            guard part["type"]?.stringValue == type, let text = part["text"]?.stringValue else {
                let place = "\(fields.prefix)\(name)[\(index)]"
                throw .invalid("\(place) must be {\"type\":\"\(type)\",\"text\":…}", param: place)
            }
            texts.append(text)
        }
        return texts.isEmpty ? nil : texts.joined(separator: "\n")
    }

    /// Thoughts that nothing of the assistant's follows are a message of their own.
    private mutating func takeThoughts() {
        guard let (text, place) = thoughts else { return }
        thoughts = nil
        names.set("messages[\(messages.count)]", place)
        messages.append(["role": "assistant", "content": "", "reasoning_content": .string(text)])
    }
}
