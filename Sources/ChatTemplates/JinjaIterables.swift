/// What `range(…)` returns: whole numbers that are counted, not stored.
struct JinjaRange: Equatable {
    let start: Int
    let stop: Int
    let step: Int
    let count: Int

    /// Nil when the step is zero or the count does not fit.
    init?(start: Int, stop: Int, step: Int) {
        guard step != 0 else { return nil }
        let (low, high) = step > 0 ? (start, stop) : (stop, start)
        let (distance, overflow) = high.subtractingReportingOverflow(low)
        if overflow { return nil }
        self.start = start
        self.stop = stop
        self.step = step
        count = distance <= 0 ? 0 : (distance - 1) / Int(clamping: step.magnitude) + 1
    }

    private init(start: Int, stop: Int, step: Int, count: Int) {
        self.start = start
        self.stop = stop
        self.step = step
        self.count = count
    }

    subscript(index: Int) -> Int { start &+ index &* step }

    var elements: [JinjaValue] { (0..<count).map { .int(self[$0]) } }

    /// The numbers at these indices.
    func sliced(_ indices: (start: Int, stop: Int, step: Int)) -> JinjaRange {
        let taken = JinjaRange(start: indices.start, stop: indices.stop, step: indices.step)
        return JinjaRange(
            start: self[indices.start], stop: self[indices.stop], step: step &* indices.step, count: taken?.count ?? 0)
    }

    static func == (left: JinjaRange, right: JinjaRange) -> Bool {
        left.count == right.count && (left.count == 0 || left.start == right.start)
            && (left.count < 2 || left.step == right.step)
    }
}

/// What `keys()`, `values()` and `items()` of a dictionary return.
struct JinjaView {
    enum Kind: String {
        case keys = "dict_keys"
        case values = "dict_values"
        case items = "dict_items"
    }

    let kind: Kind
    let dictionary: JinjaDictionary

    var elements: [JinjaValue] {
        switch kind {
        case .keys: dictionary.keys
        case .values: dictionary.values
        case .items: dictionary.items
        }
    }

    /// Keys and items are sets; values equal nothing.
    func equals(_ other: JinjaView) -> Bool {
        guard kind == other.kind, kind != .values, dictionary.count == other.dictionary.count else { return false }
        let others = other.elements
        return elements.allSatisfy { element in others.contains { $0.equals(element) } }
    }
}

/// What most filters return: elements that are computed when they are first asked for, and given out once.
final class JinjaIterator {
    typealias Source = (TemplateEvaluator) throws(ChatTemplateError) -> [JinjaValue]

    /// Python's name of the type, "generator" for most.
    let typeName: String
    let depth: Int
    private var source: Source?
    private var remaining: [JinjaValue] = []

    /// `receiver` is the value that the source holds on to.
    init(_ typeName: String, receiver: JinjaValue, _ source: @escaping Source) {
        self.typeName = typeName
        depth = 1 + receiver.depth
        self.source = source
    }

    private func load(_ evaluator: TemplateEvaluator) throws(ChatTemplateError) {
        guard let source else { return }
        self.source = nil
        remaining = try evaluator.nested { () throws(ChatTemplateError) in try source(evaluator) }.reversed()
    }

    func next(_ evaluator: TemplateEvaluator) throws(ChatTemplateError) -> JinjaValue? {
        try load(evaluator)
        return remaining.popLast()
    }

    /// Takes all elements that are left.
    func rest(_ evaluator: TemplateEvaluator) throws(ChatTemplateError) -> [JinjaValue] {
        try load(evaluator)
        defer { remaining = [] }
        return remaining.reversed()
    }

    /// Gives elements back to the front, when a loop stopped before them.
    func giveBack(_ elements: some Collection<JinjaValue>) {
        remaining += elements.reversed()
    }

    func removeAll() {
        source = nil
        remaining = []
    }
}
