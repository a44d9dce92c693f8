internal import JSON

/// Schemas that hold exactly where others do not, of those for which that is a schema again.
enum SchemaNegation {
    private static let kinds = SchemaFacets.Kind.allCases.map(\.rawValue).filter { $0 != "integer" }
    /// How deeply schemas that are denied may nest.
    private static let maxDepth = 16

    /// The strings that `enum` or `const` names, and whether null is among its values; nil for any other schema.
    static func deniedTexts(_ schema: JSONValue) -> (texts: [String], hasNull: Bool)? {
        let keywords = said(schema)
        guard keywords.count == 1, let (name, value) = keywords.first else { return nil }
        guard let values = name == "const" ? [value] : name == "enum" ? value.arrayValue : nil, !values.isEmpty else { return nil }
        let texts = values.compactMap(\.stringValue)
        let nulls = values.count(where: \.isNull)
        return texts.count + nulls == values.count ? (texts, nulls > 0) : nil
    }

    /// Nil where that is not known.
    static func negated(_ schema: JSONValue, depth: Int = 0) -> JSONValue? {
        if let all = schema.boolValue { return .bool(!all) }
        guard schema.objectValue != nil, depth < maxDepth else { return nil }
        let keywords = said(schema)
        if keywords.isEmpty { return false }
        if deniedTexts(schema) != nil { return ["not": schema] }
        if keywords.count == 1, let value = schema["const"]?.boolValue {
            return ["anyOf": [["const": .bool(!value)], ["type": .array(kinds.filter { $0 != "boolean" }.map { .string($0) })]]]
        }
        if keywords.count == 1, let value = schema["not"] { return value }
        if keywords.count == 1, let value = schema["type"] { return other(than: value) }
        return negatedObject(schema, keywords, depth: depth)
    }

    /// What a schema says of values.
    private static func said(_ schema: JSONValue) -> [(String, JSONValue)] {
        (schema.objectValue ?? JSONObject()).filter { !SchemaReader.isNote($0.0) }
    }

    private static func other(than type: JSONValue) -> JSONValue? {
        let names = (type.arrayValue ?? [type]).compactMap(\.stringValue)
        // Numbers that are not whole are no kind.
        guard !names.contains("integer") || names.contains("number"), names.allSatisfy({ SchemaFacets.Kind(rawValue: $0) != nil }) else { return nil }
        let rest = kinds.filter { !names.contains($0) }
        return rest.isEmpty ? false : ["type": .array(rest.map { .string($0) })]
    }

    /// Of a schema of members: one that must be there is not, or one is there and wrong, or it is no object and must be one.
    private static func negatedObject(_ schema: JSONValue, _ keywords: [(String, JSONValue)], depth: Int) -> JSONValue? {
        guard keywords.allSatisfy({ ["type", "required", "properties"].contains($0.0) }) else { return nil }
        var ways: [JSONValue] = []
        if let type = schema["type"] {
            guard type == "object", let other = other(than: type) else { return nil }
            ways.append(other)
        }
        for name in schema["required"]?.arrayValue ?? [] {
            guard let name = name.stringValue else { return nil }
            ways.append(["type": "object", "properties": .object(JSONObject([(name, .bool(false))]))])
        }
        for (name, inner) in schema["properties"]?.objectValue ?? JSONObject() {
            guard let wrong = negated(inner, depth: depth + 1) else { return nil }
            ways.append(["type": "object", "required": [.string(name)], "properties": .object(JSONObject([(name, wrong)]))])
        }
        return ways.isEmpty ? false : ["anyOf": .array(ways)]
    }
}
