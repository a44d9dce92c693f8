internal import Inputs
internal import JSON
internal import Plan
internal import Serving

/// Reads `messages`: texts for the chat template, images and videos as files or where they are.
struct MessageReader {
    /// Roles of the API with those of chat templates: a developer's words are a system message.
    private static let roles = [
        "system": "system", "developer": "system", "user": "user", "assistant": "assistant", "tool": "tool",
    ]
    /// Fields that would change what the model reads, and parts that it cannot read yet.
    private static let laterFields: Set<String> = ["function_call", "audio"]
    private static let laterParts: Set<String> = [
        "input_audio", "audio_url", "file", "input_file", "audio", "image", "image_pil",
    ]
    private static let laterPartFields: Set<String> = ["fps", "file_id"]

    /// Bounds of images, and frames of videos, whose parts say no others.
    private let bounds: PixelBounds
    private let sampling: FrameSampling.Request

    /// - Parameter fields: those of the body.
    init(_ fields: FieldReader) throws(APIError) {
        bounds = try PixelFields.readBody(fields)
        sampling = try VideoFields.readBody(fields)
    }

    func read(_ value: JSONValue?) throws(APIError) -> (messages: JSONValue, images: [EncodedImage]) {
        guard let value else { throw .invalid("messages is required", param: "messages") }
        guard let list = value.arrayValue else {
            throw .invalid("messages must be a list, not \(value.kind)", param: "messages")
        }
        guard !list.isEmpty else { throw .invalid("messages must not be empty", param: "messages") }
        var images: [EncodedImage] = []
        var messages: [JSONValue] = []
        for (index, message) in list.enumerated() {
            messages.append(try self.message(message, place: "messages[\(index)]", &images))
        }
        return (.array(messages), images)
    }

    private func message(
        _ value: JSONValue, place: String, _ images: inout [EncodedImage]
    ) throws(APIError) -> JSONValue {
        guard let object = value.objectValue else { throw .invalid("\(place) must be an object", param: place) }
        let fields = FieldReader(object: object, prefix: place + ".")
        for (name, value) in object where Self.laterFields.contains(name) && !value.asksForNothing {
            throw .unsupported("\(place).\(name)")
        }
        // Elsewhere they are beside the text; without them it would be answered about no image.
        for name in ["images", "image", "image_url", "video_url"] where fields.value(name).map({ !$0.asksForNothing }) == true {
            throw .invalid("\(place).\(name) is not read; images and videos are parts of content, such as {\"type\": \"image_url\", …}", param: "\(place).\(name)")
        }
        guard let name = try fields.string("role") else { throw .invalid("\(place).role is required", param: "\(place).role") }
        guard let role = Self.roles[name] else {
            throw .invalid(
                "\(place).role must be one of system, developer, user, assistant, tool, not \(quoted: name)",
                param: "\(place).role")
        }
        let content: JSONValue
        switch fields.value("content") {
        case .string(let text): content = .string(text)
        case .array(let parts):
            var read: [JSONValue] = []
            for (index, part) in parts.enumerated() {
                read.append(try self.part(part, place: "\(place).content[\(index)]", &images))
            }
            content = .array(read)
        case nil where role == "assistant": content = .string(try fields.string("refusal") ?? "")
        case nil: throw .invalid("\(place).content is required", param: "\(place).content")
        case let other?: throw fields.mismatch("content", other, "a string or a list of parts")
        }
        var read = JSONObject()
        read["role"] = .string(role)
        read["content"] = content
        read["name"] = try fields.string("name").map { .string($0) }
        if role == "tool" { read["tool_call_id"] = try fields.string("tool_call_id").map { .string($0) } }
        if role == "assistant" {
            for name in ["reasoning_content", "reasoning"] { read[name] = try fields.string(name).map { .string($0) } }
            read["tool_calls"] = try ToolCalls.read(fields)
        }
        return .object(read)
    }

    private func part(
        _ value: JSONValue, place: String, _ images: inout [EncodedImage]
    ) throws(APIError) -> JSONValue {
        if case .string = value { return ["type": "text", "text": value] }
        guard let object = value.objectValue else { throw .invalid("\(place) must be an object or a string", param: place) }
        let fields = FieldReader(object: object, prefix: place + ".")
        let implied = ["text", "image_url", "image_embeds", "video_url"].first { fields.value($0) != nil }
        guard let type = try fields.string("type") ?? implied else {
            throw .invalid("\(place).type is required", param: "\(place).type")
        }
        if ["video_url", "video", "input_video"].contains(type) {
            let field = type == "video" ? type : "video_url"
            images.append(try VideoFields(fields: fields, place: place, bounds: bounds, sampling: sampling).read(field))
            return ["type": "video"]
        }
        try checkFields(of: object, place: place)
        switch type {
        case "text", "input_text", "output_text", "refusal":
            let name = type == "refusal" ? type : "text"
            guard let text = try fields.string(name) else { throw .invalid("\(place).\(name) is required", param: "\(place).\(name)") }
            return ["type": "text", "text": .string(text)]
        case "image_url", "input_image":
            images.append(try image(object, place: place))
            return ["type": "image"]
        case "image_embeds":
            let bounds = try PixelFields.read(fields).over(bounds)
            images.append(try EmbeddedImage(fields: fields, place: place).read(bounds))
            return ["type": "image"]
        case let later where Self.laterParts.contains(later):
            throw .invalid(
                "\(place): parts of type \(later) are not supported yet", param: place, code: "unsupported_parameter")
        default:
            throw .invalid("\(place).type must be text, image_url or video_url, not \(quoted: type)", param: "\(place).type")
        }
    }

    /// What `image_url` names: an object with `url`, or the URL itself.
    private func image(_ object: JSONObject, place: String) throws(APIError) -> EncodedImage {
        guard let source = FieldReader(object: object).value("image_url") else {
            throw .invalid("\(place).image_url is required", param: "\(place).image_url")
        }
        if let detail = object["detail"] { try check(detail: detail, place: place) }
        var bounds = try PixelFields.read(FieldReader(object: object, prefix: place + ".")).over(bounds)
        var url = source.stringValue
        if let inner = source.objectValue {
            try checkFields(of: inner, place: place + ".image_url")
            let fields = FieldReader(object: inner, prefix: place + ".image_url.")
            url = try fields.string("url")
            bounds = try PixelFields.read(fields).over(bounds)
            if let detail = inner["detail"] { try check(detail: detail, place: place) }
        }
        guard let url else { throw .invalid("\(place).image_url must be a URL or an object with a url", param: place) }
        let location: ImageSource
        do throws(ImageSourceError) {
            location = try ImageSource(location: url)
        } catch {
            throw .invalid("\(place): \(error.description)", param: place, code: "invalid_image_url")
        }
        if case .file = location, !url.drop(while: \.isWhitespace).lowercased().hasPrefix("file:") {
            throw .invalid(
                "\(place): an image is a data: URL, such as data:image/png;base64,…, or an http:, https: or file: URL", param: place,
                code: "invalid_image_url")
        }
        return EncodedImage(source: location, place: place, bounds: bounds)
    }

    private func checkFields(of object: JSONObject, place: String) throws(APIError) {
        for (name, value) in object where Self.laterPartFields.contains(name) && !value.asksForNothing {
            throw .unsupported("\(place).\(name)")
        }
    }

    /// How closely to look is the model's own affair; the words are checked all the same.
    private func check(detail: JSONValue, place: String) throws(APIError) {
        guard detail.isNull || ["auto", "low", "high", "original"].contains(detail.stringValue ?? "") else {
            throw .invalid("\(place): detail must be auto, low, high or original", param: place)
        }
    }
}

/// The calls that an assistant's message in a history made.
private enum ToolCalls {
    /// The calls as templates expect them: arguments that are the JSON text of an object become that object, arguments that
    /// are missing an empty one. Nil for no calls.
    static func read(_ fields: FieldReader) throws(APIError) -> JSONValue? {
        guard let value = fields.value("tool_calls") else { return nil }
        guard let calls = value.arrayValue else { throw fields.mismatch("tool_calls", value, "a list") }
        var read: [JSONValue] = []
        for (index, call) in calls.enumerated() {
            let name = "tool_calls[\(index)]"
            guard var members = call.objectValue else { throw fields.mismatch(name, call, "an object") }
            let inner = FieldReader(object: members, prefix: "\(fields.prefix)\(name).")
            guard let value = inner.value("function"), var function = value.objectValue else {
                throw inner.mismatch("function", members["function"] ?? .null, "an object")
            }
            guard function["name"]?.stringValue != nil else {
                throw inner.mismatch("function.name", function["name"] ?? .null, "a string")
            }
            function["arguments"] = arguments(function["arguments"] ?? .null)
            members["function"] = .object(function)
            read.append(.object(members))
        }
        return read.isEmpty ? nil : .array(read)
    }

    private static func arguments(_ given: JSONValue) -> JSONValue {
        if given.isNull || given == "" { return [:] }
        guard let text = given.stringValue, let object = try? JSONValue(parsing: Array(text.utf8), countLimit: RequestIntake.maxBodyValues),
            object.objectValue != nil
        else { return given }
        return object
    }
}
