/// The filters of Jinja that chat templates use.
enum TemplateFilters {
    static let names = TemplateSignatures.variadicFilters.union(TemplateSignatures.filters.keys)
}

extension TemplateEvaluator {
    func apply(
        _ filter: TemplateFilter, to value: JinjaValue, _ scope: TemplateScope
    ) throws(ChatTemplateError) -> JinjaValue {
        let arguments = try evaluate(filter.arguments, scope)
        line = filter.line
        return try apply(filter.name, to: value, arguments)
    }

    func apply(_ name: String, to value: JinjaValue, _ arguments: JinjaArguments) throws(ChatTemplateError) -> JinjaValue {
        try spend()
        if let objection = TemplateSignatures.objection(toFilter: name, arguments) { throw failure(objection) }
        if let result = try applyToAny(name, value, arguments) { return try checked(result) }
        if let result = try applyToText(name, value, arguments) { return try checked(result) }
        if let result = try applyToSequence(name, value, arguments) { return try checked(result) }
        if let result = try applyToNumber(name, value, arguments) { return try checked(result) }
        if name == "random" { throw failure("the filter 'random' is not allowed: a prompt must not be random") }
        throw failure("there is no filter '\(name)'")
    }

    private func applyToAny(
        _ name: String, _ value: JinjaValue, _ arguments: JinjaArguments
    ) throws(ChatTemplateError) -> JinjaValue? {
        switch name {
        case "default", "d":
            let isReplaced = value.isUndefined || ((arguments.value(1, "boolean")?.isTrue ?? false) && !value.isTrue)
            return isReplaced ? arguments.value(0, "default_value") ?? .string("") : value
        case "safe": return .string(try text(value), isSafe: true)
        case "string": return .string(try text(value), isSafe: value.isSafeText)
        case "pprint":
            try spend(JinjaValue.product(value.weight, 24))
            let shown = try represented(value.sortedByKeys)
            guard shown.unicodeScalars.count <= 80 else { throw failure("pprint of more than one line is not available") }
            return .string(shown)
        case "length", "count":
            guard let length = value.length else { throw failure("object of type '\(value.typeName)' has no len()") }
            return .int(length)
        case "tojson": return .string(try serialized(value, arguments))
        case "attr":
            guard case .string(let name, _)? = arguments.value(0, "name") else { throw failure("attr needs a name") }
            return try attribute(name, of: value) ?? .undefined("\(value.typeName) object has no attribute '\(name)'")
        default: return nil
        }
    }

    private func serialized(_ value: JinjaValue, _ arguments: JinjaArguments) throws(ChatTemplateError) -> String {
        var style = JSONStyle()
        style.isASCII = arguments.value(0, "ensure_ascii")?.isTrue ?? false
        switch arguments.value(1, "indent") {
        case .string(let indent, _)?: style.indent = indent
        case let other?:
            if let width = other.wholeNumber { style.indent = try spaces(width) }
        case nil: break
        }
        if style.indent != nil { style.itemSeparator = "," }
        if let separators = arguments.value(2, "separators"), separators.isIterable {
            let parts = try elements(separators)
            guard parts.count == 2 else { throw failure("separators are a pair") }
            style.itemSeparator = try text(parts[0])
            style.keySeparator = try text(parts[1])
        }
        style.sortsKeys = arguments.value(3, "sort_keys")?.isTrue ?? false
        var writer = PythonRepresentation(limit: sizeLimit, visits: remainingSteps)
        do {
            try writer.dump(value, style)
        } catch {
            throw failure("Object of type \(error.name) is not JSON serializable")
        }
        if writer.isCut { throw exceeded("the text of a value grows too large") }
        try spend(writer.visits + writer.output.count / 64)
        return writer.text
    }

    private func applyToText(
        _ name: String, _ value: JinjaValue, _ arguments: JinjaArguments
    ) throws(ChatTemplateError) -> JinjaValue? {
        if case .string(let text, _) = value { try spend(text.utf8.count / 16) }
        switch name {
        case "trim":
            let text = try stripped(try text(value), arguments.value(0, "chars"), left: true, right: true)
            return .string(text, isSafe: value.isSafeText)
        case "upper": return .string(try text(value).uppercased())
        case "lower": return .string(PythonText.lowercased(try text(value)))
        case "capitalize": return .string(PythonText.capitalized(try text(value)))
        case "title": return .string(titledWords(try text(value)))
        case "center":
            let width = try whole(arguments.value(0, "width") ?? .int(80))
            return .string(try padded(try text(value), width, " ", "|"))
        case "replace":
            var count = -1
            if let given = arguments.value(2, "count") {
                if case .none = given {} else { count = try whole(given) }
            }
            return .string(
                try replacing(
                    try text(value), try text(arguments.value(0, "old") ?? .undefined("old")),
                    with: try text(arguments.value(1, "new") ?? .undefined("new")), limit: count < 0 ? .max : count))
        case "e", "escape": return value.isSafeText ? value : .string(escaped(try text(value)), isSafe: true)
        case "forceescape": return .string(escaped(try text(value)), isSafe: true)
        case "format": return .string(try percentFormatted(try text(value), formatOperand(arguments)))
        case "indent", "truncate", "wordwrap":
            if name == "truncate", value.isUndefined { return .string("") }
            guard case .string(let text, _) = value else { throw failure("the filter '\(name)' takes text, not \(value.typeName)") }
            switch name {
            case "indent": return .string(try indented(text, arguments))
            case "truncate": return .string(try truncated(text, arguments))
            default: return .string(try wordWrapped(text, arguments))
            }
        case "urlencode": return .string(try urlEncoded(value))
        case "striptags": return .string(try withoutTags(try text(value)))
        case "filesizeformat":
            return .string(try fileSize(value, isBinary: arguments.value(0, "binary")?.isTrue ?? false))
        case "xmlattr": return .string(try attributes(value, spaced: arguments.value(0, "autospace")?.isTrue ?? true))
        case "wordcount": return .int(wordCount(try text(value)))
        default: return nil
        }
    }

    private func formatOperand(_ arguments: JinjaArguments) -> JinjaValue {
        if arguments.named.isEmpty { return .tuple(JinjaList(arguments.positional)) }
        var dictionary = JinjaDictionary()
        for (name, value) in arguments.named { dictionary.set(name, value) }
        return .dictionary(dictionary)
    }

    /// Words start in upper case after white space, hyphens and opening brackets.
    private func titledWords(_ text: String) -> String {
        var output = ""
        var startsWord = true
        for scalar in text.unicodeScalars {
            output += startsWord ? scalar.properties.uppercaseMapping : scalar.properties.lowercaseMapping
            startsWord = PythonText.isSpace(scalar) || "-({[<".unicodeScalars.contains(scalar)
        }
        return output
    }

    func escaped(_ text: String) -> String {
        var output = ""
        for scalar in text.unicodeScalars {
            switch scalar {
            case "&": output += "&amp;"
            case "<": output += "&lt;"
            case ">": output += "&gt;"
            case "\"": output += "&#34;"
            case "'": output += "&#39;"
            default: output.unicodeScalars.append(scalar)
            }
        }
        return output
    }

    private func indented(_ text: String, _ arguments: JinjaArguments) throws(ChatTemplateError) -> String {
        var margin = "    "
        if let width = arguments.value(0, "width") {
            if case .string(let text, _) = width {
                margin = text
            } else {
                margin = try spaces(try whole(width))
            }
        }
        let indentsFirst = arguments.value(1, "first")?.isTrue ?? false
        let indentsBlank = arguments.value(2, "blank")?.isTrue ?? false
        try spend(text.utf8.count / 4)
        let lines = PythonText.lines(text + "\n", keepingEnds: false)
        try spend(lines.count * (1 + margin.utf8.count / 64))
        try affordText(text.utf8.count + lines.count * margin.utf8.count)
        var output = lines.first ?? ""
        for line in lines.dropFirst() { output += "\n" + (line.isEmpty && !indentsBlank ? "" : margin) + line }
        return (indentsFirst ? margin : "") + output
    }

    /// So many spaces; none for less than none.
    private func spaces(_ count: Int) throws(ChatTemplateError) -> String {
        try affordText(count)
        try spend(max(0, count) / 64)
        return PythonText.repeated(" ", count)
    }

    private func truncated(_ text: String, _ arguments: JinjaArguments) throws(ChatTemplateError) -> String {
        let length = try whole(arguments.value(0, "length") ?? .int(255))
        let killsWords = arguments.value(1, "killwords")?.isTrue ?? false
        let end = try self.text(arguments.value(2, "end") ?? .string("..."))
        let leeway = try whole(arguments.value(3, "leeway") ?? .int(5))
        guard length >= end.unicodeScalars.count else {
            throw failure("expected length >= \(end.unicodeScalars.count), got \(length)")
        }
        guard leeway >= 0 else { throw failure("expected leeway >= 0, got \(leeway)") }
        let scalars = text.unicodeScalars
        let (limit, overflow) = length.addingReportingOverflow(leeway)
        if overflow || scalars.count <= limit { return text }
        let kept = max(0, length - end.unicodeScalars.count)
        let cut = String(scalars.prefix(kept))
        guard !killsWords, let space = cut.unicodeScalars.lastIndex(of: " ") else { return cut + end }
        return String(cut.unicodeScalars[..<space]) + end
    }

    private func wordCount(_ text: String) -> Int {
        var count = 0
        var isInside = false
        for scalar in text.unicodeScalars {
            let isWord = scalar.properties.isAlphabetic || scalar.properties.numericType != nil || scalar == "_"
            if isWord, !isInside { count += 1 }
            isInside = isWord
        }
        return count
    }

    private func applyToNumber(
        _ name: String, _ value: JinjaValue, _ arguments: JinjaArguments
    ) throws(ChatTemplateError) -> JinjaValue? {
        if case .undefined(let missing) = value, ["abs", "float", "int", "round"].contains(name) {
            throw undefinedFailure(missing)
        }
        if ["abs", "round"].contains(name) { try refuseWide(value) }
        switch name {
        case "abs":
            if let number = value.wholeNumber { return number < 0 ? try negated(value) : .int(number) }
            guard let number = value.number else { throw failure("bad operand type for abs(): '\(value.typeName)'") }
            return .float(number.magnitude)
        case "int":
            let base = try whole(arguments.value(1, "base") ?? .int(10))
            return try parsedWhole(value, base: base) ?? arguments.value(0, "default") ?? .int(0)
        case "float": return parsedFloat(value) ?? arguments.value(0, "default") ?? .float(0)
        case "round":
            guard let number = value.number else { throw failure("type \(value.typeName) doesn't define __round__ method") }
            let places = try whole(arguments.value(0, "precision") ?? .int(0))
            let method = try arguments.value(1, "method").map { (method) throws(ChatTemplateError) in try text(method) }
            guard ["common", "ceil", "floor"].contains(method ?? "common") else {
                throw failure("method must be common, ceil or floor")
            }
            if method == nil || method == "common" {
                if let whole = value.wholeNumber { return .int(PythonNumber.rounded(whole, places: places)) }
                return .float(PythonNumber.rounded(number, places: places))
            }
            let scale = PythonNumber.power(10, Double(places))
            return .float((number * scale).rounded(method == "ceil" ? .up : .down) / scale + 0)
        default: return nil
        }
    }

    /// Python's `int(value, base)`, or that of the decimal which the text is; nil for what is neither.
    private func parsedWhole(_ value: JinjaValue, base: Int) throws(ChatTemplateError) -> JinjaValue? {
        if value.isWide { return value }
        if let number = value.wholeNumber { return .int(number) }
        switch value {
        case .float(let number):
            if number.isInfinite { throw failure("cannot convert float infinity to integer") }
            return try truncated(number)
        case .string(let text, _):
            var digits = PythonText.numeral(text).lowercased()
            let prefixes = [16: "0x", 8: "0o", 2: "0b"]
            if let prefix = prefixes[base], digits.hasPrefix(prefix) { digits.removeFirst(2) }
            if (2...36).contains(base), let number = Int(digits, radix: base) { return .int(number) }
            let unsigned = digits.hasPrefix("-") || digits.hasPrefix("+") ? digits.dropFirst() : digits[...]
            if !unsigned.isEmpty, unsigned.utf8.allSatisfy({ (0x30...0x39).contains($0) }), base == 10 {
                throw exceeded("a whole number grows beyond 64 bits")
            }
            guard case .float(let number)? = parsedFloat(value), number.isFinite else { return nil }
            return try truncated(number)
        default: return nil
        }
    }

    /// The whole number towards zero; nil for what is no number.
    private func truncated(_ number: Double) throws(ChatTemplateError) -> JinjaValue? {
        if number.isNaN { return nil }
        guard let whole = Int(exactly: number.rounded(.towardZero)) else {
            throw exceeded("a whole number grows beyond 64 bits")
        }
        return .int(whole)
    }

    func parsedFloat(_ value: JinjaValue) -> JinjaValue? {
        if let number = value.number { return .float(number) }
        if case .wide(let digits) = value { return Double(digits).map { .float($0) } }
        guard case .string(let text, _) = value else { return nil }
        let digits = PythonText.numeral(text)
        if digits.lowercased().hasPrefix("0x") { return nil }
        return Double(digits).map { .float($0) }
    }

    /// The argument as a whole number.
    func whole(_ value: JinjaValue) throws(ChatTemplateError) -> Int {
        try refuseWide(value)
        guard let number = value.wholeNumber else {
            throw failure("'\(value.typeName)' object cannot be interpreted as an integer")
        }
        return number
    }

    func padded(
        _ text: String, _ width: Int, _ fill: Unicode.Scalar, _ align: Unicode.Scalar
    ) throws(ChatTemplateError) -> String {
        guard width <= sizeLimit else { throw exceeded("a text is padded beyond \(sizeLimit) characters") }
        try affordText(text.utf8.count + max(0, width) * String(fill).utf8.count)
        return PythonText.padded(text, to: width, with: fill, align: align)
    }

    /// Strips white space, or the given characters.
    func stripped(
        _ text: String, _ characters: JinjaValue?, left: Bool, right: Bool
    ) throws(ChatTemplateError) -> String {
        guard case .string(let set, _)? = characters else {
            switch characters {
            case nil, .some(.none): return PythonText.stripped(text, PythonText.isSpace, left: left, right: right)
            case .some: throw failure("strip arg must be None or str")
            }
        }
        try spend(set.utf8.count / 4)
        let scalars = Set(set.unicodeScalars)
        // A few are compared in less time than one is hashed.
        guard scalars.count > 8 else {
            try spend(text.utf8.count / 16)
            return PythonText.stripped(text, Array(scalars).contains, left: left, right: right)
        }
        try spend(text.utf8.count / 4)
        return PythonText.stripped(text, scalars.contains, left: left, right: right)
    }
}
