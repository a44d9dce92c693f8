internal import JSON

extension TemplateEvaluator {
    /// Whether the test of that name holds for the value.
    func holds(_ name: String, of value: JinjaValue, _ arguments: JinjaArguments) throws(ChatTemplateError) -> Bool {
        if let objection = TemplateSignatures.objection(toTest: name, arguments) { throw failure(objection) }
        switch name {
        case "defined": return !value.isUndefined
        case "undefined": return value.isUndefined
        case "none": if case .none = value { return true } else { return false }
        case "boolean": if case .bool = value { return true } else { return false }
        case "true": if case .bool(true) = value { return true } else { return false }
        case "false": if case .bool(false) = value { return true } else { return false }
        case "integer": if case .int = value { return true } else { return value.isWide }
        case "float": if case .float = value { return true } else { return false }
        case "number": return value.isNumber
        case "string": if case .string = value { return true } else { return false }
        case "mapping": if case .dictionary = value { return true } else { return false }
        case "iterable": return value.isIterable
        case "sequence": return value.isSequence
        case "callable":
            switch value {
            case .callable, .loop, .undefined: return true
            default: return false
            }
        case "lower", "upper":
            let text = try text(value)
            try spend(text.utf8.count / 16)
            return (name == "lower" ? text.lowercased() : text.uppercased()).isExactly(text) && text.contains(where: \.isCased)
        case "escaped": return value.isSafeText
        case "filter", "test":
            guard case .string(let other, _) = value else { return false }
            return (name == "filter" ? TemplateFilters.names : Self.testNames).contains(other)
        case "odd", "even", "divisibleby": return try holdsOfNumber(name, value, arguments)
        default: return try holdsBetween(name, value, arguments)
        }
    }

    private func holdsOfNumber(
        _ name: String, _ value: JinjaValue, _ arguments: JinjaArguments
    ) throws(ChatTemplateError) -> Bool {
        let divisor = name == "divisibleby" ? arguments.value(0, "num") ?? .undefined("num") : .int(2)
        let remainder = try calculate(value, .modulo, divisor)
        return remainder.equals(.int(name == "odd" ? 1 : 0))
    }

    private func holdsBetween(
        _ name: String, _ value: JinjaValue, _ arguments: JinjaArguments
    ) throws(ChatTemplateError) -> Bool {
        guard Self.testNames.contains(name) else { throw failure("there is no test '\(name)'") }
        guard let other = arguments.value(0, "other") ?? arguments.value(0, "seq") else {
            throw failure("the test '\(name)' needs an argument")
        }
        switch name {
        case "==", "eq", "equalto": return try isEqual(value, other)
        case "!=", "ne": return !(try isEqual(value, other))
        case ">", "gt", "greaterthan": return try compare(value, .greater, other)
        case ">=", "ge": return try compare(value, .greaterOrEqual, other)
        case "<", "lt", "lessthan": return try compare(value, .less, other)
        case "<=", "le": return try compare(value, .lessOrEqual, other)
        case "in": return try compare(value, .contained, other)
        default: return try isSame(value, other)
        }
    }

    /// Python's `is`, as far as values without identity have one.
    private func isSame(_ value: JinjaValue, _ other: JinjaValue) throws(ChatTemplateError) -> Bool {
        guard value.typeName == other.typeName else { return false }
        return try isEqual(value, other)
    }

    static let testNames: Set<String> = [
        "defined", "undefined", "none", "boolean", "true", "false", "integer", "float", "number", "string", "mapping",
        "iterable", "sequence", "callable", "lower", "upper", "escaped", "filter", "test", "odd", "even", "divisibleby", "==",
        "eq", "equalto", "!=", "ne", ">", "gt", "greaterthan", ">=", "ge", "<", "lt", "lessthan", "<=", "le", "in", "sameas",
    ]
}
