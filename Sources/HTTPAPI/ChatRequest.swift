internal import Inputs
internal import JSON
internal import Serving

/// A request for a chat completion, checked.
struct ChatRequest: Sendable {
    var model: String
    /// In the chat template's form: an image is `{"type": "image"}`.
    var messages: JSONValue
    var images: [EncodedImage]
    var sampling: SamplingParameters
    /// Nil for the model's own number, and at most what the context holds.
    var maxTokens: Int?
    /// The field that set it.
    var maxTokensField = "max_tokens"
    var stops: [String]
    var ignoresEnd: Bool
    /// Requests of another salt share no cached prompts and images with this one.
    var cacheSalt: String
    var streams: Bool
    var includesUsage: Bool

    /// Most stop strings, and most bytes of one.
    static let maxStops = 16
    static let maxStopBytes = 1024

    /// Reads a request's JSON.
    ///
    /// - Parameters:
    ///   - maxValues: most values of the JSON document.
    ///   - defaults: the model's own sampling.
    ///   - seed: used when the request gives none.
    init(_ body: [UInt8], maxValues: Int, defaults: SamplingParameters, seed: UInt64) throws(APIError) {
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
        (messages, images) = try reader.read(fields.value("messages"))
        sampling = try Self.sampling(fields, defaults: defaults, seed: seed)
        if let limit = try Self.maxTokens(fields) {
            maxTokensField = limit.field
            maxTokens = limit.count
        }
        stops = try Self.stops(fields)
        ignoresEnd = try fields.boolean("ignore_eos") ?? false
        cacheSalt = try fields.string("cache_salt") ?? ""
        streams = try fields.boolean("stream") ?? false
        includesUsage = try Self.includesUsage(fields, streams: streams)
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

    private static func sampling(
        _ fields: FieldReader, defaults: SamplingParameters, seed: UInt64
    ) throws(APIError) -> SamplingParameters {
        var sampling = defaults
        if let value = try fields.number("temperature", "at least 0", { $0 >= 0 && $0.isFinite }) {
            sampling.temperature = Float(value)
        }
        if let value = try fields.number("top_p", "above 0 and at most 1", { $0 > 0 && $0 <= 1 }) {
            sampling.topP = Float(value)
        }
        if let topK = try fields.integer("top_k") {
            guard topK >= -1 else {
                throw .invalid("top_k must be -1 or 0 (all), or at least 1, not \(topK)", param: "top_k")
            }
            sampling.topK = max(topK, 0)
        }
        if let value = try fields.number("repetition_penalty", "above 0 and at most 2", { $0 > 0 && $0 <= 2 }) {
            sampling.repetitionPenalty = Float(value)
        }
        sampling.seed = try fields.integer("seed").map { UInt64(bitPattern: Int64($0)) } ?? seed
        return sampling
    }

    private static func maxTokens(_ fields: FieldReader) throws(APIError) -> (field: String, count: Int)? {
        var result: (String, Int)?
        for name in ["max_tokens", "max_completion_tokens"] {
            guard let count = try fields.integer(name) else { continue }
            guard count >= 1 else { throw .invalid("\(name) must be at least 1, not \(count)", param: name) }
            result = (name, count)
        }
        return result
    }

    private static func stops(_ fields: FieldReader) throws(APIError) -> [String] {
        guard let value = fields.value("stop") else { return [] }
        let values = value.arrayValue ?? [value]
        if value.arrayValue == nil, value.stringValue == nil {
            throw fields.mismatch("stop", value, "a string or a list of strings")
        }
        var stops: [String] = []
        for (index, value) in values.enumerated() {
            guard let stop = value.stringValue else { throw fields.mismatch("stop[\(index)]", value, "a string", param: "stop") }
            stops.append(stop)
        }
        guard !stops.contains("") else { throw .invalid("stop must not hold an empty string", param: "stop") }
        guard stops.count <= maxStops else {
            throw .invalid("stop holds \(stops.count) strings, more than \(maxStops)", param: "stop")
        }
        guard stops.allSatisfy({ $0.utf8.count <= maxStopBytes }) else {
            throw .invalid("stop holds a string of more than \(maxStopBytes) bytes", param: "stop")
        }
        return stops
    }

    private static func includesUsage(_ fields: FieldReader, streams: Bool) throws(APIError) -> Bool {
        guard let value = fields.value("stream_options") else { return false }
        guard let options = value.objectValue else { throw fields.mismatch("stream_options", value, "an object") }
        let reader = FieldReader(object: options, prefix: "stream_options.")
        for (name, value) in options where name != "include_usage" && !value.isNull {
            guard name == "continuous_usage_stats" || name == "include_obfuscation" else {
                throw .unknown(field: name, in: "stream_options.")
            }
            if try reader.boolean(name) == true { throw .unsupported("stream_options.\(name)", possible: [false]) }
        }
        let includesUsage = try reader.boolean("include_usage") ?? false
        guard streams || !includesUsage else {
            throw .invalid("stream_options is only allowed when stream is true", param: "stream_options")
        }
        return includesUsage
    }
}
