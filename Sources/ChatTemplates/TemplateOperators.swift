extension TemplateEvaluator {
    func calculate(
        _ left: JinjaValue, _ symbol: ArithmeticOperator, _ right: JinjaValue
    ) throws(ChatTemplateError) -> JinjaValue {
        if case .modulo = symbol, case .string(let format, _) = left { return .string(try percentFormatted(format, right)) }
        for case .undefined(let name) in [left, right] { throw undefinedFailure(name) }
        try refuseWide(left, right)
        switch (symbol, left, right) {
        case (.add, .string(let a, let isSafe), .string(let b, let isOtherSafe)):
            try affordText(a.utf8.count + b.utf8.count)
            guard isSafe || isOtherSafe else { return .string(a + b) }
            return .string((isSafe ? a : escaped(a)) + (isOtherSafe ? b : escaped(b)), isSafe: true)
        case (.add, .list(let a), .list(let b)):
            try afford(a.elements.count + b.elements.count)
            return .list(a.elements + b.elements)
        case (.add, .tuple(let a), .tuple(let b)):
            try afford(a.elements.count + b.elements.count)
            return .tuple(JinjaList(a.elements + b.elements))
        case (.multiply, _, _):
            if let count = right.wholeNumber, let product = try repeated(left, count) { return product }
            if let count = left.wholeNumber, let product = try repeated(right, count) { return product }
        default: break
        }
        if symbol != .divide, let a = left.wholeNumber, let b = right.wholeNumber {
            return try calculateWhole(a, symbol, b)
        }
        guard let a = left.number, let b = right.number else {
            throw failure(
                "unsupported operand type(s) for \(symbol.symbol): '\(left.typeName)' and '\(right.typeName)'")
        }
        return .float(try calculateFloat(a, symbol, b))
    }

    private func repeated(_ value: JinjaValue, _ count: Int) throws(ChatTemplateError) -> JinjaValue? {
        func check(_ size: Int) throws(ChatTemplateError) {
            let (total, overflow) = size.multipliedReportingOverflow(by: max(count, 0))
            if overflow || total > sizeLimit { throw exceeded("a repetition grows beyond \(sizeLimit) elements") }
        }
        switch value {
        case .string(let text, _):
            try check(text.utf8.count)
            try affordText(text.utf8.count * max(count, 0))
            return .string(PythonText.repeated(text, count))
        case .list(let list), .tuple(let list):
            try check(list.elements.count)
            try spend(list.elements.count * max(count, 0))
            let times = list.elements.isEmpty ? 0 : max(count, 0)
            let elements = Array(repeatElement(list.elements, count: times).joined())
            if case .list = value { return .list(elements) }
            return .tuple(JinjaList(elements))
        default: return nil
        }
    }

    private func calculateWhole(_ a: Int, _ symbol: ArithmeticOperator, _ b: Int) throws(ChatTemplateError) -> JinjaValue {
        let result: Int?
        switch symbol {
        case .add: result = exact(a.addingReportingOverflow(b))
        case .subtract: result = exact(a.subtractingReportingOverflow(b))
        case .multiply, .divide: result = exact(a.multipliedReportingOverflow(by: b))
        case .floorDivide, .modulo:
            if b == 0 { throw failure("integer division or modulo by zero") }
            result = symbol == .modulo ? PythonNumber.modulo(a, b) : PythonNumber.floorDivided(a, b)
        case .power:
            if b < 0 {
                if a == 0 { throw failure("0.0 cannot be raised to a negative power") }
                return .float(PythonNumber.power(Double(a), Double(b)))
            }
            result = PythonNumber.power(a, b)
        }
        guard let result else { throw exceeded("a whole number grows beyond 64 bits") }
        return .int(result)
    }

    private func exact(_ result: (partialValue: Int, overflow: Bool)) -> Int? {
        result.overflow ? nil : result.partialValue
    }

    private func calculateFloat(_ a: Double, _ symbol: ArithmeticOperator, _ b: Double) throws(ChatTemplateError) -> Double {
        switch symbol {
        case .add: return a + b
        case .subtract: return a - b
        case .multiply: return a * b
        case .divide, .floorDivide, .modulo:
            if b == 0 { throw failure("division by zero") }
            if symbol == .divide { return a / b }
            let remainder = PythonNumber.modulo(a, b)
            if symbol == .modulo { return remainder }
            let quotient = ((a - remainder) / b).rounded()
            return quotient == 0 ? ((a / b).sign == .minus ? -0.0 : 0.0) : quotient
        case .power:
            if a == 0, b < 0 { throw failure("0.0 cannot be raised to a negative power") }
            return PythonNumber.power(a, b)
        }
    }

    func negated(_ value: JinjaValue) throws(ChatTemplateError) -> JinjaValue {
        try refuseWide(value)
        if let number = value.wholeNumber {
            guard number != .min else { throw exceeded("a whole number grows beyond 64 bits") }
            return .int(-number)
        }
        guard let number = value.number else { throw failure("bad operand type for unary -: '\(value.typeName)'") }
        return .float(-number)
    }

    func positive(_ value: JinjaValue) throws(ChatTemplateError) -> JinjaValue {
        try refuseWide(value)
        if let number = value.wholeNumber { return .int(number) }
        guard let number = value.number else { throw failure("bad operand type for unary +: '\(value.typeName)'") }
        return .float(number)
    }

    func compare(
        _ left: JinjaValue, _ comparator: ComparisonOperator, _ right: JinjaValue
    ) throws(ChatTemplateError) -> Bool {
        switch comparator {
        case .equal: return try isEqual(left, right)
        case .notEqual: return !(try isEqual(left, right))
        case .contained, .notContained:
            if case .iterator(let iterator) = right { return try contains(left, iterator) == (comparator == .contained) }
            guard let found = try contains(left, in: right) else {
                if case .dictionary = right { throw failure("unhashable type: '\(left.typeName)'") }
                if case .string = right {
                    throw failure("'in <string>' requires string as left operand, not \(left.typeName)")
                }
                throw failure("argument of type '\(right.typeName)' is not iterable")
            }
            return found == (comparator == .contained)
        case .less, .lessOrEqual, .greater, .greaterOrEqual:
            for case .undefined(let name) in [left, right] { throw undefinedFailure(name) }
            let isSwapped = comparator == .greater || comparator == .greaterOrEqual
            let (a, b) = isSwapped ? (right, left) : (left, right)
            guard let isLess = try isLess(a, b) else {
                throw failure(
                    "'\(comparator.symbol)' not supported between instances of '\(left.typeName)' and '\(right.typeName)'")
            }
            if isLess || comparator == .less || comparator == .greater { return isLess }
            return try isEqual(a, b)
        }
    }

    /// Takes elements up to the wanted one.
    private func contains(_ wanted: JinjaValue, _ iterator: JinjaIterator) throws(ChatTemplateError) -> Bool {
        while let element = try iterator.next(self) {
            try spend()
            if try isEqual(element, wanted) { return true }
        }
        return false
    }
}
