internal import JSON

/// What several schemas that must all hold say of a value, references and choices resolved.
struct SchemaFacets {
    enum Kind: String, CaseIterable, Sendable {
        case null, boolean, integer, number, string, array, object
    }

    /// What one schema says of the members of an object.
    struct Members {
        /// In order.
        var properties: [(name: String, schema: Int)] = []
        /// Of members whose name holds a pattern.
        var patterns: [(pattern: String, names: Automaton, schema: Int)] = []
        /// The schema of all other members; nil where nothing is said.
        var others: Int?
        /// Of `unevaluatedProperties`: what says which members its schema is not of.
        var evaluated: [Members]?
        /// The schemas that lead to it without a member or an element between, its own among them; kept where some say what is unevaluated.
        var within: [Int] = []

        func schemas(of name: String) -> [Int] {
            var found = patterns.filter { $0.names.accepts(name.utf8) }.map(\.schema)
            if let own = properties.first(where: { $0.name.isExactly(name) }) { found.append(own.schema) }
            if found.isEmpty, let others, evaluated?.contains(where: { $0.names(name) }) != true { found.append(others) }
            return found
        }

        /// How much there is to look through for a name.
        var size: Int { properties.count + patterns.count + (evaluated?.reduce(0) { $0 + $1.properties.count + $1.patterns.count } ?? 0) }

        func names(_ name: String) -> Bool {
            properties.contains { $0.name.isExactly(name) } || patterns.contains { $0.names.accepts(name.utf8) }
        }
    }

    /// What one schema says of the elements of a list.
    struct Elements {
        var prefix: [Int] = []
        /// Of `unevaluatedItems`: the first element that its schema is of.
        var first = 0
        var others: Int?
        /// As of members.
        var within: [Int] = []

        func schema(at index: Int) -> Int? { index < prefix.count ? prefix[index] : index < first ? nil : others }
    }

    /// What one schema says of the members and elements of which nothing below it speaks.
    struct Unevaluated {
        var place: Int
        var members: Int?
        var elements: Int?
    }

    /// Nil where no schema says it.
    var kinds: Set<Kind>?
    var values: [JSONValue]?
    var numbers = NumberLanguage()
    var strings = StringLanguage()
    var formats: [String] = []
    var members: [Members] = []
    var required: [String] = []
    var minProperties = 0
    var maxProperties: Int?
    /// Schemas of all names.
    var names: [Int] = []
    var elements: [Elements] = []
    var minItems = 0
    var maxItems: Int?
    var isUnique = false
    /// Schemas of which each must hold for some element.
    var contains: [Int] = []
    var unevaluated: [Unevaluated] = []
    /// Kinds of which some keyword speaks.
    private(set) var spokenOf: Set<Kind> = []

    /// The kinds that may come: where no schema names a type, those that its keywords speak of.
    var effectiveKinds: Set<Kind> {
        if let kinds { return kinds }
        return spokenOf.isEmpty ? [.null, .boolean, .number, .string, .array, .object] : spokenOf
    }

    mutating func speak(of kind: Kind) { spokenOf.insert(kind) }

    mutating func restrict(to others: Set<Kind>) {
        guard let kinds else {
            kinds = others
            return
        }
        var both = kinds.intersection(others)
        if kinds.contains(.integer) && others.contains(.number) || kinds.contains(.number) && others.contains(.integer) { both.insert(.integer) }
        if both.contains(.number) { both.remove(.integer) }
        self.kinds = both
    }

    mutating func restrict(to others: [JSONValue]) {
        values = values.map { $0.filter { value in others.contains { Self.equal($0, value) } } } ?? others
    }

    /// JSON Schema's equality: numbers by value.
    static func equal(_ left: JSONValue, _ right: JSONValue) -> Bool {
        switch (left, right) {
        case (.array(let first), .array(let second)):
            return first.count == second.count && zip(first, second).allSatisfy { equal($0, $1) }
        case (.object(let first), .object(let second)):
            return first.count == second.count && first.allSatisfy { key, value in second[key].map { equal(value, $0) } ?? false }
        default:
            if let first = left.doubleValue, let second = right.doubleValue { return first == second }
            return left == right
        }
    }

    static func kinds(of value: JSONValue) -> Set<Kind> {
        switch value {
        case .null: [.null]
        case .bool: [.boolean]
        case .int, .wide: [.integer, .number]
        case .double(let number): number == number.rounded() ? [.integer, .number] : [.number]
        case .string: [.string]
        case .array: [.array]
        case .object: [.object]
        }
    }

    /// Whether a value of an enumeration satisfies the rest; throws where that is not decided here.
    func admits(_ value: JSONValue, at place: String, _ effort: Effort) throws(GuideError) -> Bool {
        let kinds = Self.kinds(of: value)
        if let own = self.kinds, own.isDisjoint(with: kinds) { return false }
        if let text = value.stringValue { return strings.isAny && formats.isEmpty ? true : try texts(effort).accepts(text.utf8) }
        if let number = value.doubleValue {
            guard numbers.multiples.isEmpty else { throw GuideError("multipleOf beside enum or const is not supported", at: place) }
            func compare(_ bounds: [NumberLanguage.Bound], _ sign: Double) -> Bool {
                bounds.allSatisfy { bound in
                    let difference = sign * (number - bound.value.double)
                    return bound.isExclusive ? difference > 0 : difference >= 0
                }
            }
            return compare(numbers.lows, 1) && compare(numbers.highs, -1)
        }
        let isBound = kinds.contains(.object) ? spokenOf.contains(.object) : kinds.contains(.array) && spokenOf.contains(.array)
        guard !isBound else { throw GuideError("enum or const of a list or an object beside keywords for its content is not supported", at: place) }
        return true
    }

    /// The strings that may come, as automaton.
    func texts(_ effort: Effort) throws(GuideError) -> Automaton { try language(effort).text(effort) }

    /// The strings' language, formats included.
    func language(_ effort: Effort) throws(GuideError) -> StringLanguage {
        var language = strings
        for format in formats {
            guard let pattern = StringFormats.pattern(of: format) else { throw GuideError("the format \(format.prefix(40)) is not supported") }
            language.others.append(try RegexParser.whole(pattern, effort).merged())
        }
        return language
    }
}

extension Decimal {
    /// The nearest number.
    var double: Double {
        func digits(_ digits: [UInt8]) -> String { digits.isEmpty ? "0" : String(decoding: digits.map { $0 + 48 }, as: UTF8.self) }
        return Double("\(isNegative ? "-" : "")\(digits(whole)).\(digits(fraction))") ?? 0
    }
}

/// The formats of JSON Schema that a guide holds to, as patterns of whole texts.
enum StringFormats {
    private static let date =
        "(?:[1-9]\\d{3}-(?:(?:0[13578]|1[02])-(?:0[1-9]|[12]\\d|3[01])|(?:0[469]|11)-(?:0[1-9]|[12]\\d|30)|02-(?:0[1-9]|1\\d|2[0-8]))"
        + "|(?:[1-9]\\d(?:0[48]|[2468][048]|[13579][26])|(?:[2468][048]|[13579][26])00)-02-29)"
    private static let time = "(?:[01]\\d|2[0-3]):[0-5]\\d:[0-5]\\d(?:\\.\\d{1,9})?(?:Z|[+-](?:[01]\\d|2[0-3]):[0-5]\\d)"
    /// Without two hyphens in the third and fourth place, which are of encoded names (RFC 5891).
    private static let label = "[A-Za-z0-9](?:[A-Za-z0-9-]{0,2}[A-Za-z0-9]|[A-Za-z0-9-](?:[A-Za-z0-9][A-Za-z0-9-]|-[A-Za-z0-9])[A-Za-z0-9-]{0,58}[A-Za-z0-9])?"
    private static let octet = "(?:25[0-5]|2[0-4]\\d|1\\d\\d|[1-9]?\\d)"
    private static let group = "[0-9A-Fa-f]{1,4}"
    private static let duration =
        "P(?:\\d{1,9}W|(?:\\d{1,9}Y(?:\\d{1,9}M(?:\\d{1,9}D)?)?|\\d{1,9}M(?:\\d{1,9}D)?|\\d{1,9}D)(?:\(durationTime))?|\(durationTime))"
    private static let durationTime = "T(?:\\d{1,9}H(?:\\d{1,9}M(?:\\d{1,9}S)?)?|\\d{1,9}M(?:\\d{1,9}S)?|\\d{1,9}S)"
    private static let uriCharacter = "(?:[A-Za-z0-9._~!$&'()*+,;=:@-]|%[0-9A-Fa-f]{2})"
    private static let uriHost = "(?:[A-Za-z0-9._~!$&'()*+,;=-]|%[0-9A-Fa-f]{2})"
    private static let uriAuthority = "(?:(?:\(uriHost)|:)*@)?\(uriHost)+(?::\\d{1,5})?"
    private static let ipv6 =
        "(?:(?:\(group):){7}\(group)|(?:\(group):){1,6}:\(group)|(?:\(group):){1,5}(?::\(group)){2}|(?:\(group):){1,4}(?::\(group)){3}"
        + "|(?:\(group):){1,3}(?::\(group)){4}|(?:\(group):){1,2}(?::\(group)){5}|\(group):(?::\(group)){6}|:(?::\(group)){1,7}|(?:\(group):){1,7}:|::)"

    /// Formats that say what a value is for, and not which are right.
    static let notes: Set<String> = ["password", "binary", "path", "float", "double"]

    static let names = ["date", "time", "date-time", "duration", "email", "hostname", "ipv4", "ipv6", "uuid", "uri", "base64"]

    /// Nil for a format that is not known.
    static func pattern(of format: String) -> String? {
        switch format {
        case "date": date
        case "time": time
        case "date-time": date + "T" + time
        case "duration": duration
        case "email": "[A-Za-z0-9_+-]{1,20}(?:\\.[A-Za-z0-9_+-]{1,20}){0,2}@(?:[A-Za-z0-9](?:[A-Za-z0-9-]{0,30}[A-Za-z0-9])?\\.){1,3}[A-Za-z]{2,20}"
        case "hostname": "\(label)(?:\\.\(label)){0,2}"
        case "ipv4": "\(octet)(?:\\.\(octet)){3}"
        case "ipv6": ipv6
        case "uuid": "[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}"
        case "base64": "(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?"
        case "uri": "[A-Za-z][A-Za-z0-9+.-]{0,30}:(?://\(uriAuthority)(?:/\(uriCharacter)*)*|\(uriCharacter)+(?:/\(uriCharacter)*)*)(?:\\?(?:\(uriCharacter)|[/?])*)?(?:#(?:\(uriCharacter)|[/?])*)?"
        default: nil
        }
    }
}
