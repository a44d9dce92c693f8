extension TemplateEvaluator {
    func evaluate(_ expression: TemplateExpression, _ scope: TemplateScope) throws(ChatTemplateError) -> JinjaValue {
        try nested { () throws(ChatTemplateError) in
            line = expression.line
            switch expression.kind {
            case .literal(let literal): return value(of: literal)
            case .name(let name): return scope.value(name) ?? .undefined(name)
            case .list(let elements): return try checked(.list(try evaluate(elements, scope)))
            case .tuple(let elements): return try checked(.tuple(JinjaList(try evaluate(elements, scope))))
            case .dictionary(let pairs): return try dictionary(pairs, scope)
            case .attribute(let base, let name): return try member(name, of: try evaluate(base, scope))
            case .item(let base, let key): return try item(try evaluate(key, scope), of: try evaluate(base, scope))
            case .slice(let base, let slice): return try sliced(try evaluate(base, scope), slice, scope)
            case .call(let callee, let arguments):
                return try call(try evaluate(callee, scope), try evaluate(arguments, scope))
            case .filter(let base, let filter): return try apply(filter, to: try evaluate(base, scope), scope)
            case .test(let base, let test):
                let arguments = try evaluate(test.arguments, scope)
                return .bool(try holds(test.name, of: try evaluate(base, scope), arguments))
            default: return try evaluateOperation(expression, scope)
            }
        }
    }

    private func evaluateOperation(
        _ expression: TemplateExpression, _ scope: TemplateScope
    ) throws(ChatTemplateError) -> JinjaValue {
        switch expression.kind {
        case .not(let operand): return .bool(!(try evaluate(operand, scope).isTrue))
        case .negative(let operand): return try negated(try evaluate(operand, scope))
        case .positive(let operand): return try positive(try evaluate(operand, scope))
        case .arithmetic(let first, let rest):
            var result = try evaluate(first, scope)
            for (symbol, operand) in rest {
                result = try checked(try calculate(result, symbol, try evaluate(operand, scope)))
            }
            return result
        case .concatenation(let parts):
            var text = ""
            for part in parts {
                let shown = try self.text(try evaluate(part, scope))
                try affordText(text.utf8.count + shown.utf8.count)
                text += shown
            }
            return try checked(.string(text))
        case .comparison(let first, let rest): return try compare(first, rest, scope)
        case .and(let parts), .or(let parts):
            let isOr = if case .or = expression.kind { true } else { false }
            var result = JinjaValue.none
            for part in parts {
                result = try evaluate(part, scope)
                if result.isTrue == isOr { break }
            }
            return result
        case .conditional(let test, let then, let otherwise):
            if try evaluate(test, scope).isTrue { return try evaluate(then, scope) }
            guard let otherwise else { return .undefined("the inline if-expression without else") }
            return try evaluate(otherwise, scope)
        default: return .none
        }
    }

    private func compare(
        _ first: TemplateExpression, _ rest: [(ComparisonOperator, TemplateExpression)], _ scope: TemplateScope
    ) throws(ChatTemplateError) -> JinjaValue {
        var left = try evaluate(first, scope)
        for (comparator, operand) in rest {
            let right = try evaluate(operand, scope)
            guard try compare(left, comparator, right) else { return .bool(false) }
            left = right
        }
        return .bool(true)
    }

    private func value(of literal: TemplateLiteral) -> JinjaValue {
        switch literal {
        case .none: .none
        case .bool(let flag): .bool(flag)
        case .int(let number): .int(number)
        case .float(let number): .float(number)
        case .string(let text): .string(text)
        }
    }

    private func evaluate(
        _ expressions: [TemplateExpression], _ scope: TemplateScope
    ) throws(ChatTemplateError) -> [JinjaValue] {
        var values: [JinjaValue] = []
        values.reserveCapacity(expressions.count)
        for expression in expressions { values.append(try evaluate(expression, scope)) }
        return values
    }

    func evaluate(_ arguments: TemplateArguments, _ scope: TemplateScope) throws(ChatTemplateError) -> JinjaArguments {
        var values = JinjaArguments(positional: try evaluate(arguments.positional, scope))
        for (name, expression) in arguments.named { values.named.append((name, try evaluate(expression, scope))) }
        if let list = arguments.unpackedList {
            let value = try evaluate(list, scope)
            guard value.isIterable else { throw failure("argument after * must be iterable, not \(value.typeName)") }
            values.positional += try elements(value)
        }
        if let unpacked = arguments.unpackedDictionary {
            let value = try evaluate(unpacked, scope)
            guard case .dictionary(let dictionary) = value else {
                throw failure("argument after ** must be a mapping, not \(value.typeName)")
            }
            for (key, value) in zip(dictionary.keys, dictionary.values) {
                guard case .string(let name, _) = key else { throw failure("keywords must be strings") }
                values.named.append((name, value))
            }
        }
        return values
    }

    private func dictionary(
        _ pairs: [(key: TemplateExpression, value: TemplateExpression)], _ scope: TemplateScope
    ) throws(ChatTemplateError) -> JinjaValue {
        var dictionary = JinjaDictionary()
        for pair in pairs { try set(try evaluate(pair.key, scope), try evaluate(pair.value, scope), in: &dictionary) }
        return try checked(.dictionary(dictionary))
    }

    func set(_ key: JinjaValue, _ value: JinjaValue, in dictionary: inout JinjaDictionary) throws(ChatTemplateError) {
        guard try hashed(key) != nil, dictionary.set(key, value) else { throw failure("unhashable type: '\(key.typeName)'") }
    }

    /// What is wrong with using something undefined: a name, or a phrase that says what is missing where.
    func undefinedFailure(_ missing: String) -> ChatTemplateError {
        if missing.contains(" has no ") { return failure(missing) }
        return failure(missing.contains(" ") ? "\(missing) is undefined" : "'\(missing)' is undefined")
    }

    func call(_ function: JinjaValue, _ arguments: JinjaArguments) throws(ChatTemplateError) -> JinjaValue {
        switch function {
        case .callable(let callable):
            let line = line
            let result = try callable.body(self, arguments)
            self.line = line
            return try checked(result)
        case .loop(let loop):
            guard let recurse = loop.recurse else { throw failure("the loop must have the 'recursive' marker to be called") }
            return try recurse(self, arguments)
        case .undefined(let name): throw undefinedFailure(name)
        default: throw failure("'\(function.typeName)' object is not callable")
        }
    }

    /// `value.name`: a method or attribute, else the item of that key.
    func member(_ name: String, of value: JinjaValue) throws(ChatTemplateError) -> JinjaValue {
        if let found = try attribute(name, of: value) { return found }
        if case .dictionary(let dictionary) = value, let found = dictionary.value(of: name) { return found }
        return .undefined("\(value.typeName) object has no attribute '\(name)'")
    }

    /// `value[key]`: the item of that key, else a method or attribute of that name.
    func item(_ key: JinjaValue, of value: JinjaValue) throws(ChatTemplateError) -> JinjaValue {
        switch value {
        case .undefined(let name): throw undefinedFailure(name)
        case .dictionary(let dictionary):
            if let hashed = try hashed(key), let found = dictionary.value(of: hashed) { return found }
        case .list(let list), .tuple(let list):
            if let index = key.wholeNumber, let found = element(index, of: list.elements) { return found }
        case .string(let text, _):
            if let index = key.wholeNumber {
                try spend(text.utf8.count / 16)
                let scalars = Array(text.unicodeScalars)
                if let found = element(index, of: scalars) { return .string(String(found), isSafe: value.isSafeText) }
            }
        case .range(let range):
            if let index = key.wholeNumber, let found = element(index, of: range.elements) { return found }
        default: break
        }
        if case .string(let name, _) = key, let found = try attribute(name, of: value) { return found }
        return .undefined("\(value.typeName) object has no element \(try represented(key))")
    }

    private func element<Element>(_ index: Int, of elements: [Element]) -> Element? {
        let position = index < 0 ? index + elements.count : index
        return elements.indices.contains(position) ? elements[position] : nil
    }

    private func sliced(
        _ value: JinjaValue, _ slice: TemplateSlice, _ scope: TemplateScope
    ) throws(ChatTemplateError) -> JinjaValue {
        let bounds = (try bound(slice.start, scope), try bound(slice.stop, scope), try bound(slice.step, scope))
        if bounds.2 == 0 { throw failure("slice step cannot be zero") }
        switch value {
        case .list(let list): return try checked(.list(sliced(list.elements, bounds)))
        case .tuple(let list): return try checked(.tuple(JinjaList(sliced(list.elements, bounds))))
        case .string(let text, let isSafe):
            try spend(text.utf8.count / 16)
            var scalars = String.UnicodeScalarView()
            scalars.append(contentsOf: sliced(Array(text.unicodeScalars), bounds))
            return try checked(.string(String(scalars), isSafe: isSafe))
        case .range(let range): return .range(range.sliced(indices(bounds, count: range.count)))
        case .undefined(let name): throw undefinedFailure(name)
        default: throw failure("'\(value.typeName)' object is not subscriptable")
        }
    }

    private func bound(_ expression: TemplateExpression?, _ scope: TemplateScope) throws(ChatTemplateError) -> Int? {
        guard let expression else { return nil }
        let value = try evaluate(expression, scope)
        if case .none = value { return nil }
        try refuseWide(value)
        guard let number = value.wholeNumber else {
            throw failure("slice indices must be integers or None, not \(value.typeName)")
        }
        return number
    }

    /// The indices that a slice takes, clamped as Python does.
    private func indices(_ bounds: (Int?, Int?, Int?), count: Int) -> (start: Int, stop: Int, step: Int) {
        let step = bounds.2 ?? 1
        let (lowest, highest) = step > 0 ? (0, count) : (-1, count - 1)
        func clamped(_ bound: Int?, _ missing: Int) -> Int {
            guard let bound else { return missing }
            return min(max(bound < 0 ? bound.addingReportingOverflow(count).partialValue : bound, lowest), highest)
        }
        return (clamped(bounds.0, step > 0 ? 0 : count - 1), clamped(bounds.1, step > 0 ? count : -1), step)
    }

    private func sliced<Element>(_ elements: [Element], _ bounds: (Int?, Int?, Int?)) -> [Element] {
        var (index, stop, step) = indices(bounds, count: elements.count)
        var output: [Element] = []
        while step > 0 ? index < stop : index > stop {
            output.append(elements[index])
            let (next, overflow) = index.addingReportingOverflow(step)
            if overflow { break }
            index = next
        }
        return output
    }

    /// Python's `str(value)`.
    func text(_ value: JinjaValue) throws(ChatTemplateError) -> String {
        switch value {
        case .string(let text, _): return text
        case .undefined: return ""
        default: return try represented(value)
        }
    }

    /// Python's `repr(value)`.
    func represented(_ value: JinjaValue) throws(ChatTemplateError) -> String {
        var writer = PythonRepresentation(limit: sizeLimit, visits: remainingSteps)
        writer.represent(value)
        if let type = writer.unprintable {
            throw failure("a '\(type)' object has no text of its own; a filter such as 'list' or a call may be missing")
        }
        if writer.isCut { throw exceeded("the text of a value grows too large") }
        try spend(writer.visits + writer.output.count / 64)
        return writer.text
    }
}
