internal import JSON

extension SchemaReader {
    /// A text that other schemas have only where they say the same of a value, whatever they are called; nil for what holds more than plain
    /// values and lists of them.
    func shape(of schemas: [Int]) -> String? {
        var parts: [String] = []
        for schema in schemas {
            guard let shape = ownShape(of: schema) else { return nil }
            parts.append(shape)
        }
        return parts.joined(separator: "\n")
    }

    /// How deeply choices and lists may nest, and how many branches a choice may have.
    private static let maxShapeDepth = 4
    private static let maxShapeBranches = 16

    /// Keywords whose values say all by themselves.
    private static let plainKeywords: Set<String> = [
        "type", "enum", "const", "$ref", "minLength", "maxLength", "pattern", "format", "minimum", "maximum", "exclusiveMinimum",
        "exclusiveMaximum", "multipleOf", "minItems", "maxItems", "uniqueItems",
    ]

    static func shape(_ schema: JSONValue, depth: Int = 0) -> JSONValue? {
        guard depth <= maxShapeDepth else { return nil }
        guard let object = schema.objectValue else { return schema.boolValue == nil ? nil : schema }
        var said = JSONObject()
        for (name, value) in object where !isNote(name) {
            switch name {
            case "anyOf", "oneOf", "allOf":
                guard let branches = value.arrayValue, branches.count <= maxShapeBranches else { return nil }
                let shapes = branches.compactMap { shape($0, depth: depth + 1) }
                guard shapes.count == branches.count else { return nil }
                said[name] = .array(shapes)
            case "items":
                guard let shape = shape(value, depth: depth + 1) else { return nil }
                said[name] = shape
            default:
                guard plainKeywords.contains(name), (value.arrayValue ?? [value]).allSatisfy({ $0.arrayValue == nil && $0.objectValue == nil }) else { return nil }
                said[name] = value
            }
        }
        return .object(said)
    }
}
