import JSON

/// Checks documents against JSON Schemas, without a thought of how texts are made: it walks the document with the schema.
struct SchemaChecker {
    let root: JSONValue
    var patterns: (String, String) -> Bool

    func isValid(_ value: JSONValue, _ schema: JSONValue) -> Bool {
        if let all = schema.boolValue { return all }
        guard let object = schema.objectValue else { return false }
        if let reference = object["$ref"]?.stringValue, !isValid(value, target(reference)) { return false }
        if let names = object["type"], !(names.arrayValue ?? [names]).contains(where: { isOf(value, $0.stringValue ?? "") }) { return false }
        if let values = object["enum"]?.arrayValue, !values.contains(where: { same($0, value) }) { return false }
        if let only = object["const"], !same(only, value) { return false }
        if let all = object["allOf"]?.arrayValue, !all.allSatisfy({ isValid(value, $0) }) { return false }
        if let any = object["anyOf"]?.arrayValue, !any.contains(where: { isValid(value, $0) }) { return false }
        if let denied = object["not"], isValid(value, denied) { return false }
        if let condition = object["if"], !isValid(value, object[isValid(value, condition) ? "then" : "else"] ?? true) { return false }
        if let one = object["oneOf"]?.arrayValue, one.count(where: { isValid(value, $0) }) != 1 { return false }
        switch value {
        case .string(let text): return check(text, object)
        case .int, .double, .wide: return check(number: value.doubleValue ?? 0, object)
        case .array(let elements): return check(elements, object)
        case .object(let members): return check(members, object)
        case .null, .bool: return true
        }
    }

    private func target(_ reference: String) -> JSONValue {
        reference.split(separator: "/").dropFirst().reduce(root) { found, name in found[String(name).replacing("~1", with: "/")] ?? false }
    }

    private func isOf(_ value: JSONValue, _ type: String) -> Bool {
        switch (type, value) {
        case ("null", .null), ("boolean", .bool), ("string", .string), ("array", .array), ("object", .object): true
        case ("number", .int), ("number", .double), ("number", .wide), ("integer", .int), ("integer", .wide): true
        case ("integer", .double(let number)): number == number.rounded()
        default: false
        }
    }

    private func same(_ left: JSONValue, _ right: JSONValue) -> Bool {
        if let first = left.doubleValue, let second = right.doubleValue { return first == second }
        return left == right
    }

    private func check(_ text: String, _ schema: JSONObject) -> Bool {
        let count = text.unicodeScalars.count
        if let least = schema["minLength"]?.intValue, count < least { return false }
        if let most = schema["maxLength"]?.intValue, count > most { return false }
        if let pattern = schema["pattern"]?.stringValue, !patterns(pattern, text) { return false }
        return true
    }

    private func check(number: Double, _ schema: JSONObject) -> Bool {
        if let least = schema["minimum"]?.doubleValue, number < least { return false }
        if let most = schema["maximum"]?.doubleValue, number > most { return false }
        if let least = schema["exclusiveMinimum"]?.doubleValue, number <= least { return false }
        if let most = schema["exclusiveMaximum"]?.doubleValue, number >= most { return false }
        if let step = schema["multipleOf"]?.doubleValue {
            let quotient = number / step
            if abs(quotient - quotient.rounded()) > 1e-9 * max(1, abs(quotient)) { return false }
        }
        return true
    }

    private func check(_ elements: [JSONValue], _ schema: JSONObject) -> Bool {
        if let least = schema["minItems"]?.intValue, elements.count < least { return false }
        if let most = schema["maxItems"]?.intValue, elements.count > most { return false }
        if let wanted = schema["contains"], !elements.contains(where: { isValid($0, wanted) }) { return false }
        if schema["uniqueItems"] == true {
            for (index, element) in elements.enumerated() where elements[..<index].contains(where: { same($0, element) }) { return false }
        }
        let prefix = schema["prefixItems"]?.arrayValue ?? []
        for (index, element) in elements.enumerated() {
            if !isValid(element, index < prefix.count ? prefix[index] : schema["items"] ?? true) { return false }
        }
        return true
    }

    private func check(_ members: JSONObject, _ schema: JSONObject) -> Bool {
        if let most = schema["maxProperties"]?.intValue, members.count > most { return false }
        for name in schema["required"]?.arrayValue ?? [] where members[name.stringValue ?? ""] == nil { return false }
        if let least = schema["minProperties"]?.intValue, members.count < least { return false }
        for (name, others) in schema["dependentRequired"]?.objectValue ?? JSONObject() where members[name] != nil {
            for other in others.arrayValue ?? [] where members[other.stringValue ?? ""] == nil { return false }
        }
        for (name, value) in members {
            if let names = schema["propertyNames"], !isValid(.string(name), names) { return false }
            var schemas: [JSONValue] = []
            for (pattern, inner) in schema["patternProperties"]?.objectValue ?? JSONObject() where patterns(pattern, name) { schemas.append(inner) }
            if let named = schema["properties"]?.objectValue?[name] { schemas.append(named) }
            if schemas.isEmpty, let others = schema["additionalProperties"] { schemas = [others] }
            guard schemas.allSatisfy({ isValid(value, $0) }) else { return false }
        }
        return true
    }
}
