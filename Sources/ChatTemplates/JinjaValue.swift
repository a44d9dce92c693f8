internal import JSON

/// A value while a template runs; behaves as the Python value that Jinja would hold.
enum JinjaValue {
    /// Carries what was missing, for messages.
    case undefined(String)
    case none
    case bool(Bool)
    case int(Int)
    /// A whole number beyond 64 bits, as its digits with their sign.
    case wide(String)
    case float(Double)
    /// Safe text is what `safe` and `escape` return; text that is added to it is escaped for HTML.
    case string(String, isSafe: Bool = false)
    case list(JinjaList)
    case tuple(JinjaList)
    case dictionary(JinjaDictionary)
    case range(JinjaRange)
    case view(JinjaView)
    case iterator(JinjaIterator)
    case namespace(JinjaNamespace)
    case loop(JinjaLoop)
    case callable(JinjaCallable)
}

/// Elements and how many levels of containers they make; bounded, so that values can be walked and freed recursively.
struct JinjaList {
    let elements: [JinjaValue]
    let depth: Int
    /// How many steps a walk over all of it takes at most.
    let weight: Int
    /// By which names a tuple's elements are attributes, too.
    let names: [String]

    init(_ elements: [JinjaValue], names: [String] = []) {
        self.elements = elements
        self.names = names
        depth = 1 + (elements.lazy.map(\.depth).max() ?? 0)
        weight = elements.reduce(1) { min(JinjaValue.weightLimit, $0 + $1.weight) }
    }
}

/// A `dict`: keys in the order in which they were first set.
struct JinjaDictionary {
    private(set) var keys: [JinjaValue] = []
    private(set) var values: [JinjaValue] = []
    private var positions: [JinjaKey: Int] = [:]
    private(set) var depth = 1
    /// How many steps a walk over all of it takes at most.
    private(set) var weight = 1

    var count: Int { keys.count }

    func value(of key: JinjaKey) -> JinjaValue? {
        positions[key].map { values[$0] }
    }

    /// Sets a key; returns false when a value of that kind cannot be one.
    mutating func set(_ key: JinjaValue, _ value: JinjaValue) -> Bool {
        guard let hashed = JinjaKey(key) else { return false }
        depth = max(depth, value.depth + 1, key.depth + 1)
        let known = positions[hashed]
        weight = min(JinjaValue.weightLimit, weight + value.weight + (known == nil ? key.weight : 0))
        if let position = known {
            if weight < JinjaValue.weightLimit { weight -= values[position].weight }
            values[position] = value
        } else {
            positions[hashed] = keys.count
            keys.append(key)
            values.append(value)
        }
        return true
    }

    mutating func set(_ key: String, _ value: JinjaValue) {
        _ = set(.string(key), value)
    }

    func value(of key: String) -> JinjaValue? {
        value(of: .string(ExactText(key)))
    }

    /// Key and value pairs as tuples.
    var items: [JinjaValue] {
        zip(keys, values).map { .tuple(JinjaList([$0, $1])) }
    }
}

/// What may be a dictionary key, equal as in Python: `1`, `1.0` and `True` are one key.
indirect enum JinjaKey: Hashable {
    case undefined
    case none
    case int(Int)
    case wide(String)
    case float(Double)
    case string(ExactText)
    case tuple([JinjaKey])

    init?(_ value: JinjaValue) {
        switch value {
        case .undefined: self = .undefined
        case .none: self = .none
        case .bool(let flag): self = .int(flag ? 1 : 0)
        case .int(let number): self = .int(number)
        case .wide(let digits): self = .wide(digits)
        case .float(let number):
            if let whole = Int(exactly: number) {
                self = .int(whole)
            } else if number.isFinite, number.magnitude > 1e18, let digits = WideNumber.digits(number) {
                self = .wide(digits)
            } else {
                self = .float(number)
            }
        case .string(let text, _): self = .string(ExactText(text))
        case .tuple(let list):
            var keys: [JinjaKey] = []
            for element in list.elements {
                guard let key = JinjaKey(element) else { return nil }
                keys.append(key)
            }
            self = .tuple(keys)
        default: return nil
        }
    }
}

/// The one kind of value that a template may change: `namespace(…)`.
final class JinjaNamespace {
    var members: JinjaDictionary

    init(_ members: JinjaDictionary) {
        self.members = members
    }
}

/// A function, macro or bound method.
final class JinjaCallable {
    typealias Body = (TemplateEvaluator, JinjaArguments) throws(ChatTemplateError) -> JinjaValue

    let name: String
    let depth: Int
    /// What `str` shows; nil for what Python shows by its address.
    let text: String?
    let member: (String) -> JinjaValue?
    let body: Body

    /// `receiver` is the value that the body holds on to, if any.
    init(
        _ name: String, receiver: JinjaValue? = nil, text: String? = nil,
        member: @escaping (String) -> JinjaValue? = { _ in nil }, _ body: @escaping Body
    ) {
        self.name = name
        depth = 1 + (receiver?.depth ?? 0)
        self.text = text
        self.member = member
        self.body = body
    }
}

/// The `loop` variable of a running loop.
final class JinjaLoop {
    let items: [JinjaValue]
    var index = 0
    let level: Int
    /// Runs the loop's body over other items, for `loop(…)` in a recursive loop.
    let recurse: JinjaCallable.Body?
    var lastChanged: [JinjaValue]?

    init(items: [JinjaValue], level: Int, recurse: JinjaCallable.Body?) {
        self.items = items
        self.level = level
        self.recurse = recurse
    }
}

/// The evaluated arguments of a call.
struct JinjaArguments {
    var positional: [JinjaValue] = []
    var named: [(name: String, value: JinjaValue)] = []

    /// The argument at that position or of that name.
    func value(_ position: Int, _ name: String) -> JinjaValue? {
        positional.indices.contains(position) ? positional[position] : named.first { $0.name == name }?.value
    }

    func dropping(_ count: Int) -> JinjaArguments {
        JinjaArguments(positional: Array(positional.dropFirst(count)), named: named)
    }
}

extension JinjaValue {
    /// How deep containers nest inside; zero for what is no container.
    var depth: Int {
        switch self {
        case .list(let list), .tuple(let list): list.depth
        case .dictionary(let dictionary): dictionary.depth
        case .callable(let callable): callable.depth
        case .view(let view): 1 + view.dictionary.depth
        case .iterator(let iterator): iterator.depth
        case .undefined, .none, .bool, .int, .wide, .float, .string, .range, .namespace, .loop: 0
        }
    }

    static func list(_ elements: [JinjaValue]) -> JinjaValue { .list(JinjaList(elements)) }

    var isSafeText: Bool {
        if case .string(_, isSafe: true) = self { true } else { false }
    }

    var isUndefined: Bool {
        if case .undefined = self { true } else { false }
    }

    /// Python's name of the type.
    var typeName: String {
        switch self {
        case .undefined: "Undefined"
        case .none: "NoneType"
        case .bool: "bool"
        case .int, .wide: "int"
        case .float: "float"
        case .string: "str"
        case .list: "list"
        case .tuple: "tuple"
        case .dictionary: "dict"
        case .range: "range"
        case .view(let view): view.kind.rawValue
        case .iterator(let iterator): iterator.typeName
        case .namespace: "Namespace"
        case .loop: "LoopContext"
        case .callable: "function"
        }
    }

    var isTrue: Bool {
        switch self {
        case .undefined, .none: false
        case .bool(let flag): flag
        case .int(let number): number != 0
        case .wide: true
        case .float(let number): number != 0
        case .string(let text, _): !text.isEmpty
        case .list(let list), .tuple(let list): !list.elements.isEmpty
        case .dictionary(let dictionary): dictionary.count > 0
        case .range(let range): range.count > 0
        case .view(let view): view.dictionary.count > 0
        case .iterator, .namespace, .loop, .callable: true
        }
    }

    /// The number that this is in arithmetic; true is one, and one beyond 64 bits is none.
    var wholeNumber: Int? {
        switch self {
        case .bool(let flag): flag ? 1 : 0
        case .int(let number): number
        default: nil
        }
    }

    var number: Double? {
        if case .float(let number) = self { number } else { wholeNumber.map(Double.init) }
    }

    /// What iteration yields, or nil for an iterator and when there is nothing to iterate.
    var iterated: [JinjaValue]? {
        switch self {
        case .undefined: []
        case .string(let text, _): text.unicodeScalars.map { .string(String($0)) }
        case .range(let range): range.elements
        case .view(let view): view.elements
        case .list(let list), .tuple(let list): list.elements
        case .dictionary(let dictionary): dictionary.keys
        default: nil
        }
    }

    /// Python's `len`.
    var length: Int? {
        switch self {
        case .undefined: 0
        case .string(let text, _): text.unicodeScalars.count
        case .list(let list), .tuple(let list): list.elements.count
        case .dictionary(let dictionary): dictionary.count
        case .range(let range): range.count
        case .view(let view): view.dictionary.count
        case .loop(let loop): loop.items.count
        default: nil
        }
    }

    var isIterable: Bool {
        switch self {
        case .undefined, .string, .list, .tuple, .dictionary, .range, .view, .iterator, .loop: true
        case .none, .bool, .int, .wide, .float, .namespace, .callable: false
        }
    }

    /// Whether this has a length and items.
    var isSequence: Bool {
        switch self {
        case .undefined, .string, .list, .tuple, .dictionary, .range: true
        default: false
        }
    }

    /// The value with the keys of all dictionaries in order, as far as they have one.
    var sortedByKeys: JinjaValue {
        switch self {
        case .list(let list): return .list(list.elements.map(\.sortedByKeys))
        case .tuple(let list): return .tuple(JinjaList(list.elements.map(\.sortedByKeys)))
        case .dictionary(let dictionary):
            var sorted = JinjaDictionary()
            for pair in zip(dictionary.keys, dictionary.values).sorted(by: { $0.0.isLess(than: $1.0) ?? false }) {
                _ = sorted.set(pair.0, pair.1.sortedByKeys)
            }
            return .dictionary(sorted)
        default: return self
        }
    }
}
