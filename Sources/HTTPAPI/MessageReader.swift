internal import Inputs
internal import Serving

/// Reads `messages`: texts for the chat template, pictures as files.
struct MessageReader {
    /// Roles of the API with those of chat templates: a developer's words are a system message.
    private static let roles = [
        "system": "system", "developer": "system", "user": "user", "assistant": "assistant", "tool": "tool",
    ]
    /// Message fields beyond `role`, `content` and `name`, which templates do not show.
    private static let laterFields: Set<String> = [
        "tool_calls", "tool_call_id", "function_call", "refusal", "audio", "reasoning_content", "reasoning",
        "annotations",
    ]
    private static let laterParts: Set<String> = [
        "image_embeds", "input_audio", "video_url", "audio_url", "file", "refusal", "video", "audio", "image", "image_pil",
    ]

    func read(_ value: JSONValue?) throws(APIError) -> (messages: JSONValue, pictures: [EncodedPicture]) {
        guard let value else { throw .invalid("messages is required", param: "messages") }
        guard let list = value.arrayValue else {
            throw .invalid("messages must be a list, not a \(value.kindName)", param: "messages")
        }
        guard !list.isEmpty else { throw .invalid("messages must not be empty", param: "messages") }
        var pictures: [EncodedPicture] = []
        var messages: [JSONValue] = []
        for (index, message) in list.enumerated() {
            messages.append(try self.message(message, place: "messages[\(index)]", &pictures))
        }
        return (.array(messages), pictures)
    }

    private func message(
        _ value: JSONValue, place: String, _ pictures: inout [EncodedPicture]
    ) throws(APIError) -> JSONValue {
        guard let object = value.objectValue else { throw .invalid("\(place) must be an object", param: place) }
        let fields = FieldReader(object: object, prefix: place + ".")
        for (name, value) in object where !["role", "content", "name"].contains(name) && !value.isNull {
            guard Self.laterFields.contains(name) else {
                throw .unknown(field: name, in: place + ".")
            }
            if value.arrayValue?.isEmpty != true { throw .unsupported("\(place).\(name)") }
        }
        _ = try fields.string("name")
        guard let name = try fields.string("role") else { throw .invalid("\(place).role is required", param: "\(place).role") }
        guard let role = Self.roles[name] else {
            throw .invalid(
                "\(place).role must be one of system, developer, user, assistant, tool, not \(name.prefix(40))",
                param: "\(place).role")
        }
        let content: JSONValue
        switch fields.value("content") {
        case .string(let text): content = .string(text)
        case .array(let parts):
            var read: [JSONValue] = []
            for (index, part) in parts.enumerated() {
                read.append(try self.part(part, place: "\(place).content[\(index)]", &pictures))
            }
            content = .array(read)
        case nil where role == "assistant": content = ""
        case nil: throw .invalid("\(place).content is required", param: "\(place).content")
        case let other?: throw fields.mismatch("content", other, "a string or a list of parts")
        }
        return ["role": .string(role), "content": content]
    }

    private func part(
        _ value: JSONValue, place: String, _ pictures: inout [EncodedPicture]
    ) throws(APIError) -> JSONValue {
        guard let object = value.objectValue else { throw .invalid("\(place) must be an object", param: place) }
        let fields = FieldReader(object: object, prefix: place + ".")
        guard let type = try fields.string("type") else { throw .invalid("\(place).type is required", param: "\(place).type") }
        switch type {
        case "text":
            try only(["type", "text"], in: object, place: place)
            guard let text = try fields.string("text") else { throw .invalid("\(place).text is required", param: "\(place).text") }
            return ["type": "text", "text": .string(text)]
        case "image_url", "input_image":
            pictures.append(EncodedPicture(file: try picture(object, place: place), place: place))
            return ["type": "image"]
        case let later where Self.laterParts.contains(later):
            throw .invalid(
                "\(place): parts of type \(later) are not supported yet", param: place, code: "unsupported_parameter")
        default:
            throw .invalid("\(place).type must be text or image_url, not \(type.prefix(40))", param: "\(place).type")
        }
    }

    /// The file of `image_url`: an object with `url`, or the URL itself.
    private func picture(_ object: JSONObject, place: String) throws(APIError) -> [UInt8] {
        try only(["type", "image_url", "detail"], in: object, place: place)
        guard let source = FieldReader(object: object).value("image_url") else {
            throw .invalid("\(place).image_url is required", param: "\(place).image_url")
        }
        if let detail = object["detail"] { try check(detail: detail, place: place) }
        var url = source.stringValue
        if let inner = source.objectValue {
            try only(["url", "detail"], in: inner, place: place + ".image_url")
            url = try FieldReader(object: inner, prefix: place + ".image_url.").string("url")
            if let detail = inner["detail"] { try check(detail: detail, place: place) }
        }
        guard let url else { throw .invalid("\(place).image_url must be a URL or an object with a url", param: place) }
        let location: PictureSource
        do throws(PictureSourceError) {
            location = try PictureSource(location: url)
        } catch {
            throw .invalid("\(place): \(error.description)", param: place, code: "invalid_image_url")
        }
        guard case .bytes(let file) = location else {
            throw .invalid(
                "\(place): pictures by address are not supported yet; send a data: URL, such as data:image/png;base64,…",
                param: place, code: "unsupported_parameter")
        }
        return file
    }

    /// How closely to look is the model's own affair; the words are checked all the same.
    private func check(detail: JSONValue, place: String) throws(APIError) {
        guard detail.isNull || ["auto", "low", "high"].contains(detail.stringValue ?? "") else {
            throw .invalid("\(place): detail must be auto, low or high", param: place)
        }
    }

    private func only(_ names: Set<String>, in object: JSONObject, place: String) throws(APIError) {
        let later: Set<String> = ["min_pixels", "max_pixels", "uuid", "fps", "file_id", "cache_control"]
        for (name, value) in object where !names.contains(name) && !value.isNull {
            if later.contains(name) { throw .unsupported("\(place).\(name)") }
            throw .unknown(field: name, in: place + ".")
        }
    }
}
