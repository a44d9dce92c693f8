extension JinjaValue {
    /// Where weights stop to grow: far beyond what a rendering may spend.
    static let weightLimit = 1 << 40

    /// How many steps it takes at most to walk over the whole value, parts that are shared counted each time they are met.
    var weight: Int {
        switch self {
        case .string(let text, _), .wide(let text): 1 + text.utf8.count / 64
        case .list(let list), .tuple(let list): list.weight
        case .dictionary(let dictionary): dictionary.weight
        case .view(let view): Self.product(view.dictionary.weight, 1 + view.dictionary.count)
        default: 1
        }
    }

    static func product(_ weight: Int, _ count: Int) -> Int {
        let (product, overflow) = weight.multipliedReportingOverflow(by: count)
        return overflow ? weightLimit : min(product, weightLimit)
    }

    /// How many steps `equals` takes at most.
    fileprivate static func costOfEquality(_ left: JinjaValue, _ right: JinjaValue) -> Int {
        switch (left, right) {
        case (.string(let a, _), .string(let b, _)): a.utf8.count == b.utf8.count ? a.utf8.count / 64 : 0
        case (.list(let a), .list(let b)), (.tuple(let a), .tuple(let b)):
            a.elements.count == b.elements.count ? a.weight + b.weight : 0
        case (.dictionary(let a), .dictionary(let b)): a.count == b.count ? a.weight + b.weight : 0
        case (.view, .view): left.weight + right.weight
        default: 0
        }
    }

    /// How many steps `isLess` takes at most: on every level it compares the first elements that differ once more.
    fileprivate static func costOfOrder(_ left: JinjaValue, _ right: JinjaValue) -> Int {
        switch (left, right) {
        case (.string(let a, _), .string(let b, _)): min(a.utf8.count, b.utf8.count) / 64
        case (.list(let a), .list(let b)), (.tuple(let a), .tuple(let b)):
            product(a.weight + b.weight, 1 + min(a.depth, b.depth))
        default: 0
        }
    }
}

/// Work that is paid for before it is done.
extension TemplateEvaluator {
    /// Python's `==`.
    func isEqual(_ left: JinjaValue, _ right: JinjaValue) throws(ChatTemplateError) -> Bool {
        try spend(JinjaValue.costOfEquality(left, right))
        return left.equals(right)
    }

    /// Python's `<`; nil where the two have no order.
    func isLess(_ left: JinjaValue, _ right: JinjaValue) throws(ChatTemplateError) -> Bool? {
        try spend(JinjaValue.costOfOrder(left, right))
        return left.isLess(than: right)
    }

    /// The value as a key of dictionaries; nil when it cannot be one.
    func hashed(_ value: JinjaValue) throws(ChatTemplateError) -> JinjaKey? {
        try spend(8 * (value.weight - 1))
        return JinjaKey(value)
    }

    /// Python's `in`; nil when the container cannot contain.
    func contains(_ element: JinjaValue, in container: JinjaValue) throws(ChatTemplateError) -> Bool? {
        switch container {
        case .undefined: return false
        case .string(let text, _):
            guard case .string(let part, _) = element else { return nil }
            try spend(text.utf8.count / 16)
            return PythonText.find(part, in: text) != nil
        case .dictionary(let dictionary): return try hashed(element).map { dictionary.value(of: $0) != nil }
        case .list, .tuple, .range, .view: return try index(of: element, in: container.iterated ?? []) != nil
        default: return nil
        }
    }

    /// Where the first equal element stands.
    func index(of wanted: JinjaValue, in elements: some Collection<JinjaValue>) throws(ChatTemplateError) -> Int? {
        for (index, element) in elements.enumerated() {
            try spend()
            if try isEqual(element, wanted) { return index }
        }
        return nil
    }

    /// Throws when a text of that many bytes may not be made any more.
    func affordText(_ byteCount: Int) throws(ChatTemplateError) {
        if byteCount > sizeLimit { throw exceeded("a text grows beyond \(sizeLimit) bytes") }
        try afford(byteCount / 64)
    }

    /// The text with occurrences replaced, at most `limit` of them.
    func replacing(
        _ text: String, _ old: String, with new: String, limit: Int
    ) throws(ChatTemplateError) -> String {
        try spend(1 + text.utf8.count / 16)
        let found = old.isEmpty ? text.unicodeScalars.count + 1 : PythonText.count(old, in: text)
        let cuts = min(found, limit)
        try spend(cuts)
        try affordText(text.utf8.count + cuts * (new.utf8.count - old.utf8.count))
        return PythonText.replacing(text, old, with: new, limit: limit)
    }
}
