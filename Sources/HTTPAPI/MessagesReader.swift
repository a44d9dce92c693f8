internal import JSON

/// Reads `messages` and `system` of Anthropic's form, as messages of a chat.
struct MessagesReader {
    private(set) var messages: [JSONValue] = []
    private(set) var names = GivenNames()
    /// Whether the last message is the assistant's, which the answer goes on with.
    private(set) var continuesLast = false

    /// What messages hold, by their roles.
    private static let parts = ["user": "text, image or tool_result", "assistant": "text, tool_use or thinking", "system": "text"]

    /// What becomes one message of the chat.
    private struct Turn {
        var parts: [JSONValue] = []
        var places: [String] = []
        var calls: [JSONValue] = []
        var callPlaces: [String] = []
        var reasoning = ""
    }

    /// A text, or a list of parts of type text.
    mutating func add(system: JSONValue, _ fields: FieldReader) throws(APIError) {
        guard system.stringValue != nil || system.arrayValue != nil else { throw fields.mismatch("system", system, "a string or a list of texts") }
        for (index, part) in (system.arrayValue ?? []).enumerated() where part["type"] != "text" {
            throw .invalid("system[\(index)].type must be text", param: "system[\(index)].type")
        }
        names.set("messages[0]", "system")
        names.set("messages[0].content", "system")
        messages.append(["role": "system", "content": system])
    }

    mutating func add(_ value: JSONValue?) throws(APIError) {
        guard let value else { throw .invalid("messages is required", param: "messages") }
        guard let list = value.arrayValue else { throw .invalid("messages must be a list, not \(value.kind)", param: "messages") }
        guard let last = list.last else { throw .invalid("messages must not be empty", param: "messages") }
        for (index, message) in list.enumerated() { try add(message, place: "messages[\(index)]") }
        continuesLast = last["role"] == "assistant"
        guard !continuesLast || messages.last?["tool_calls"] == nil else {
            let place = "messages[\(list.count - 1)]"
            throw .invalid("\(place) calls functions, of which no results follow", param: place)
        }
    }

    private mutating func add(_ value: JSONValue, place: String) throws(APIError) {
        guard let object = value.objectValue else { throw .invalid("\(place) must be an object", param: place) }
        let fields = FieldReader(object: object, prefix: place + ".")
        guard let role = try fields.string("role") else { throw .invalid("\(place).role is required", param: "\(place).role") }
        guard Self.parts[role] != nil else {
            throw .invalid("\(place).role must be user, assistant or system, not \(quoted: role)", param: "\(place).role")
        }
        guard let blocks = fields.value("content")?.arrayValue else {
            // A chat's assistant may have none beside calls; here calls are blocks of it.
            if role == "assistant", fields.value("content") == nil { throw .invalid("\(place).content is required", param: "\(place).content") }
            names.set("messages[\(messages.count)]", place)
            messages.append(["role": .string(role), "content": object["content"] ?? .null])
            return
        }
        var turn = Turn()
        let before = messages.count
        for (index, block) in blocks.enumerated() { try add(block, role: role, place: "\(place).content[\(index)]", &turn) }
        if messages.count == before || !turn.parts.isEmpty { close(&turn, role: role, place: place) }
    }

    private mutating func close(_ turn: inout Turn, role: String, place: String) {
        let field = "messages[\(messages.count)]"
        names.set(field, place)
        for (index, place) in turn.places.enumerated() { names.set("\(field).content[\(index)]", place) }
        for (index, place) in turn.callPlaces.enumerated() {
            names.set("\(field).tool_calls[\(index)]", place)
            names.set("\(field).tool_calls[\(index)].function", place)
        }
        var message: JSONObject = ["role": .string(role)]
        message["content"] = turn.parts.isEmpty && !turn.calls.isEmpty ? "" : .array(turn.parts)
        if !turn.reasoning.isEmpty { message["reasoning_content"] = .string(turn.reasoning) }
        if !turn.calls.isEmpty { message["tool_calls"] = .array(turn.calls) }
        messages.append(.object(message))
        turn = Turn()
    }

    private mutating func add(_ block: JSONValue, role: String, place: String, _ turn: inout Turn) throws(APIError) {
        guard let object = block.objectValue else { throw .invalid("\(place) must be an object", param: place) }
        let fields = FieldReader(object: object, prefix: place + ".")
        switch (try fields.string("type") ?? "", role) {
        case ("text", _), ("image", "user"):
            turn.places.append(place)
            turn.parts.append(try part(fields, place: place))
        case ("tool_use", "assistant"):
            let function: JSONValue = ["name": .string(try required("name", fields)), "arguments": fields.value("input") ?? [:]]
            turn.callPlaces.append(place)
            turn.calls.append(["id": .string(try required("id", fields)), "type": "function", "function": function])
        case ("thinking", "assistant"): turn.reasoning += try required("thinking", fields)
        case ("tool_result", "user"):
            if !turn.parts.isEmpty { close(&turn, role: role, place: String(place.prefix { $0 != "." })) }
            try add(result: fields, place: place)
        case ("video", _), ("video_url", _):
            throw .invalid(
                "\(place): the Messages API has no videos; send them to /v1/chat/completions or /v1/responses", param: "\(place).type",
                code: "unsupported_parameter")
        case (let type, _):
            throw .invalid(
                "\(place).type must be \(Self.parts[role] ?? "text"), not \(quoted: type)", param: "\(place).type", code: "unsupported_parameter")
        }
    }

    private func required(_ name: String, _ fields: FieldReader) throws(APIError) -> String {
        guard let text = try fields.string(name) else { throw .invalid("\(fields.prefix)\(name) is required", param: fields.prefix + name) }
        return text
    }

    private func part(_ fields: FieldReader, place: String) throws(APIError) -> JSONValue {
        switch try fields.string("type") {
        case "text"?: return ["type": "text", "text": .string(try required("text", fields))]
        case "image"?: return ["type": "image_url", "image_url": ["url": .string(try url(fields, place: place))]]
        case let type:
            throw .invalid(
                "\(place).type must be text or image, not \(quoted: type ?? "nothing")", param: "\(place).type",
                code: "unsupported_parameter")
        }
    }

    /// Where an image lies: in the request, as a `data:` URL, or elsewhere.
    private func url(_ fields: FieldReader, place: String) throws(APIError) -> String {
        guard let source = fields.value("source")?.objectValue else { throw .invalid("\(place).source must be an object", param: "\(place).source") }
        let inner = FieldReader(object: source, prefix: "\(place).source.")
        switch try inner.string("type") {
        case "base64"?:
            let kind = try required("media_type", inner)
            guard kind.hasPrefix("image/") else {
                throw .invalid("\(place).source.media_type must be an image's, not \(quoted: kind)", param: "\(place).source.media_type")
            }
            return "data:image;base64," + (try required("data", inner))
        case "url"?: return try required("url", inner)
        default: throw .invalid("\(place).source.type must be base64 or url", param: "\(place).source.type", code: "unsupported_parameter")
        }
    }

    /// What a tool answered; that it failed is told in words, for which chats have no field.
    private mutating func add(result fields: FieldReader, place: String) throws(APIError) {
        let field = "messages[\(messages.count)]"
        names.set(field, place)
        let prefix = try fields.boolean("is_error") == true ? "Error: " : ""
        var content: JSONValue = .string(prefix)
        switch fields.value("content") {
        case nil: break
        case .string(let text): content = .string(prefix + text)
        case .array(let blocks):
            var parts: [JSONValue] = prefix.isEmpty ? [] : [["type": "text", "text": .string(prefix)]]
            for (index, block) in blocks.enumerated() {
                let place = "\(place).content[\(index)]"
                guard let object = block.objectValue else { throw .invalid("\(place) must be an object", param: place) }
                names.set("\(field).content[\(parts.count)]", place)
                parts.append(try part(FieldReader(object: object, prefix: place + "."), place: place))
            }
            content = .array(parts)
        case let other?: throw fields.mismatch("content", other, "a string or a list of parts")
        }
        messages.append(["role": "tool", "tool_call_id": .string(try required("tool_use_id", fields)), "content": content])
    }
}
