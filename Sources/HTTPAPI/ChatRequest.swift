internal import Inputs
internal import JSON
internal import Serving

/// A request for a chat completion, checked.
struct ChatRequest: Sendable {
    var model: String
    /// In the chat template's form: a picture is `{"type": "image"}`.
    var messages: JSONValue
    var pictures: [EncodedPicture]
    var options: AnswerOptions

    /// Reads a request's JSON.
    ///
    /// - Parameters:
    ///   - maxValues: most values of the JSON document.
    init(_ body: [UInt8], maxValues: Int, _ surroundings: AnswerOptions.Surroundings) throws(APIError) {
        let json: JSONValue
        do {
            json = try JSONValue(parsing: body, countLimit: maxValues)
        } catch {
            throw Self.foreignForm(body) ?? .invalid(error.description, code: "invalid_json")
        }
        guard let object = json.objectValue else {
            throw .invalid("the body must be a JSON object, not \(json.kind)")
        }
        let fields = FieldReader(object: object)
        try ChatFields.check(object)
        guard let model = try fields.string("model") else { throw .invalid("model is required", param: "model") }
        self.model = model
        let reader = MessageReader()
        (messages, pictures) = try reader.read(fields.value("messages"))
        options = try AnswerOptions(fields, surroundings)
    }

    /// Tells whoever posts a form, by the first bytes of a body that is no JSON; nil for other bodies.
    private static func foreignForm(_ body: [UInt8]) -> APIError? {
        let isMultipart = body.starts(with: Array("--".utf8))
        let name = body.prefix { (0x21...0x7E).contains($0) && $0 != UInt8(ascii: "=") && !"{}[]\"".utf8.contains($0) }
        guard isMultipart || !name.isEmpty && body.dropFirst(name.count).first == UInt8(ascii: "=") else { return nil }
        return .invalid(
            "the body is a \(isMultipart ? "multipart" : "URL-encoded") form; send JSON with Content-Type: application/json",
            code: "unsupported_media_type", status: 415)
    }
}
