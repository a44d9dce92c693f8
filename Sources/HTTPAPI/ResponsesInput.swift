internal import JSON

/// Reads `input` and `instructions` of a response, as messages of a chat.
struct ResponsesInput {
    private(set) var messages: [JSONValue] = []
    private(set) var names = GivenNames()
    /// Of the last message, which is the assistant's.
    private var calls: [JSONValue] = []

    private static let roles: Set<String> = ["user", "assistant", "system", "developer"]

    init() { names.set("messages", "input") }

    mutating func add(instructions text: String) {
        add(["role": "system", "content": .string(text)], as: "instructions")
    }

    /// A text, or a list of messages, of calls and of their results.
    mutating func add(_ input: JSONValue?) throws(APIError) {
        guard let input else { throw .invalid("input is required", param: "input") }
        if input.stringValue != nil { return add(["role": "user", "content": input], as: "input") }
        guard let items = input.arrayValue else { throw .invalid("input must be a string or a list, not \(input.kind)", param: "input") }
        guard !items.isEmpty else { throw .invalid("input must not be empty", param: "input") }
        for (index, item) in items.enumerated() { try add(item, place: "input[\(index)]") }
        takeCalls()
    }

    private mutating func add(_ message: JSONObject, as place: String) {
        takeCalls()
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
                    "\(place).role must be one of user, assistant, system, developer, not \(role.prefix(40))", param: "\(place).role")
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
        case let type:
            throw .invalid(
                "\(place).type must be message, function_call or function_call_output, not \(type.prefix(40)); nothing is kept between requests",
                param: "\(place).type", code: "unsupported_parameter")
        }
    }

    private func required(_ name: String, _ fields: FieldReader) throws(APIError) -> String {
        guard let text = try fields.string(name) else { throw .invalid("\(fields.prefix)\(name) is required", param: fields.prefix + name) }
        return text
    }

    /// Calls belong to the assistant's message before them, where there is one.
    private mutating func add(call: JSONValue, place: String) {
        if messages.last?["role"] != "assistant" { add(["role": "assistant", "content": ""], as: place) }
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
}
