internal import GuidedDecoding
internal import JSON

/// Reads the fields that say what an answer must be; all of them are names of one thing, so that one at most may be there.
struct GuideFields {
    let fields: FieldReader

    struct Choice: Sendable {
        var guide: Guide
        /// The field that said so.
        var field: String
    }

    func read() throws(APIError) -> Choice? {
        var found: [Choice] = []
        try checkBackend()
        if let choice = try responseFormat() { found.append(choice) }
        for name in ["guided_json", "guided_regex", "guided_choice", "guided_grammar"] {
            if let guide = try guide(String(name.dropFirst(7)), name, fields) { found.append(Choice(guide: guide, field: name)) }
        }
        if let choice = try structuredOutputs() { found.append(choice) }
        if found.count > 1 {
            throw .invalid("\(found[0].field) and \(found[1].field) must not both be there: each says what the answer must be", param: found[1].field)
        }
        return found.first
    }

    /// Engines by which vLLM guides answers, and what may stand behind their names. They are hints: all of them let the same texts come.
    private static let backends = ["auto", "xgrammar", "guidance", "outlines", "lm-format-enforcer"]
    private static let backendOptions = ["no-fallback"]

    private func checkBackend() throws(APIError) {
        let field = "guided_decoding_backend"
        guard let text = try fields.string(field) else { return }
        let parts = text.split(separator: ":", maxSplits: 1, omittingEmptySubsequences: false).map(String.init)
        guard Self.backends.contains(parts[0]) else {
            throw .invalid("\(field) must be one of \(Self.backends.joined(separator: ", ")), not \(quoted: text, upTo: 60)", param: field)
        }
        for option in parts.dropFirst().flatMap({ $0.split(separator: ",") }) where !Self.backendOptions.contains(String(option)) {
            throw .invalid("\(field): the option \(quoted: option, upTo: 60) is not supported, only \(Self.backendOptions.joined(separator: ", ")) is", param: field)
        }
    }

    /// What a format holds beside its type, by the type.
    private static let formats: [String: Set<String>] = ["text": [], "json_object": ["schema"], "json_schema": ["json_schema"]]

    private func responseFormat() throws(APIError) -> Choice? {
        guard let value = fields.value("response_format") else { return nil }
        guard let object = value.objectValue else { throw fields.mismatch("response_format", value, "an object") }
        let format = FieldReader(object: object, prefix: "response_format.")
        let type = try format.string("type")
        if let type, let members = Self.formats[type] {
            for (name, value) in object where !value.isNull && name != "type" && !members.contains(name) { throw .unknown(field: name, in: format.prefix) }
        }
        switch type {
        case "text"?: return nil
        case "json_object"?:
            // As llama.cpp takes it; an empty schema says no more than the type.
            guard let value = format.value("schema"), value.objectValue?.isEmpty != true else { return Choice(guide: .object, field: "response_format") }
            return Choice(guide: .schema(try schema(value, "schema", format)), field: "response_format.schema")
        case "json_schema"?:
            guard let schema = format.value("json_schema") else {
                throw .invalid("response_format.json_schema is required", param: "response_format.json_schema")
            }
            guard let members = schema.objectValue else { throw format.mismatch("json_schema", schema, "an object") }
            for name in members.keys where !["name", "description", "schema", "strict"].contains(name) {
                throw .unknown(field: name, in: "response_format.json_schema.")
            }
            guard let inner = FieldReader(object: members).value("schema") else {
                return Choice(guide: .object, field: "response_format.json_schema")
            }
            return Choice(guide: .schema(inner), field: "response_format.json_schema.schema")
        default:
            throw .invalid("response_format.type must be text, json_object or json_schema", param: "response_format.type")
        }
    }

    private func structuredOutputs() throws(APIError) -> Choice? {
        guard let value = fields.value("structured_outputs") else { return nil }
        guard let object = value.objectValue else { throw fields.mismatch("structured_outputs", value, "an object") }
        let inner = FieldReader(object: object, prefix: "structured_outputs.")
        var found: [Choice] = []
        for (name, value) in object where !value.isNull {
            switch name {
            case "json", "regex", "choice", "grammar":
                if let guide = try guide(name, name, inner) { found.append(Choice(guide: guide, field: inner.prefix + name)) }
            case "json_object":
                if try inner.boolean(name) == true { found.append(Choice(guide: .object, field: inner.prefix + name)) }
            case "disable_fallback": _ = try inner.boolean(name)
            case "disable_any_whitespace", "disable_additional_properties":
                if try inner.boolean(name) == true { throw .unsupported(inner.prefix + name, [false]) }
            case "whitespace_pattern", "structural_tag": throw .unsupported(inner.prefix + name)
            default: throw .unknown(field: name, in: inner.prefix)
            }
        }
        guard found.count == 1 else {
            throw .invalid("structured_outputs must hold one of json, regex, choice, grammar and json_object", param: "structured_outputs")
        }
        return found[0]
    }

    /// - Parameters:
    ///   - kind: how the guide is written.
    ///   - name: the field that holds it.
    private func guide(_ kind: String, _ name: String, _ fields: FieldReader) throws(APIError) -> Guide? {
        guard let value = fields.value(name) else { return nil }
        switch kind {
        case "json": return .schema(try schema(value, name, fields))
        case "regex": return try fields.string(name).map { .regex($0) }
        case "choice": return try fields.strings(name).map { .choice($0) }
        default: return try fields.string(name).map { .grammar($0) }
        }
    }

    /// A schema, or its text.
    private func schema(_ value: JSONValue, _ name: String, _ fields: FieldReader) throws(APIError) -> JSONValue {
        guard let text = value.stringValue else {
            guard value.objectValue != nil || value.boolValue != nil else { throw fields.mismatch(name, value, "a JSON Schema or its text") }
            return value
        }
        do {
            return try JSONValue(parsing: Array(text.utf8), countLimit: RequestIntake.maxBodyValues)
        } catch {
            throw .invalid("\(fields.prefix)\(name) is no JSON: \(error)", param: fields.prefix + name)
        }
    }
}
