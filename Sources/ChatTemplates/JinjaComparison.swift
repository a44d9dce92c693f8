internal import JSON

extension JinjaValue {
    /// Python's `==`.
    func equals(_ other: JinjaValue) -> Bool {
        switch (self, other) {
        case (.undefined, .undefined), (.none, .none): return true
        case (.string(let a, _), .string(let b, _)): return a.isExactly(b)
        case (.list(let a), .list(let b)), (.tuple(let a), .tuple(let b)):
            return a.elements.count == b.elements.count && zip(a.elements, b.elements).allSatisfy { $0.equals($1) }
        case (.dictionary(let a), .dictionary(let b)):
            guard a.count == b.count else { return false }
            return zip(a.keys, a.values).allSatisfy { key, value in
                JinjaKey(key).flatMap { b.value(of: $0) }.map { $0.equals(value) } ?? false
            }
        case (.range(let a), .range(let b)): return a == b
        case (.view(let a), .view(let b)): return a.equals(b)
        case (.iterator(let a), .iterator(let b)): return a === b
        case (.namespace(let a), .namespace(let b)): return a === b
        case (.loop(let a), .loop(let b)): return a === b
        case (.callable(let a), .callable(let b)): return a === b
        default:
            if let a = wholeNumber, let b = other.wholeNumber { return a == b }
            if let a = number, let b = other.number { return a == b }
            return isWide || other.isWide ? WideNumber.order(self, other) == .same : false
        }
    }

    /// Whether this comes before the other in Python's order; nil when the two have none.
    func isLess(than other: JinjaValue) -> Bool? {
        switch (self, other) {
        case (.string(let a, _), .string(let b, _)): return a.precedesExactly(b)
        case (.list(let a), .list(let b)), (.tuple(let a), .tuple(let b)):
            for (left, right) in zip(a.elements, b.elements) where !left.equals(right) { return left.isLess(than: right) }
            return a.elements.count < b.elements.count
        default:
            if let a = wholeNumber, let b = other.wholeNumber { return a < b }
            if let a = number, let b = other.number { return a < b }
            guard isWide || other.isWide, isNumber, other.isNumber else { return nil }
            return WideNumber.order(self, other) == .less
        }
    }
}

extension JinjaValue {
    /// A JSON document as a template sees it; nil when it nests too deep.
    init?(_ json: JSONValue, depthLimit: Int = TemplateEvaluator.valueDepthLimit) {
        guard depthLimit > 0 else { return nil }
        switch json {
        case .null: self = .none
        case .bool(let flag): self = .bool(flag)
        case .int(let number): self = .int(number)
        case .wide(let digits): self = .wide(digits)
        case .double(let number): self = .float(number)
        case .string(let text): self = .string(text)
        case .array(let elements):
            var values: [JinjaValue] = []
            values.reserveCapacity(elements.count)
            for element in elements {
                guard let value = JinjaValue(element, depthLimit: depthLimit - 1) else { return nil }
                values.append(value)
            }
            self = .list(values)
        case .object(let object):
            var dictionary = JinjaDictionary()
            for (key, member) in object {
                guard let value = JinjaValue(member, depthLimit: depthLimit - 1) else { return nil }
                dictionary.set(key, value)
            }
            self = .dictionary(dictionary)
        }
    }
}
