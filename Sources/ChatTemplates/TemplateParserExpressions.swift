extension TemplateParser {
    /// An expression of its kind, one level above its deepest part.
    private func node(
        _ kind: TemplateExpression.Kind, line: Int, above parts: [TemplateExpression?] = []
    ) throws(ChatTemplateError) -> TemplateExpression {
        let depth = 1 + (parts.lazy.map { $0?.depth ?? 0 }.max() ?? 0)
        guard depth <= 2 * Self.depthLimit else { throw failure("an expression nests too deep") }
        return TemplateExpression(kind: kind, line: line, depth: depth)
    }

    mutating func expression(withConditional: Bool = true) throws(ChatTemplateError) -> TemplateExpression {
        guard expressionDepth < Self.depthLimit else { throw failure("an expression nests too deep") }
        expressionDepth += 1
        defer { expressionDepth -= 1 }
        let line = line
        var value = try disjunction()
        while withConditional, take(name: "if") {
            let test = try disjunction()
            let otherwise = take(name: "else") ? try expression() : nil
            value = try node(
                .conditional(test: test, then: value, otherwise: otherwise), line: line, above: [value, test, otherwise])
        }
        return value
    }

    private mutating func disjunction() throws(ChatTemplateError) -> TemplateExpression {
        let line = line
        var parts = [try conjunction()]
        while take(name: "or") { parts.append(try conjunction()) }
        return parts.count == 1 ? parts[0] : try node(.or(parts), line: line, above: parts)
    }

    private mutating func conjunction() throws(ChatTemplateError) -> TemplateExpression {
        let line = line
        var parts = [try negation()]
        while take(name: "and") { parts.append(try negation()) }
        return parts.count == 1 ? parts[0] : try node(.and(parts), line: line, above: parts)
    }

    private mutating func negation() throws(ChatTemplateError) -> TemplateExpression {
        let line = line
        var count = 0
        while take(name: "not") { count += 1 }
        var value = try comparison()
        for _ in 0..<count { value = try node(.not(value), line: line, above: [value]) }
        return value
    }

    private mutating func comparison() throws(ChatTemplateError) -> TemplateExpression {
        let line = line
        let first = try sum()
        var rest: [(ComparisonOperator, TemplateExpression)] = []
        while let comparator = takeComparator() { rest.append((comparator, try sum())) }
        if rest.isEmpty { return first }
        return try node(.comparison(first, rest), line: line, above: [first] + rest.map(\.1))
    }

    private mutating func takeComparator() -> ComparisonOperator? {
        let comparator: ComparisonOperator
        switch current.kind {
        case .symbol("=="): comparator = .equal
        case .symbol("!="): comparator = .notEqual
        case .symbol("<"): comparator = .less
        case .symbol("<="): comparator = .lessOrEqual
        case .symbol(">"): comparator = .greater
        case .symbol(">="): comparator = .greaterOrEqual
        case .name("in"): comparator = .contained
        case .name("not") where next.kind == .name("in"):
            advance()
            comparator = .notContained
        default: return nil
        }
        advance()
        return comparator
    }

    private mutating func sum() throws(ChatTemplateError) -> TemplateExpression {
        try chain(["+": .add, "-": .subtract]) { (parser) throws(ChatTemplateError) in try parser.concatenation() }
    }

    private mutating func concatenation() throws(ChatTemplateError) -> TemplateExpression {
        let line = line
        var parts = [try product()]
        while take(symbol: "~") { parts.append(try product()) }
        return parts.count == 1 ? parts[0] : try node(.concatenation(parts), line: line, above: parts)
    }

    private mutating func product() throws(ChatTemplateError) -> TemplateExpression {
        try chain(["*": .multiply, "/": .divide, "//": .floorDivide, "%": .modulo]) {
            (parser) throws(ChatTemplateError) in try parser.power()
        }
    }

    private mutating func power() throws(ChatTemplateError) -> TemplateExpression {
        try chain(["**": .power]) { (parser) throws(ChatTemplateError) in try parser.unary() }
    }

    private mutating func chain(
        _ operators: [String: ArithmeticOperator],
        of operand: (inout TemplateParser) throws(ChatTemplateError) -> TemplateExpression
    ) throws(ChatTemplateError) -> TemplateExpression {
        let line = line
        let first = try operand(&self)
        var rest: [(ArithmeticOperator, TemplateExpression)] = []
        while case .symbol(let symbol) = current.kind, let found = operators[symbol] {
            advance()
            rest.append((found, try operand(&self)))
        }
        if rest.isEmpty { return first }
        return try node(.arithmetic(first, rest), line: line, above: [first] + rest.map(\.1))
    }

    private mutating func unary() throws(ChatTemplateError) -> TemplateExpression {
        let line = line
        var signs: [Bool] = []
        while isSymbol("-") || isSymbol("+") {
            signs.append(isSymbol("-"))
            advance()
        }
        var value = try postfix(try primary())
        for isNegative in signs.reversed() {
            value = try postfix(try node(isNegative ? .negative(value) : .positive(value), line: line, above: [value]))
        }
        return try filtersAndTests(value)
    }

    private mutating func primary() throws(ChatTemplateError) -> TemplateExpression {
        let line = line
        let token = current
        advance()
        switch token.kind {
        case .name("true"), .name("True"): return try node(.literal(.bool(true)), line: line)
        case .name("false"), .name("False"): return try node(.literal(.bool(false)), line: line)
        case .name("none"), .name("None"): return try node(.literal(.none), line: line)
        case .name(let name):
            namesRead.append(name)
            return try node(.name(name), line: line)
        case .string(var text):
            while case .string(let more) = current.kind {
                text += more
                advance()
            }
            return try node(.literal(.string(text)), line: line)
        case .int(let value): return try node(.literal(.int(value)), line: line)
        case .float(let value): return try node(.literal(.float(value)), line: line)
        case .symbol("("):
            let value = try tuple(inParentheses: true)
            try expect(symbol: ")")
            return value
        case .symbol("["):
            let elements = try elements(upTo: "]")
            return try node(.list(elements), line: line, above: elements)
        case .symbol("{"): return try dictionary(line)
        default:
            stepBack()
            throw failure("unexpected \(seen)")
        }
    }

    /// One expression, or a tuple when commas follow.
    mutating func tuple(
        withConditional: Bool = true, endingAt end: String? = nil, inParentheses: Bool = false
    ) throws(ChatTemplateError) -> TemplateExpression {
        let line = line
        var parts: [TemplateExpression] = []
        var isTuple = false
        while true {
            if isTupleEnd || (end.map(isName) ?? false) { break }
            parts.append(try expression(withConditional: withConditional))
            guard take(symbol: ",") else { break }
            isTuple = true
        }
        if !isTuple, let only = parts.first { return only }
        guard isTuple || inParentheses else { throw failure("expected an expression, found \(seen)") }
        return try node(.tuple(parts), line: line, above: parts)
    }

    private var isTupleEnd: Bool {
        current.kind == .variableEnd || current.kind == .blockEnd || isSymbol(")")
    }

    private mutating func elements(upTo end: String) throws(ChatTemplateError) -> [TemplateExpression] {
        var elements: [TemplateExpression] = []
        while !isSymbol(end) {
            if !elements.isEmpty { try expect(symbol: ",") }
            if isSymbol(end) { break }
            elements.append(try expression())
        }
        advance()
        return elements
    }

    private mutating func dictionary(_ line: Int) throws(ChatTemplateError) -> TemplateExpression {
        var pairs: [(key: TemplateExpression, value: TemplateExpression)] = []
        while !isSymbol("}") {
            if !pairs.isEmpty { try expect(symbol: ",") }
            if isSymbol("}") { break }
            let key = try expression()
            try expect(symbol: ":")
            pairs.append((key, try expression()))
        }
        advance()
        return try node(.dictionary(pairs), line: line, above: pairs.flatMap { [$0.key, $0.value] })
    }

    private mutating func postfix(_ base: TemplateExpression) throws(ChatTemplateError) -> TemplateExpression {
        var value = base
        while true {
            let line = line
            if take(symbol: ".") {
                if case .int(let index) = current.kind {
                    advance()
                    let key = try node(.literal(.int(index)), line: line)
                    value = try node(.item(value, key), line: line, above: [value])
                } else {
                    value = try node(.attribute(value, try expectName()), line: line, above: [value])
                }
            } else if take(symbol: "[") {
                value = try subscripted(value, line)
            } else if isSymbol("(") {
                let arguments = try arguments()
                value = try node(.call(value, arguments), line: line, above: [value] + arguments.expressions)
            } else {
                return value
            }
        }
    }

    private mutating func subscripted(
        _ value: TemplateExpression, _ line: Int
    ) throws(ChatTemplateError) -> TemplateExpression {
        var slice = TemplateSlice()
        if !isSymbol(":") {
            var keys = [try expression()]
            while take(symbol: ",") { keys.append(try expression()) }
            if keys.count > 1 || !isSymbol(":") {
                let key = keys.count == 1 ? keys[0] : try node(.tuple(keys), line: line, above: keys)
                try expect(symbol: "]")
                return try node(.item(value, key), line: line, above: [value, key])
            }
            slice.start = keys[0]
        }
        try expect(symbol: ":")
        if !isSymbol(":"), !isSymbol("]") { slice.stop = try expression() }
        if take(symbol: ":"), !isSymbol("]") { slice.step = try expression() }
        try expect(symbol: "]")
        return try node(.slice(value, slice), line: line, above: [value, slice.start, slice.stop, slice.step])
    }

    private mutating func arguments() throws(ChatTemplateError) -> TemplateArguments {
        var arguments = TemplateArguments()
        try expect(symbol: "(")
        while !isSymbol(")") {
            if take(symbol: "*") {
                arguments.unpackedList = try expression()
            } else if take(symbol: "**") {
                arguments.unpackedDictionary = try expression()
            } else if case .name(let name) = current.kind, next.kind == .symbol("=") {
                advance()
                advance()
                guard arguments.unpackedDictionary == nil, !arguments.named.contains(where: { $0.name == name }) else {
                    throw failure("the named argument '\(name)' comes twice or after '**'")
                }
                arguments.named.append((name, try expression()))
            } else {
                guard arguments.named.isEmpty, arguments.unpackedList == nil, arguments.unpackedDictionary == nil else {
                    throw failure("a positional argument follows a named one")
                }
                arguments.positional.append(try expression())
            }
            if !isSymbol(")") { try expect(symbol: ",") }
        }
        advance()
        return arguments
    }

    private mutating func filtersAndTests(_ base: TemplateExpression) throws(ChatTemplateError) -> TemplateExpression {
        var value = base
        while true {
            let line = line
            if take(symbol: "|") {
                let filter = try filter()
                value = try node(.filter(value, filter), line: line, above: [value] + filter.arguments.expressions)
            } else if take(name: "is") {
                value = try test(value, line)
            } else if isSymbol("(") {
                let arguments = try arguments()
                value = try node(.call(value, arguments), line: line, above: [value] + arguments.expressions)
            } else {
                return value
            }
        }
    }

    /// A filter's name and arguments, after the bar.
    mutating func filter() throws(ChatTemplateError) -> TemplateFilter {
        let line = line
        let name = try expectName()
        return TemplateFilter(name: name, arguments: isSymbol("(") ? try arguments() : TemplateArguments(), line: line)
    }

    mutating func filterChain() throws(ChatTemplateError) -> [TemplateFilter] {
        var filters: [TemplateFilter] = []
        while take(symbol: "|") { filters.append(try filter()) }
        return filters
    }

    private mutating func test(_ value: TemplateExpression, _ line: Int) throws(ChatTemplateError) -> TemplateExpression {
        let isNegated = take(name: "not")
        let name = try expectName()
        var arguments = TemplateArguments()
        if isSymbol("(") {
            arguments = try self.arguments()
        } else if startsTestArgument {
            if isName("is") { throw failure("tests cannot be chained with 'is'") }
            arguments.positional = [try postfix(try primary())]
        }
        let test = TemplateFilter(name: name, arguments: arguments, line: line)
        let result = try node(.test(value, test), line: line, above: [value] + arguments.expressions)
        return isNegated ? try node(.not(result), line: line, above: [result]) : result
    }

    private var startsTestArgument: Bool {
        switch current.kind {
        case .name(let name): !["else", "or", "and"].contains(name)
        case .string, .int, .float, .symbol("["), .symbol("{"): true
        default: false
        }
    }
}

extension TemplateArguments {
    fileprivate var expressions: [TemplateExpression?] {
        positional + named.map(\.value) + [unpackedList, unpackedDictionary]
    }
}
