internal import JSON

/// The places of a JSON Schema as numbers, and what sets of them say together.
final class SchemaReader {
    private let root: JSONValue
    private var numbers: [ExactText: Int] = [:]
    private(set) var places: [String] = []
    private var schemas: [JSONValue] = []
    let effort: Effort
    /// Places whose `oneOf` is looked at, or was.
    private var checked: Set<Int> = []
    /// Those that are looked at now, one for the sake of the other.
    private var checkDepth = 0
    /// Schemas that are made of a denial: what they name is not there because it was found right.
    private var denials: Set<Int> = []
    /// By place.
    private var knownAlternatives: [Int: [[[Int]]]] = [:]
    private let features: Features

    /// What a document holds anywhere, in keywords or elsewhere.
    private struct Features {
        var hasInnerID = false
        var hasUnevaluated = false

        mutating func find(in value: JSONValue, isRoot: Bool) {
            for (name, inner) in value.objectValue ?? JSONObject() {
                if name == "$id", !isRoot, inner.stringValue != nil { hasInnerID = true }
                if name == "unevaluatedProperties" || name == "unevaluatedItems" { hasUnevaluated = true }
                find(in: inner, isRoot: false)
            }
            for inner in value.arrayValue ?? [] { find(in: inner, isRoot: false) }
        }
    }

    /// Most ways that choices of one value make together.
    private static let maxWays = 128
    private static let maxChecks = 16
    private static let maxPlaces = 1 << 14
    /// Most members that one schema names, and most values of an enumeration.
    static let maxNames = 1 << 12
    /// Most patterns of names in one object: their matches are told apart in all ways.
    static let maxPatterns = 4
    /// A count beyond this is as good as this: both are too many to be told apart.
    private static let maxCount = 1 << 30

    init(_ root: JSONValue, _ effort: Effort) throws(GuideError) {
        self.root = root
        self.effort = effort
        var features = Features()
        features.find(in: root, isRoot: true)
        self.features = features
        _ = try number(of: root, at: "#")
    }

    private func number(of schema: JSONValue, at place: String) throws(GuideError) -> Int {
        if let known = numbers[ExactText(place)] { return known }
        guard places.count < Self.maxPlaces else { throw GuideError("the schema has more than \(Self.maxPlaces) parts") }
        try check(schema, at: place)
        numbers[ExactText(place)] = places.count
        places.append(place)
        schemas.append(schema)
        return places.count - 1
    }

    func child(_ schema: JSONValue, _ path: String..., of parent: Int) throws(GuideError) -> Int {
        let steps = path.map { "/" + $0.replacing("~", with: "~0").replacing("/", with: "~1") }
        return try number(of: schema, at: places[parent] + steps.joined())
    }

    private func check(_ schema: JSONValue, at place: String) throws(GuideError) {
        guard schema.boolValue == nil else { return }
        guard let object = schema.objectValue else { throw GuideError("a schema is an object or a boolean, not \(schema.kind)", at: place) }
        for (name, value) in object where !Self.known.contains(name) && !Self.isNote(name) {
            // A value that asks for nothing.
            if name == "nullable", value == false { continue }
            throw GuideError("the keyword \(name.prefix(60)) is not supported", at: place)
        }
    }

    private static let known: Set<String> = [
        "type", "enum", "const", "anyOf", "oneOf", "allOf", "not", "if", "then", "else", "$ref", "$defs", "definitions", "properties", "required",
        "patternProperties", "additionalProperties", "unevaluatedProperties", "propertyNames", "dependentRequired", "dependentSchemas", "minProperties",
        "maxProperties", "items", "prefixItems", "unevaluatedItems", "contains", "uniqueItems", "minItems", "maxItems", "minLength", "maxLength", "pattern", "format", "minimum", "maximum",
        "exclusiveMinimum", "exclusiveMaximum", "multipleOf",
    ]
    /// Keywords that say nothing of which values are right.
    private static let notes: Set<String> = [
        "title", "description", "default", "examples", "example", "$schema", "$id", "$anchor", "$comment", "deprecated", "readOnly", "writeOnly",
        "contentMediaType", "contentEncoding", "contentSchema", "discriminator", "strict",
    ]

    /// Whether a keyword says nothing of which values are right.
    static func isNote(_ keyword: String) -> Bool { notes.contains(keyword) || keyword.hasPrefix("x-") || keyword == "$defs" || keyword == "definitions" }

    /// A choice of branches on the way.
    private struct Way {
        struct Part {
            var schema: Int
            /// The schemas that lead to it without a member or an element between.
            var above: [Int]
        }
        var facets = SchemaFacets()
        var left: [Part]
        var seen: Set<Int> = []

        func adding(_ part: Part) -> Way {
            var way = self
            way.left.append(part)
            return way
        }
    }

    /// The ways in which a value can satisfy all of these schemas; none where no value can.
    func ways(_ schemas: [Int]) throws(GuideError) -> [SchemaFacets] {
        var done: [SchemaFacets] = []
        var work: [Way] = [Way(left: schemas.map { Way.Part(schema: $0, above: []) })]
        while var way = work.popLast() {
            try effort.spend(16)
            guard let part = way.left.popLast() else {
                try way.facets.addUnevaluated(denials, effort)
                if way.facets.kinds?.isEmpty != true, way.facets.values?.isEmpty != true { done.append(way.facets) }
                guard done.count <= Self.maxWays else { throw GuideError("anyOf, oneOf and allOf make more than \(Self.maxWays) ways together", at: places[schemas.first ?? 0]) }
                continue
            }
            let next = part.schema
            try effort.spend(part.above.count / 8)
            guard !part.above.contains(next) else { throw GuideError("the schema refers to itself without a member or element between", at: places[next]) }
            guard way.seen.insert(next).inserted else {
                work.append(way)
                continue
            }
            guard let object = self.schemas[next].objectValue else {
                if self.schemas[next] != false { work.append(way) }
                continue
            }
            let above = part.above + [next]
            try read(object, next, within: features.hasUnevaluated ? above : [], into: &way.facets)
            way.left += try conjuncts(object, next).map { Way.Part(schema: $0, above: above) }
            var ways = [way]
            for choices in try alternatives(object, next) {
                ways = ways.flatMap { way in choices.map { $0.reduce(way) { $0.adding(Way.Part(schema: $1, above: above)) } } }
                guard ways.count + work.count <= Self.maxWays else { throw GuideError("choices make more than \(Self.maxWays) ways together", at: places[next]) }
            }
            for name in ["anyOf", "oneOf"] {
                guard let value = object[name] else { continue }
                let branches = try self.branches(value, name, next)
                if name == "oneOf", checked.insert(next).inserted { try check(branches, of: next) }
                ways = ways.flatMap { way in branches.map { way.adding(Way.Part(schema: $0, above: above)) } }
                guard ways.count + work.count <= Self.maxWays else { throw GuideError("anyOf, oneOf and allOf make more than \(Self.maxWays) ways together", at: places[next]) }
            }
            work += ways.reversed()
        }
        return done
    }

    private func check(_ branches: [Int], of place: Int) throws(GuideError) {
        guard checkDepth < Self.maxChecks else { throw GuideError("oneOf nests deeper than \(Self.maxChecks) levels", at: places[place]) }
        checkDepth += 1
        try checkExclusive(branches, at: place)
        checkDepth -= 1
    }

    func branches(_ value: JSONValue, _ name: String, _ parent: Int) throws(GuideError) -> [Int] {
        guard let list = value.arrayValue, !list.isEmpty else { throw GuideError("\(name) must be a list of schemas", at: places[parent]) }
        var numbers: [Int] = []
        for (index, schema) in list.enumerated() { numbers.append(try child(schema, name, "\(index)", of: parent)) }
        return numbers
    }

    /// What must hold besides.
    private func conjuncts(_ object: JSONObject, _ place: Int) throws(GuideError) -> [Int] {
        var numbers: [Int] = []
        if let value = object["allOf"] { numbers += try branches(value, "allOf", place).reversed() }
        if let value = object["$ref"] { numbers.append(try target(of: value, from: place)) }
        if let value = object["not"], SchemaNegation.deniedTexts(value) == nil { numbers.append(try denial(of: value, "not", place)) }
        return numbers
    }

    /// What holds exactly where a schema does not. No pointer leads to the place: it has no such keyword.
    private func denial(of schema: JSONValue, _ name: String, _ place: Int) throws(GuideError) -> Int {
        let path = places[place] + "/\(name) denied"
        if let known = numbers[ExactText(path)] { return known }
        guard let made = SchemaNegation.negated(schema) else {
            throw GuideError(
                "the keyword \(name) is only supported of type, of enum and const of strings and null, of const of a boolean, of required and properties with such schemas, and of not",
                at: places[place])
        }
        let number = try number(of: made, at: path)
        denials.insert(number)
        return number
    }

    /// Of each keyword that says what must hold if something else does: the choices, each of schemas that hold together.
    private func alternatives(_ object: JSONObject, _ place: Int) throws(GuideError) -> [[[Int]]] {
        if let known = knownAlternatives[place] { return known }
        let made = try dependents(object, place) + conditions(object, place)
        knownAlternatives[place] = made
        return made
    }

    private func dependents(_ object: JSONObject, _ place: Int) throws(GuideError) -> [[[Int]]] {
        var result: [[[Int]]] = []
        for keyword in ["dependentRequired", "dependentSchemas"] {
            guard let value = object[keyword] else { continue }
            guard let members = value.objectValue else { throw GuideError("\(keyword) must be an object", at: places[place]) }
            for (index, (name, inner)) in members.enumerated() {
                let present: JSONValue
                if keyword == "dependentSchemas" {
                    present = ["required": [.string(name)], "allOf": [inner]]
                } else {
                    guard let names = inner.arrayValue else { throw GuideError("dependentRequired must hold lists of names", at: places[place]) }
                    present = ["required": .array([.string(name)] + names)]
                }
                let path = places[place] + "/\(keyword) \(index)"
                let absent: JSONValue = ["properties": .object(JSONObject([(name, .bool(false))]))]
                result.append([[try number(of: absent, at: path + " absent")], [try number(of: present, at: path + " present")]])
            }
        }
        return result
    }

    private func conditions(_ object: JSONObject, _ place: Int) throws(GuideError) -> [[[Int]]] {
        guard let condition = object["if"] else {
            for name in ["then", "else"] where object[name] != nil { throw GuideError("\(name) without if is not supported", at: places[place]) }
            return []
        }
        guard object["then"] != nil || object["else"] != nil else { return [] }
        let holds = [try child(condition, "if", of: place), try child(object["then"] ?? true, "then", of: place)]
        return [[holds, [try denial(of: condition, "if", place), try child(object["else"] ?? true, "else", of: place)]]]
    }

    private func target(of value: JSONValue, from place: Int) throws(GuideError) -> Int {
        guard let reference = value.stringValue else { throw GuideError("$ref must be a string", at: places[place]) }
        guard reference == "#" || reference.hasPrefix("#/") else {
            throw GuideError("$ref \(reference.prefix(80)) is not supported: only places of the same schema are, such as #/$defs/name", at: places[place])
        }
        guard !features.hasInnerID else { throw GuideError("$ref is not supported in a schema with $id inside", at: places[place]) }
        var found = root
        var path = "#"
        for step in reference.split(separator: "/", omittingEmptySubsequences: false).dropFirst() {
            let name = step.unescapingPercents.replacing("~1", with: "/").replacing("~0", with: "~")
            guard let next = found[name] ?? Int(name).flatMap({ found[$0] }) else {
                throw GuideError("$ref \(reference.prefix(80)) leads nowhere", at: places[place])
            }
            found = next
            path += "/" + name.replacing("~", with: "~0").replacing("/", with: "~1")
        }
        return try number(of: found, at: path)
    }
}

extension Substring {
    fileprivate var unescapingPercents: String {
        guard contains("%") else { return String(self) }
        var (bytes, rest): ([UInt8], ArraySlice<UInt8>) = ([], Array(utf8)[...])
        while let byte = rest.popFirst() {
            if byte == 0x25, rest.count >= 2, let value = UInt8(String(decoding: rest.prefix(2), as: UTF8.self), radix: 16) {
                bytes.append(value)
                rest = rest.dropFirst(2)
            } else {
                bytes.append(byte)
            }
        }
        return String(decoding: bytes, as: UTF8.self)
    }
}

extension SchemaReader {
    /// What one schema says itself.
    private func read(_ object: JSONObject, _ place: Int, within: [Int], into facets: inout SchemaFacets) throws(GuideError) {
        if let value = object["type"] { facets.restrict(to: try kinds(value, place)) }
        if let value = object["enum"] {
            guard let values = value.arrayValue else { throw GuideError("enum must be a list", at: places[place]) }
            guard values.count <= Self.maxNames else { throw GuideError("enum holds more than \(Self.maxNames) values", at: places[place]) }
            try effort.spend(values.count * (1 + (facets.values?.count ?? 0)) / 8)
            facets.restrict(to: values)
        }
        if let value = object["const"] { facets.restrict(to: [value]) }
        if let denied = object["not"].flatMap({ SchemaNegation.deniedTexts($0) }) {
            guard denied.texts.count <= Self.maxNames else { throw GuideError("enum holds more than \(Self.maxNames) values", at: places[place]) }
            if denied.hasNull { facets.restrict(to: [.boolean, .number, .string, .array, .object]) }
            if !denied.texts.isEmpty { facets.strings.others.append(try StringLanguage.all(but: denied.texts, effort)) }
        }
        try readStrings(object, place, into: &facets)
        try readNumbers(object, place, into: &facets)
        try readElements(object, place, within, into: &facets)
        try readMembers(object, place, within, into: &facets)
        try readUnevaluated(object, place, into: &facets)
    }

    private func kinds(_ value: JSONValue, _ place: Int) throws(GuideError) -> Set<SchemaFacets.Kind> {
        var kinds: Set<SchemaFacets.Kind> = []
        for name in value.arrayValue ?? [value] {
            guard let kind = name.stringValue.flatMap({ SchemaFacets.Kind(rawValue: $0) }) else {
                throw GuideError("type \(name.serializedText.prefix(40)) is none of null, boolean, integer, number, string, array, object", at: places[place])
            }
            kinds.insert(kind)
        }
        if kinds.contains(.number) { kinds.remove(.integer) }
        return kinds
    }

    func count(_ name: String, _ object: JSONObject, _ place: Int) throws(GuideError) -> Int? {
        guard let value = object[name] else { return nil }
        guard let count = value.intValue, count >= 0 else { throw GuideError("\(name) must be a whole number of at least 0", at: places[place]) }
        return min(count, Self.maxCount)
    }

    private func text(_ name: String, _ object: JSONObject, _ place: Int) throws(GuideError) -> String? {
        guard let value = object[name] else { return nil }
        guard let text = value.stringValue else { throw GuideError("\(name) must be a string", at: places[place]) }
        return text
    }

    private func readStrings(_ object: JSONObject, _ place: Int, into facets: inout SchemaFacets) throws(GuideError) {
        if let least = try count("minLength", object, place) {
            facets.strings.minLength = max(facets.strings.minLength, least)
            facets.speak(of: .string)
        }
        if let most = try count("maxLength", object, place) {
            facets.strings.maxLength = min(facets.strings.maxLength ?? most, most)
            facets.speak(of: .string)
        }
        if let pattern = try text("pattern", object, place) {
            do throws(GuideError) { try RegexParser.check(pattern) } catch { throw GuideError("pattern: \(error.message)", at: places[place]) }
            if !facets.strings.patterns.contains(pattern) { facets.strings.patterns.append(pattern) }
            facets.speak(of: .string)
        }
        if let format = try text("format", object, place), !StringFormats.notes.contains(format) {
            if let bounds = NumberLanguage.bounds(of: format) {
                facets.numbers.lows.append(bounds.low)
                facets.numbers.highs.append(bounds.high)
                return facets.speak(of: .number)
            }
            guard StringFormats.pattern(of: format) != nil else {
                throw GuideError("the format \(format.prefix(40)) is not supported: only \(StringFormats.names.joined(separator: ", ")) are", at: places[place])
            }
            if !facets.formats.contains(format) { facets.formats.append(format) }
            facets.speak(of: .string)
        }
    }

    private func readNumbers(_ object: JSONObject, _ place: Int, into facets: inout SchemaFacets) throws(GuideError) {
        for name in ["minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf"] {
            guard let value = object[name] else { continue }
            guard let decimal = Decimal(value) else {
                throw GuideError("\(name) must be a number of at most \(NumberLanguage.maxDigits) digits before and behind the point", at: places[place])
            }
            facets.speak(of: .number)
            let bound = NumberLanguage.Bound(value: decimal, isExclusive: name.hasPrefix("exclusive"))
            switch name {
            case "multipleOf": facets.numbers.multiples.append(decimal)
            case "minimum", "exclusiveMinimum": facets.numbers.lows.append(bound)
            default: facets.numbers.highs.append(bound)
            }
        }
    }

    /// The shape of one schema; nil where it is made of a denial, or holds more than `shape` tells.
    func ownShape(of schema: Int) -> String? { denials.contains(schema) ? nil : Self.shape(schemas[schema])?.serializedText }

    /// Whether a schema lets anything come.
    func isTrue(_ schema: Int) -> Bool { schemas[schema] == true || schemas[schema].objectValue?.isEmpty == true }

    func isFalse(_ schema: Int) -> Bool { schemas[schema] == false }
}
