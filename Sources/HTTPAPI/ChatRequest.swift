internal import Inputs
internal import Serving

/// A request for a chat completion, checked.
struct ChatRequest: Sendable {
    var model: String
    /// In the chat template's form: a picture is `{"type": "image"}`.
    var messages: JSONValue
    var pictures: [EncodedPicture]
    var sampling: SamplingParameters
    /// Nil for as many as the context holds.
    var maxTokens: Int?
    var stops: [String]
    var ignoresEnd: Bool
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
            throw .invalid(error.description, code: "invalid_json")
        }
        guard let object = json.objectValue else {
            throw .invalid("the body must be a JSON object, not a \(json.kindName)")
        }
        let fields = FieldReader(object: object)
        try ChatFields.check(object)
        guard let model = try fields.string("model") else { throw .invalid("model is required", param: "model") }
        self.model = model
        let reader = MessageReader()
        (messages, pictures) = try reader.read(fields.value("messages"))
        sampling = try Self.sampling(fields, defaults: defaults, seed: seed)
        maxTokens = try Self.maxTokens(fields)
        stops = try Self.stops(fields)
        ignoresEnd = try fields.boolean("ignore_eos") ?? false
        streams = try fields.boolean("stream") ?? false
        includesUsage = try Self.includesUsage(fields, streams: streams)
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
            guard topK == -1 || topK >= 1 else {
                throw .invalid("top_k must be -1 (all) or at least 1, not \(topK)", param: "top_k")
            }
            sampling.topK = max(topK, 0)
        }
        if let value = try fields.number("repetition_penalty", "above 0 and at most 2", { $0 > 0 && $0 <= 2 }) {
            sampling.repetitionPenalty = Float(value)
        }
        sampling.seed = try fields.integer("seed").map { UInt64(bitPattern: Int64($0)) } ?? seed
        return sampling
    }

    private static func maxTokens(_ fields: FieldReader) throws(APIError) -> Int? {
        var result: Int?
        for name in ["max_tokens", "max_completion_tokens"] {
            guard let count = try fields.integer(name) else { continue }
            guard count >= 1 else { throw .invalid("\(name) must be at least 1, not \(count)", param: name) }
            result = count
        }
        return result
    }

    private static func stops(_ fields: FieldReader) throws(APIError) -> [String] {
        guard let value = fields.value("stop") else { return [] }
        let values = value.arrayValue ?? [value]
        let stops = values.compactMap(\.stringValue)
        guard stops.count == values.count else { throw fields.mismatch("stop", value, "a string or a list of strings") }
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
        guard streams else {
            throw .invalid("stream_options is only allowed when stream is true", param: "stream_options")
        }
        let reader = FieldReader(object: options, prefix: "stream_options.")
        for name in options.keys where name != "include_usage" {
            guard name == "continuous_usage_stats" || name == "include_obfuscation" else {
                throw .unknown(field: name, in: "stream_options.")
            }
            if try reader.boolean(name) == true { throw .unsupported("stream_options.\(name)") }
        }
        return try reader.boolean("include_usage") ?? false
    }
}
