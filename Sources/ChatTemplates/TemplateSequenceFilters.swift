extension TemplateEvaluator {
    func applyToSequence(
        _ name: String, _ value: JinjaValue, _ arguments: JinjaArguments
    ) throws(ChatTemplateError) -> JinjaValue? {
        switch name {
        case "list": return .list(try elements(value))
        case "first":
            if case .iterator(let iterator) = value, let next = try iterator.next(self) { return next }
            return try elements(value).first ?? .undefined("the first item of an empty sequence")
        case "last":
            if case .iterator = value { throw failure("'\(value.typeName)' object is not reversible; 'list' makes it so") }
            return try elements(value).last ?? .undefined("the last item of an empty sequence")
        case "reverse": return try reversed(value)
        case "join": return .string(try joined(value, arguments))
        case "sort": return .list(try sorted(value, arguments))
        case "dictsort": return .list(try sortedItems(value, arguments))
        case "groupby": return .list(try grouped(value, arguments))
        case "min", "max": return try extreme(name, value, arguments)
        case "sum": return try sum(value, arguments)
        case "batch", "items", "map", "reject", "rejectattr", "select", "selectattr", "slice", "unique":
            let held = JinjaValue.list([value, .list(arguments.positional), .list(arguments.named.map(\.value))])
            return makeIterator("generator", over: held) { (evaluator) throws(ChatTemplateError) in
                try evaluator.generated(name, value, arguments)
            }
        default: return nil
        }
    }

    /// The elements of the filters that return generators.
    private func generated(
        _ name: String, _ value: JinjaValue, _ arguments: JinjaArguments
    ) throws(ChatTemplateError) -> [JinjaValue] {
        switch name {
        case "items":
            if case .undefined = value { return [] }
            guard case .dictionary(let dictionary) = value else { throw failure("Can only get item pairs from a mapping.") }
            return dictionary.items
        case "map": return try mapped(value, arguments)
        case "unique": return try unique(value, arguments)
        case "batch": return try batches(value, arguments)
        case "slice": return try slices(value, arguments)
        default: return try selected(name, value, arguments)
        }
    }

    private func reversed(_ value: JinjaValue) throws(ChatTemplateError) -> JinjaValue {
        if case .string(let text, let isSafe) = value {
            var reversed = String.UnicodeScalarView()
            reversed.append(contentsOf: text.unicodeScalars.reversed())
            return .string(String(reversed), isSafe: isSafe)
        }
        let elements: [JinjaValue] = try elements(value).reversed()
        if case .iterator = value { return .list(elements) }
        return makeIterator("\(value.typeName)_reverseiterator", over: .list(elements)) { (_) throws(ChatTemplateError) in
            elements
        }
    }

    /// What iterating over the value yields.
    func elements(_ value: JinjaValue) throws(ChatTemplateError) -> [JinjaValue] {
        let elements: [JinjaValue]
        if case .iterator(let iterator) = value {
            elements = try iterator.rest(self)
        } else if let iterated = value.iterated {
            elements = iterated
        } else {
            throw failure("'\(value.typeName)' object is not iterable")
        }
        try spend(elements.count)
        return elements
    }

    /// Follows a path such as `function.name` or `0`; a whole number is one step; `missing` stands for what is undefined on it.
    private func follow(
        _ path: JinjaValue, from value: JinjaValue, missing: JinjaValue? = nil
    ) throws(ChatTemplateError) -> JinjaValue {
        func known(_ value: JinjaValue) -> JinjaValue { value.isUndefined ? missing ?? value : value }
        guard case .string(let text, _) = path else { return known(try item(path, of: value)) }
        var result = value
        try spend(text.utf8.count / 4)
        for part in PythonText.split(text, on: ".") {
            let key = Int(part).flatMap { $0 >= 0 ? JinjaValue.int($0) : nil } ?? .string(part)
            result = known(try item(key, of: result))
        }
        return result
    }

    private func values(
        _ value: JinjaValue, by path: JinjaValue?, caseSensitive: Bool = true, missing: JinjaValue? = nil
    ) throws(ChatTemplateError) -> [(key: JinjaValue, element: JinjaValue)] {
        var pairs: [(key: JinjaValue, element: JinjaValue)] = []
        for element in try elements(value) {
            var key = element
            if let path { key = try follow(path, from: element, missing: missing) }
            if !caseSensitive, case .string(let text, _) = key {
                try spend(text.utf8.count / 16)
                key = .string(text.lowercased())
            }
            pairs.append((key, element))
        }
        return pairs
    }

    private func path(_ value: JinjaValue?) -> JinjaValue? {
        if case .none? = value { nil } else { value }
    }

    private func joined(_ value: JinjaValue, _ arguments: JinjaArguments) throws(ChatTemplateError) -> String {
        let separator = try text(arguments.value(0, "d") ?? .string(""))
        var output = ""
        for (index, pair) in try values(value, by: path(arguments.value(1, "attribute"))).enumerated() {
            let shown = try text(pair.key)
            try affordText(output.utf8.count + separator.utf8.count + shown.utf8.count)
            if index > 0 { output += separator }
            output += shown
        }
        return output
    }

    private func mapped(_ value: JinjaValue, _ arguments: JinjaArguments) throws(ChatTemplateError) -> [JinjaValue] {
        guard value.isTrue else { return [] }
        var output: [JinjaValue] = []
        if arguments.positional.isEmpty, let attribute = arguments.value(0, "attribute") {
            if let stray = arguments.named.first(where: { $0.name != "default" && $0.name != "attribute" }) {
                throw failure("Unexpected keyword argument '\(stray.name)'")
            }
            let missing = arguments.named.first { $0.name == "default" }?.value
            return try values(value, by: attribute, missing: missing).map(\.key)
        }
        guard case .string(let filter, _)? = arguments.positional.first else { throw failure("map requires a filter argument") }
        for element in try elements(value) { output.append(try apply(filter, to: element, arguments.dropping(1))) }
        return output
    }

    private func selected(
        _ name: String, _ value: JinjaValue, _ arguments: JinjaArguments
    ) throws(ChatTemplateError) -> [JinjaValue] {
        guard value.isTrue else { return [] }
        let isWanted = name.hasPrefix("select")
        var rest = arguments
        var attribute: JinjaValue?
        if name.hasSuffix("attr") {
            guard let first = rest.positional.first else { throw failure("\(name) needs the name of an attribute") }
            attribute = first
            rest = rest.dropping(1)
        }
        var test: String?
        if let first = rest.positional.first {
            test = try text(first)
            rest = rest.dropping(1)
        }
        var output: [JinjaValue] = []
        for (key, element) in try values(value, by: attribute) {
            let holds = if let test { try self.holds(test, of: key, rest) } else { key.isTrue }
            if holds == isWanted { output.append(element) }
        }
        return output
    }

    /// A stable merge sort by Python's `<`.
    private func ordered(
        _ pairs: [(key: JinjaValue, element: JinjaValue)], reversed: Bool = false
    ) throws(ChatTemplateError) -> [(key: JinjaValue, element: JinjaValue)] {
        guard pairs.count > 1 else { return pairs }
        try spend(pairs.count)
        let middle = pairs.count / 2
        let left = try ordered(Array(pairs[..<middle]), reversed: reversed)
        let right = try ordered(Array(pairs[middle...]), reversed: reversed)
        var merged: [(key: JinjaValue, element: JinjaValue)] = []
        merged.reserveCapacity(pairs.count)
        var (i, j) = (0, 0)
        while i < left.count, j < right.count {
            let (a, b) = reversed ? (left[i].key, right[j].key) : (right[j].key, left[i].key)
            if try compare(a, .less, b) {
                merged.append(right[j])
                j += 1
            } else {
                merged.append(left[i])
                i += 1
            }
        }
        return merged + left[i...] + right[j...]
    }

    private func sorted(_ value: JinjaValue, _ arguments: JinjaArguments) throws(ChatTemplateError) -> [JinjaValue] {
        let isCaseSensitive = arguments.value(1, "case_sensitive")?.isTrue ?? false
        var pairs: [(key: JinjaValue, element: JinjaValue)]
        if case .string(let paths, _)? = arguments.value(2, "attribute"), paths.utf8.contains(UInt8(ascii: ",")) {
            pairs = []
            for element in try elements(value) {
                var keys: [JinjaValue] = []
                for part in PythonText.split(paths, on: ",") {
                    var key = try follow(.string(part), from: element)
                    if !isCaseSensitive, case .string(let text, _) = key {
                        try spend(text.utf8.count / 16)
                        key = .string(text.lowercased())
                    }
                    keys.append(key)
                }
                pairs.append((.list(keys), element))
            }
        } else {
            let attribute = path(arguments.value(2, "attribute"))
            pairs = try values(value, by: attribute, caseSensitive: isCaseSensitive)
            // By attribute Jinja compares lists of one key, so that two missing keys are equal.
            if attribute != nil { pairs = pairs.map { (.list([$0.key]), $0.element) } }
        }
        return try ordered(pairs, reversed: arguments.value(0, "reverse")?.isTrue ?? false).map(\.element)
    }

    private func sortedItems(_ value: JinjaValue, _ arguments: JinjaArguments) throws(ChatTemplateError) -> [JinjaValue] {
        guard case .dictionary(let dictionary) = value else { throw failure("dictsort needs a mapping") }
        let isByValue = try arguments.value(1, "by").map { (by) throws(ChatTemplateError) in try text(by) } == "value"
        if let by = arguments.value(1, "by") {
            guard ["key", "value"].contains(try text(by)) else {
                throw failure("You can only sort by either \"key\" or \"value\"")
            }
        }
        let isCaseSensitive = arguments.value(0, "case_sensitive")?.isTrue ?? false
        let pairs = try values(.list(dictionary.items), by: .int(isByValue ? 1 : 0), caseSensitive: isCaseSensitive)
        return try ordered(pairs, reversed: arguments.value(2, "reverse")?.isTrue ?? false).map(\.element)
    }

    private func unique(_ value: JinjaValue, _ arguments: JinjaArguments) throws(ChatTemplateError) -> [JinjaValue] {
        var seen: Set<JinjaKey> = []
        var output: [JinjaValue] = []
        let isCaseSensitive = arguments.value(0, "case_sensitive")?.isTrue ?? false
        let pairs = try values(value, by: path(arguments.value(1, "attribute")), caseSensitive: isCaseSensitive)
        for (key, element) in pairs {
            guard let hashed = try hashed(key) else { throw failure("unhashable type: '\(key.typeName)'") }
            if seen.insert(hashed).inserted { output.append(element) }
        }
        return output
    }

    private func grouped(_ value: JinjaValue, _ arguments: JinjaArguments) throws(ChatTemplateError) -> [JinjaValue] {
        guard let attribute = arguments.value(0, "attribute") else { throw failure("groupby needs an attribute") }
        let isCaseSensitive = arguments.value(2, "case_sensitive")?.isTrue ?? false
        let missing = arguments.value(1, "default")
        let pairs = try ordered(try values(value, by: attribute, caseSensitive: isCaseSensitive, missing: missing))
        var groups: [(key: JinjaValue, elements: [JinjaValue])] = []
        for (key, element) in pairs {
            if let last = groups.last, try isEqual(last.key, key) {
                groups[groups.count - 1].elements.append(element)
            } else {
                groups.append((key, [element]))
            }
        }
        var output: [JinjaValue] = []
        for group in groups {
            var label = group.key
            if !isCaseSensitive, let first = group.elements.first {
                let shown = try follow(attribute, from: first)
                label = shown.isUndefined ? group.key : shown
            }
            output.append(.tuple(JinjaList([label, .list(group.elements)], names: ["grouper", "list"])))
        }
        return output
    }

    private func extreme(
        _ name: String, _ value: JinjaValue, _ arguments: JinjaArguments
    ) throws(ChatTemplateError) -> JinjaValue {
        let isCaseSensitive = arguments.value(0, "case_sensitive")?.isTrue ?? false
        let pairs = try values(value, by: path(arguments.value(1, "attribute")), caseSensitive: isCaseSensitive)
        guard var best = pairs.first else { return .undefined("the \(name) of an empty sequence") }
        for pair in pairs.dropFirst() where try compare(pair.key, name == "min" ? .less : .greater, best.key) { best = pair }
        return best.element
    }

    private func sum(_ value: JinjaValue, _ arguments: JinjaArguments) throws(ChatTemplateError) -> JinjaValue {
        var total = arguments.value(1, "start") ?? .int(0)
        if case .string = total { throw failure("sum() can't sum strings") }
        for pair in try values(value, by: path(arguments.value(0, "attribute"))) {
            total = try checked(try calculate(total, .add, pair.key))
        }
        return total
    }

    private func batches(_ value: JinjaValue, _ arguments: JinjaArguments) throws(ChatTemplateError) -> [JinjaValue] {
        let size = try whole(arguments.value(0, "linecount") ?? .int(0))
        guard size > 0, size <= 100_000 else { throw failure("batch needs a size from 1 to 100000") }
        var output: [[JinjaValue]] = []
        for element in try elements(value) {
            if output.last.map({ $0.count < size }) ?? false {
                output[output.count - 1].append(element)
            } else {
                output.append([element])
            }
        }
        if let fill = path(arguments.value(1, "fill_with")), let last = output.last {
            try spend(size)
            output[output.count - 1] += Array(repeating: fill, count: size - last.count)
        }
        return output.map { .list($0) }
    }

    private func slices(_ value: JinjaValue, _ arguments: JinjaArguments) throws(ChatTemplateError) -> [JinjaValue] {
        let count = try whole(arguments.value(0, "slices") ?? .int(0))
        guard count > 0, count <= 100_000 else { throw failure("slice needs a count from 1 to 100000") }
        let elements = try elements(value)
        try spend(count)
        let fill = path(arguments.value(1, "fill_with"))
        let (size, longer) = elements.count.quotientAndRemainder(dividingBy: count)
        var output: [JinjaValue] = []
        var start = 0
        for index in 0..<count {
            let end = start + size + (index < longer ? 1 : 0)
            var part = Array(elements[start..<end])
            if let fill, index >= longer { part.append(fill) }
            output.append(.list(part))
            start = end
        }
        return output
    }
}
