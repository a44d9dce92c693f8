internal import Inputs
internal import JSON
internal import Serving

/// Reads members of a JSON object with errors that name them; null counts as absent.
struct FieldReader {
    let object: JSONObject
    /// Put before names in errors, such as `stream_options.`.
    var prefix = ""

    func value(_ name: String) -> JSONValue? {
        guard let value = object[name], !value.isNull else { return nil }
        return value
    }

    func boolean(_ name: String) throws(APIError) -> Bool? {
        guard let value = value(name) else { return nil }
        guard let boolean = value.boolValue else { throw mismatch(name, value, "a boolean") }
        return boolean
    }

    func string(_ name: String) throws(APIError) -> String? {
        guard let value = value(name) else { return nil }
        guard let string = value.stringValue else { throw mismatch(name, value, "a string") }
        return string
    }

    /// A list of strings, or with `orOne` a string for a list of one.
    func strings(_ name: String, orOne: Bool = false) throws(APIError) -> [String]? {
        guard let value = value(name) else { return nil }
        if orOne, let string = value.stringValue { return [string] }
        guard let values = value.arrayValue else {
            throw mismatch(name, value, orOne ? "a string or a list of strings" : "a list of strings")
        }
        var strings: [String] = []
        for (index, value) in values.enumerated() {
            guard let string = value.stringValue else { throw mismatch("\(name)[\(index)]", value, "a string", param: name) }
            strings.append(string)
        }
        return strings
    }

    func integer(_ name: String) throws(APIError) -> Int? {
        guard let value = value(name) else { return nil }
        guard let integer = value.intValue else { throw mismatch(name, value, "a whole number of 64 bits") }
        return integer
    }

    /// A number for which `isAllowed` holds; `range` says in words which those are.
    func number(_ name: String, _ range: String, _ isAllowed: (Double) -> Bool) throws(APIError) -> Double? {
        guard let value = value(name) else { return nil }
        guard let number = value.doubleValue else { throw mismatch(name, value, "a number") }
        guard isAllowed(number) else { throw outOfRange(name, value, range) }
        return number
    }

    func number(_ name: String, _ bound: SamplingBound) throws(APIError) -> Double? {
        try number(name, value(name)?.doubleValue.map { bound.words(for: $0) } ?? bound.words, bound.holds)
    }

    /// - Parameter param: the field to name where it is not `name`.
    func mismatch(_ name: String, _ value: JSONValue, _ expected: String, param: String? = nil) -> APIError {
        let found: ErrorText =
            switch value {
            case .null: "null"
            case .int, .wide, .double: "\(quoted: value.serializedText)"
            case .array, .object, .bool, .string: "\(value.kind)"
            }
        return .invalid("\(prefix)\(name) must be \(expected), not \(found)", param: prefix + (param ?? name))
    }

    func outOfRange(_ name: String, _ value: JSONValue, _ range: String) -> APIError {
        .invalid("\(prefix)\(name) must be \(range), not \(value.serializedText.prefix(40))", param: prefix + name)
    }
}
