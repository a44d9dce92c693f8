package import JSON

/// Arguments that a model wrote bare, between tags: strings as they are, other values as JSON or as Python writes them.
package struct BareArguments: Sendable {
    private let parameters: JSONValue

    /// - Parameter parameters: the JSON Schema of the arguments, which says what is a string.
    package init(_ parameters: JSONValue) { self.parameters = parameters }

    /// The JSON text of an argument: a value of a kind that its schema names, else a string.
    package func json(_ name: String, _ text: String) -> String {
        value(name, text)?.serializedText ?? JSONValue.string(text).serializedText
    }

    /// Whether strings may come for an argument, which then ends where its tag does.
    package func takesStrings(_ name: String) -> Bool {
        guard let schema = parameters["properties"]?[name] else { return true }
        return kinds(of: schema)?.contains(.string) ?? true
    }

    /// Nil for a string.
    private func value(_ name: String, _ text: String) -> JSONValue? {
        guard let schema = parameters["properties"]?[name] else { return nil }
        let kinds = kinds(of: schema)
        guard kinds != [.string] else { return nil }
        let word = text.drop(while: \.isWhitespace).reversed().drop(while: \.isWhitespace).reversed()
        guard let value = Self.python[String(word)] ?? (try? JSONValue(parsing: String(word))), value.stringValue == nil else { return nil }
        return kinds.map { $0.isDisjoint(with: SchemaFacets.kinds(of: value)) } ?? false ? nil : value
    }

    private static let python: [String: JSONValue] = ["True": true, "False": false, "None": .null]

    /// The kinds of value that an argument's schema names; nil where it names none.
    private func kinds(of schema: JSONValue) -> Set<SchemaFacets.Kind>? {
        var followed: Set<String> = []
        return kinds(of: schema, &followed)
    }

    /// - Parameter followed: references that were looked at, each once: schemas may refer to themselves in many places.
    private func kinds(of schema: JSONValue, _ followed: inout Set<String>) -> Set<SchemaFacets.Kind>? {
        if let place = schema["$ref"]?.stringValue {
            guard let target = target(of: place) else { return nil }
            return followed.insert(place).inserted ? kinds(of: target, &followed) : []
        }
        if let value = schema["const"] { return SchemaFacets.kinds(of: value) }
        if let values = schema["enum"]?.arrayValue { return values.reduce(into: []) { $0.formUnion(SchemaFacets.kinds(of: $1)) } }
        if let type = schema["type"] {
            let names = type.arrayValue ?? [type]
            return Set(names.compactMap { $0.stringValue.flatMap(SchemaFacets.Kind.init) })
        }
        if let schemas = (schema["anyOf"] ?? schema["oneOf"])?.arrayValue {
            var all: Set<SchemaFacets.Kind> = []
            for schema in schemas {
                guard let kinds = kinds(of: schema, &followed) else { return nil }
                all.formUnion(kinds)
            }
            return all
        }
        for schema in schema["allOf"]?.arrayValue ?? [] { if let kinds = kinds(of: schema, &followed) { return kinds } }
        return nil
    }

    private func target(of place: String) -> JSONValue? {
        guard place.hasPrefix("#") else { return nil }
        var target = parameters
        for part in place.dropFirst().split(separator: "/") {
            guard let next = target[String(part).replacing("~1", with: "/").replacing("~0", with: "~")] else { return nil }
            target = next
        }
        return target
    }
}
