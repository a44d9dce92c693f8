internal import JSON

/// What is taken of a field that this server knows and does not have, and why there is no more.
///
/// Null, and lists and objects in which nothing stands, ask for nothing.
struct Unbuilt: Sendable, ExpressibleByArrayLiteral {
    /// Other values that ask for nothing.
    var accepted: [JSONValue]
    /// Follows a colon.
    var reason: String?
    /// Whether an empty list or object is a wish.
    var meansEmpty = false
    /// What Anthropic's clients are told in `error.details`.
    var details: JSONValue?

    init(_ accepted: [JSONValue] = [], because reason: String, meansEmpty: Bool = false, details: JSONValue? = nil) {
        (self.accepted, self.reason, self.meansEmpty, self.details) = (accepted, reason, meansEmpty, details)
    }

    init(arrayLiteral accepted: JSONValue...) { self.accepted = accepted }

    func accepts(_ value: JSONValue) -> Bool {
        if value.asksForNothing, !meansEmpty || value.isNull { return true }
        return accepted.contains { one in
            if let number = one.doubleValue { number == value.doubleValue } else { one == value }
        }
    }

    /// The same as a schema.
    var schema: JSONValue {
        let description = JSONValue.string("Not built: only what asks for nothing is taken." + (reason.map { " \($0.prefix(1).uppercased())\($0.dropFirst())." } ?? ""))
        if meansEmpty { return ["enum": .array(accepted + [.null]), "description": description] }
        let nothing: JSONValue = ["$ref": "#/components/schemas/Nothing"]
        return ["anyOf": accepted.isEmpty ? [nothing] : [["enum": .array(accepted)], nothing], "description": description]
    }
}

extension JSONValue {
    /// Whether it says nothing: null, an empty list, or an object whose members say nothing.
    var asksForNothing: Bool {
        switch self {
        case .null: true
        case .array(let values): values.isEmpty
        case .object(let members): members.values.allSatisfy(\.asksForNothing)
        case .bool, .int, .wide, .double, .string: false
        }
    }
}

extension APIError {
    /// A field of the surface that this server does not have, beyond the values that ask for nothing.
    static func unsupported(_ field: String, _ unbuilt: Unbuilt = []) -> APIError {
        let values = unbuilt.accepted.map(\.serializedText).joined(separator: " or ")
        let text: ErrorText =
            switch (unbuilt.accepted.isEmpty, unbuilt.reason) {
            case (true, nil): "\(field) is not supported yet; leave it out"
            case (true, let reason?): "\(field) is not supported: \(reason)"
            case (false, nil): "\(field) must be \(values); other values are not supported yet"
            case (false, let reason?): "\(field) must be \(values), and others are not supported: \(reason)"
            }
        var error = invalid(text, param: field, code: "unsupported_parameter")
        error.details = unbuilt.details
        return error
    }
}
