internal import Budgets
internal import JSON

extension TemplateEvaluator {
    /// A method bound to the value, or one of its attributes; nil when its type has none of that name.
    func attribute(_ name: String, of value: JinjaValue) throws(ChatTemplateError) -> JinjaValue? {
        switch value {
        case .undefined(let missing): throw undefinedFailure(missing)
        case .namespace(let namespace): return namespace.members.value(of: name)
        case .loop(let loop): return loop.attribute(name)
        case .dictionary(let dictionary): return dictionaryMethod(name, dictionary, value)
        case .tuple(let list):
            if let index = list.names.firstIndex(of: name) { return list.elements[index] }
            return listMethod(name, list.elements, value)
        case .list(let list): return listMethod(name, list.elements, value)
        case .range(let range):
            switch name {
            case "start": return .int(range.start)
            case "stop": return .int(range.stop)
            case "step": return .int(range.step)
            case "count", "index": return listMethod(name, range.elements, value)
            default: return nil
            }
        case .string(let text, _):
            guard TemplateSignatures.textMethods[name] != nil else { return nil }
            return bound(name, value) { (evaluator, arguments) throws(ChatTemplateError) in
                try evaluator.callTextMethod(name, text, arguments)
            }
        case .callable(let callable): return callable.member(name)
        case .none, .bool, .int, .wide, .float, .view, .iterator: return nil
        }
    }

    private func bound(_ name: String, _ receiver: JinjaValue, _ body: @escaping JinjaCallable.Body) -> JinjaValue {
        .callable(JinjaCallable(name, receiver: receiver, body))
    }

    private func forbidden(_ name: String, _ value: JinjaValue) -> JinjaValue {
        let type = value.typeName
        return bound(name, .none) { (evaluator, _) throws(ChatTemplateError) in
            throw evaluator.failure("access to attribute '\(name)' of '\(type)' object is unsafe.")
        }
    }

    private func dictionaryMethod(_ name: String, _ dictionary: JinjaDictionary, _ value: JinjaValue) -> JinjaValue? {
        switch name {
        case "items": return bound(name, value) { (_, _) throws(ChatTemplateError) in .view(JinjaView(kind: .items, dictionary: dictionary)) }
        case "keys": return bound(name, value) { (_, _) throws(ChatTemplateError) in .view(JinjaView(kind: .keys, dictionary: dictionary)) }
        case "values": return bound(name, value) { (_, _) throws(ChatTemplateError) in .view(JinjaView(kind: .values, dictionary: dictionary)) }
        case "copy": return bound(name, value) { (_, _) throws(ChatTemplateError) in value }
        case "get":
            return bound(name, value) { (evaluator, arguments) throws(ChatTemplateError) in
                guard let key = arguments.positional.first else { throw evaluator.failure("get expected at least 1 argument") }
                guard let hashed = try evaluator.hashed(key) else { throw evaluator.failure("unhashable type: '\(key.typeName)'") }
                return dictionary.value(of: hashed) ?? arguments.value(1, "default") ?? .none
            }
        case "clear", "pop", "popitem", "setdefault", "update": return forbidden(name, value)
        default: return nil
        }
    }

    private func listMethod(_ name: String, _ elements: [JinjaValue], _ value: JinjaValue) -> JinjaValue? {
        switch name {
        case "count":
            return bound(name, value) { (evaluator, arguments) throws(ChatTemplateError) in
                let wanted = arguments.value(0, "value") ?? .undefined("value")
                var count = 0
                for element in elements where try evaluator.isEqual(element, wanted) { count += 1 }
                try evaluator.spend(elements.count)
                return .int(count)
            }
        case "index":
            return bound(name, value) { (evaluator, arguments) throws(ChatTemplateError) in
                let wanted = arguments.value(0, "value") ?? .undefined("value")
                let bounds = JinjaArguments(positional: Array(arguments.positional.dropFirst()))
                let window = try evaluator.window(bounds, count: elements.count)
                guard let index = try evaluator.index(of: wanted, in: elements[window]) else {
                    throw evaluator.failure("\(try evaluator.represented(wanted)) is not in list")
                }
                return .int(window.lowerBound + index)
            }
        case "copy": return bound(name, value) { (_, _) throws(ChatTemplateError) in value }
        case "append", "clear", "extend", "insert", "pop", "remove", "reverse", "sort":
            if case .tuple = value { return nil }
            return forbidden(name, value)
        default: return nil
        }
    }

    private func callTextMethod(
        _ name: String, _ text: String, _ arguments: JinjaArguments
    ) throws(ChatTemplateError) -> JinjaValue {
        try spend(1 + text.utf8.count / (TemplateSignatures.comparingMethods.contains(name) ? 64 : 16))
        if let objection = TemplateSignatures.objection(toMethod: name, arguments) { throw failure(objection) }
        switch name {
        case "upper": return .string(text.uppercased())
        case "lower": return .string(PythonText.lowercased(text))
        case "casefold": return .string(PythonText.casefolded(text))
        case "capitalize": return .string(PythonText.capitalized(text))
        case "title": return .string(PythonText.titled(text))
        case "swapcase": return .string(PythonText.swappedCase(text))
        case "strip": return .string(try stripped(text, arguments.value(0, "chars"), left: true, right: true))
        case "lstrip": return .string(try stripped(text, arguments.value(0, "chars"), left: true, right: false))
        case "rstrip": return .string(try stripped(text, arguments.value(0, "chars"), left: false, right: true))
        case "startswith", "endswith": return .bool(try matchesEnd(name, text, arguments))
        case "removeprefix":
            let affix = try argument(0, "prefix", arguments)
            return .string(hasAffix(text, affix, atStart: true) ? String(text.unicodeScalars.dropFirst(affix.unicodeScalars.count)) : text)
        case "removesuffix":
            let affix = try argument(0, "suffix", arguments)
            return .string(hasAffix(text, affix, atStart: false) ? String(text.unicodeScalars.dropLast(affix.unicodeScalars.count)) : text)
        case "replace":
            let count = try arguments.value(2, "count").map { (count) throws(ChatTemplateError) in try whole(count) } ?? -1
            return .string(
                try replacing(
                    text, try argument(0, "old", arguments), with: try argument(1, "new", arguments),
                    limit: count < 0 ? .max : count))
        case "join": return try apply("join", to: try joinable(arguments), JinjaArguments(positional: [.string(text)]))
        case "format": return .string(try braceFormatted(text, arguments))
        case "format_map":
            guard case .dictionary(let dictionary)? = arguments.positional.first else { throw failure("format_map needs a mapping") }
            let named = zip(dictionary.keys, dictionary.values).compactMap { key, value -> (name: String, value: JinjaValue)? in
                if case .string(let name, _) = key { (name, value) } else { nil }
            }
            return .string(try braceFormatted(text, JinjaArguments(named: named)))
        case "ljust", "rjust", "center", "zfill", "expandtabs": return .string(try widened(name, text, arguments))
        case "find", "rfind", "index", "rindex", "count": return .int(try located(name, text, arguments))
        case "split", "rsplit", "splitlines", "partition", "rpartition": return try divided(name, text, arguments)
        default: return .bool(isOfKind(name, text))
        }
    }

    private func argument(_ position: Int, _ name: String, _ arguments: JinjaArguments) throws(ChatTemplateError) -> String {
        guard let value = arguments.value(position, name) else { throw failure("the argument '\(name)' is missing") }
        guard case .string(let text, _) = value else { throw failure("the argument must be str, not \(value.typeName)") }
        return text
    }

    private func joinable(_ arguments: JinjaArguments) throws(ChatTemplateError) -> JinjaValue {
        guard let value = arguments.positional.first else { throw failure("join() takes exactly one argument (0 given)") }
        let elements = try elements(value)
        for (index, element) in elements.enumerated() {
            guard case .string = element else {
                throw failure("sequence item \(index): expected str instance, \(element.typeName) found")
            }
        }
        return .list(elements)
    }

    private func hasAffix(_ text: String, _ affix: String, atStart: Bool) -> Bool {
        atStart ? text.startsExactly(with: affix) : text.endsExactly(with: affix)
    }

    private func matchesEnd(_ name: String, _ text: String, _ arguments: JinjaArguments) throws(ChatTemplateError) -> Bool {
        guard let affix = arguments.positional.first else { throw failure("\(name)() takes at least 1 argument (0 given)") }
        var choices = [affix]
        if case .tuple(let list) = affix { try spend(list.weight) }
        if case .tuple(let list) = affix { choices = list.elements }
        let window = try window(of: text, arguments.dropping(1))
        for choice in choices {
            guard case .string(let affix, _) = choice else {
                throw failure("\(name) first arg must be str or a tuple of str, not \(choice.typeName)")
            }
            if hasAffix(window, affix, atStart: name == "startswith") { return true }
        }
        return false
    }

    /// The part of the text that optional start and end arguments name.
    private func window(of text: String, _ bounds: JinjaArguments) throws(ChatTemplateError) -> String {
        guard !bounds.positional.isEmpty else { return text }
        let scalars = Array(text.unicodeScalars)
        return String(String.UnicodeScalarView(scalars[try window(bounds, count: scalars.count)]))
    }

    /// The indices that optional start and end arguments name.
    private func window(_ bounds: JinjaArguments, count: Int) throws(ChatTemplateError) -> Range<Int> {
        func position(_ index: Int, _ missing: Int) throws(ChatTemplateError) -> Int {
            guard bounds.positional.indices.contains(index) else { return missing }
            if case .none = bounds.positional[index] { return missing }
            let number = try whole(bounds.positional[index])
            return min(max(number < 0 ? number.addingReportingOverflow(count).partialValue : number, 0), count)
        }
        let start = try position(0, 0)
        return start..<max(start, try position(1, count))
    }

    private func widened(_ name: String, _ text: String, _ arguments: JinjaArguments) throws(ChatTemplateError) -> String {
        let width = try whole(arguments.positional.first ?? .int(8))
        switch name {
        case "expandtabs":
            var output = ""
            var column = 0
            guard width <= 1000 else { throw exceeded("tabs grow too wide") }
            for scalar in text.unicodeScalars {
                if scalar == "\t" { try affordText(output.utf8.count + width) }
                let count = scalar == "\t" ? (width > 0 ? width - column % width : 0) : 1
                output += scalar == "\t" ? String(repeating: " ", count: count) : String(scalar)
                column = scalar == "\n" || scalar == "\r" ? 0 : column + count
            }
            return output
        case "zfill":
            let sign = text.unicodeScalars.first.map { $0 == "-" || $0 == "+" } ?? false
            let digits = sign ? String(text.unicodeScalars.dropFirst()) : text
            let padded = try padded(digits, width - (sign ? 1 : 0), "0", ">")
            return (sign ? String(text.unicodeScalars.prefix(1)) : "") + padded
        default:
            let fill = arguments.positional.count > 1 ? try self.text(arguments.positional[1]).unicodeScalars.first ?? " " : " "
            return try padded(text, width, fill, name == "ljust" ? "<" : name == "rjust" ? ">" : "|")
        }
    }

    private func located(_ name: String, _ text: String, _ arguments: JinjaArguments) throws(ChatTemplateError) -> Int {
        let part = try argument(0, "sub", arguments)
        let window = try window(of: text, arguments.dropping(1))
        if name == "count" {
            return part.isEmpty ? window.unicodeScalars.count + 1 : PythonText.count(part, in: window)
        }
        let found = name.hasPrefix("r") ? PythonText.findLast(part, in: window) : PythonText.find(part, in: window)
        guard let found else {
            if name.hasSuffix("index") { throw failure("substring not found") }
            return -1
        }
        let prefix = String(decoding: window.utf8.prefix(found), as: UTF8.self).unicodeScalars.count
        let skipped = text.unicodeScalars.count - (try self.window(of: text, JinjaArguments(positional: Array(arguments.positional.dropFirst().prefix(1))))).unicodeScalars.count
        return prefix + skipped
    }

    private func divided(_ name: String, _ text: String, _ arguments: JinjaArguments) throws(ChatTemplateError) -> JinjaValue {
        func strings(_ pieces: [String]) -> [JinjaValue] { pieces.map { .string($0) } }
        switch name {
        case "splitlines":
            try spend(text.utf8.count / 4)
            return .list(strings(PythonText.lines(text, keepingEnds: arguments.value(0, "keepends")?.isTrue ?? false)))
        case "partition", "rpartition":
            let separator = try argument(0, "sep", arguments)
            if separator.isEmpty { throw failure("empty separator") }
            let isFirst = name == "partition"
            guard let cut = isFirst ? PythonText.find(separator, in: text) : PythonText.findLast(separator, in: text) else {
                return .tuple(JinjaList(strings(isFirst ? [text, "", ""] : ["", "", text])))
            }
            let bytes = Array(text.utf8)
            let (head, tail) = (bytes[..<cut], bytes[(cut + separator.utf8.count)...])
            return .tuple(JinjaList(strings([String(decoding: head, as: UTF8.self), separator, String(decoding: tail, as: UTF8.self)])))
        default: break
        }
        let limit = try arguments.value(1, "maxsplit").map { (limit) throws(ChatTemplateError) in try whole(limit) } ?? -1
        let cuts = limit < 0 ? Int.max : limit
        let given = arguments.value(0, "sep") ?? .none
        guard case .string(let separator, _) = given else {
            guard case .none = given else { throw failure("must be str or None, not \(given.typeName)") }
            try spend(text.utf8.count / 4)
            if name == "split" { return .list(strings(PythonText.words(text, limit: cuts))) }
            let reversed = PythonText.words(String(String.UnicodeScalarView(text.unicodeScalars.reversed())), limit: cuts)
            return .list(strings(reversed.reversed().map { String(String.UnicodeScalarView($0.unicodeScalars.reversed())) }))
        }
        if separator.isEmpty { throw failure("empty separator") }
        try spend(min(PythonText.count(separator, in: text), name == "split" ? cuts : .max))
        let pieces = PythonText.split(text, on: separator, limit: name == "split" ? cuts : .max)
        guard name == "rsplit", pieces.count - 1 > cuts else { return .list(strings(pieces)) }
        let kept = pieces.count - cuts
        return .list(strings([pieces[..<kept].joined(separator: separator)] + pieces[kept...]))
    }

    private func isOfKind(_ name: String, _ text: String) -> Bool {
        let scalars = text.unicodeScalars
        func all(_ predicate: (Unicode.Scalar) -> Bool) -> Bool { !scalars.isEmpty && scalars.allSatisfy(predicate) }
        func isLetter(_ scalar: Unicode.Scalar) -> Bool {
            switch scalar.properties.generalCategory {
            case .uppercaseLetter, .lowercaseLetter, .titlecaseLetter, .modifierLetter, .otherLetter: true
            default: false
            }
        }
        switch name {
        case "isascii": return text.utf8.allSatisfy { $0 < 0x80 }
        case "isalpha": return all(isLetter)
        case "isalnum": return all { isLetter($0) || $0.properties.numericType != nil }
        case "isdecimal": return all { $0.properties.numericType == .decimal }
        case "isdigit": return all { $0.properties.numericType == .decimal || $0.properties.numericType == .digit }
        case "isnumeric": return all { $0.properties.numericType != nil }
        case "isprintable": return scalars.allSatisfy(PythonRepresentation.isPrintable)
        case "isidentifier":
            guard let first = scalars.first, first == "_" || first.properties.isXIDStart else { return false }
            return scalars.allSatisfy(\.properties.isXIDContinue)
        case "isspace": return all(PythonText.isSpace)
        case "islower": return text.lowercased().isExactly(text) && scalars.contains(where: \.properties.isLowercase)
        case "isupper": return text.uppercased().isExactly(text) && scalars.contains(where: \.properties.isUppercase)
        case "istitle": return PythonText.titled(text).isExactly(text) && scalars.contains(where: \.properties.isCased)
        default: return false
        }
    }
}

extension JinjaLoop {
    /// What `loop.name` is, or nil.
    fileprivate func attribute(_ name: String) -> JinjaValue? {
        switch name {
        case "index": return .int(index + 1)
        case "index0": return .int(index)
        case "revindex": return .int(items.count - index)
        case "revindex0": return .int(items.count - index - 1)
        case "first": return .bool(index == 0)
        case "last": return .bool(index == items.count - 1)
        case "length": return .int(items.count)
        case "depth": return .int(level)
        case "depth0": return .int(level - 1)
        case "previtem": return index > 0 ? items[index - 1] : .undefined("the item before the first")
        case "nextitem": return index + 1 < items.count ? items[index + 1] : .undefined("the item after the last")
        case "cycle":
            return .callable(
                JinjaCallable(name) { (evaluator, arguments) throws(ChatTemplateError) in
                    guard !arguments.positional.isEmpty else { throw evaluator.failure("no items for cycling given") }
                    return arguments.positional[self.index % arguments.positional.count]
                })
        case "changed":
            return .callable(
                JinjaCallable(name) { (evaluator, arguments) throws(ChatTemplateError) in
                    var isSame = false
                    if let last = self.lastChanged { isSame = try evaluator.isEqual(.list(last), .list(arguments.positional)) }
                    if !isSame { self.lastChanged = arguments.positional }
                    return .bool(!isSame)
                })
        default: return nil
        }
    }
}
