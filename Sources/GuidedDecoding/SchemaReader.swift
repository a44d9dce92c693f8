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

    /// Most ways that choices of one value make together.
    private static let maxWays = 128
    private static let maxChecks = 16
    private static let maxPlaces = 1 << 14
    /// Most members that one schema names, and most values of an enumeration.
    private static let maxNames = 1 << 12
    /// A count beyond this is as good as this: both are too many to be told apart.
    private static let maxCount = 1 << 30

    init(_ root: JSONValue, _ effort: Effort) throws(GuideError) {
        self.root = root
        self.effort = effort
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

    private func child(_ schema: JSONValue, _ path: String..., of parent: Int) throws(GuideError) -> Int {
        let steps = path.map { "/" + $0.replacing("~", with: "~0").replacing("/", with: "~1") }
        return try number(of: schema, at: places[parent] + steps.joined())
    }

    private func check(_ schema: JSONValue, at place: String) throws(GuideError) {
        guard schema.boolValue == nil else { return }
        guard let object = schema.objectValue else { throw GuideError("a schema is an object or a boolean, not \(schema.kind)", at: place) }
        for (name, value) in object where !Self.known.contains(name) && !Self.notes.contains(name) && !name.hasPrefix("x-") {
            // Values that ask for nothing.
            if name == "uniqueItems", value == false { continue }
            if name == "minProperties", value == 0 { continue }
            if name == "nullable", value == false { continue }
            throw GuideError("the keyword \(name.prefix(60)) is not supported", at: place)
        }
    }

    private static let known: Set<String> = [
        "type", "enum", "const", "anyOf", "oneOf", "allOf", "$ref", "$defs", "definitions", "properties", "required", "additionalProperties",
        "maxProperties", "items", "prefixItems", "minItems", "maxItems", "minLength", "maxLength", "pattern", "format", "minimum", "maximum",
        "exclusiveMinimum", "exclusiveMaximum", "multipleOf",
    ]
    /// Keywords that say nothing of which values are right.
    private static let notes: Set<String> = [
        "title", "description", "default", "examples", "example", "$schema", "$id", "$comment", "deprecated", "readOnly", "writeOnly",
        "contentMediaType", "contentEncoding", "contentSchema", "discriminator", "strict",
    ]

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
            try read(object, next, into: &way.facets)
            way.left += try conjuncts(object, next).map { Way.Part(schema: $0, above: above) }
            var ways = [way]
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

    private func branches(_ value: JSONValue, _ name: String, _ parent: Int) throws(GuideError) -> [Int] {
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
        return numbers
    }

    private func target(of value: JSONValue, from place: Int) throws(GuideError) -> Int {
        guard let reference = value.stringValue else { throw GuideError("$ref must be a string", at: places[place]) }
        guard reference == "#" || reference.hasPrefix("#/") else {
            throw GuideError("$ref \(reference.prefix(80)) is not supported: only places of the same schema are, such as #/$defs/name", at: places[place])
        }
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
    private func read(_ object: JSONObject, _ place: Int, into facets: inout SchemaFacets) throws(GuideError) {
        if let value = object["type"] { facets.restrict(to: try kinds(value, place)) }
        if let value = object["enum"] {
            guard let values = value.arrayValue else { throw GuideError("enum must be a list", at: places[place]) }
            guard values.count <= Self.maxNames else { throw GuideError("enum holds more than \(Self.maxNames) values", at: places[place]) }
            try effort.spend(values.count * (1 + (facets.values?.count ?? 0)) / 8)
            facets.restrict(to: values)
        }
        if let value = object["const"] { facets.restrict(to: [value]) }
        try readStrings(object, place, into: &facets)
        try readNumbers(object, place, into: &facets)
        try readElements(object, place, into: &facets)
        try readMembers(object, place, into: &facets)
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

    private func count(_ name: String, _ object: JSONObject, _ place: Int) throws(GuideError) -> Int? {
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
            do throws(GuideError) { _ = try RegexParser.part(pattern) } catch { throw GuideError("pattern: \(error.message)", at: places[place]) }
            if !facets.strings.patterns.contains(pattern) { facets.strings.patterns.append(pattern) }
            facets.speak(of: .string)
        }
        if let format = try text("format", object, place) {
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

    private func readElements(_ object: JSONObject, _ place: Int, into facets: inout SchemaFacets) throws(GuideError) {
        var elements = SchemaFacets.Elements()
        if let value = object["prefixItems"] {
            elements.prefix = try branches(value, "prefixItems", place)
            facets.speak(of: .array)
        }
        if let value = object["items"] {
            elements.others = try child(value, "items", of: place)
            facets.speak(of: .array)
        }
        if !elements.prefix.isEmpty || elements.others != nil { facets.elements.append(elements) }
        if let least = try count("minItems", object, place) {
            facets.minItems = max(facets.minItems, least)
            facets.speak(of: .array)
        }
        if let most = try count("maxItems", object, place) {
            facets.maxItems = min(facets.maxItems ?? most, most)
            facets.speak(of: .array)
        }
    }

    private func readMembers(_ object: JSONObject, _ place: Int, into facets: inout SchemaFacets) throws(GuideError) {
        var members = SchemaFacets.Members()
        if let value = object["properties"] {
            guard let properties = value.objectValue else { throw GuideError("properties must be an object", at: places[place]) }
            guard properties.count <= Self.maxNames else { throw GuideError("properties holds more than \(Self.maxNames) names", at: places[place]) }
            for (name, schema) in properties { members.properties.append((name, try child(schema, "properties", name, of: place))) }
            facets.speak(of: .object)
        }
        if let value = object["additionalProperties"] {
            members.others = try child(value, "additionalProperties", of: place)
            facets.speak(of: .object)
        }
        if !members.properties.isEmpty || members.others != nil { facets.members.append(members) }
        if let most = try count("maxProperties", object, place) {
            facets.maxProperties = min(facets.maxProperties ?? most, most)
            facets.speak(of: .object)
        }
        guard let value = object["required"] else { return }
        facets.speak(of: .object)
        guard let names = value.arrayValue else { throw GuideError("required must be a list of names", at: places[place]) }
        guard names.count <= Self.maxNames else { throw GuideError("required holds more than \(Self.maxNames) names", at: places[place]) }
        try effort.spend(names.count * (names.count + facets.required.count) / 8)
        for name in names {
            guard let name = name.stringValue else { throw GuideError("required must be a list of names", at: places[place]) }
            if !facets.required.contains(where: { $0.isExactly(name) }) { facets.required.append(name) }
        }
    }

    /// Whether a schema lets anything come.
    func isTrue(_ schema: Int) -> Bool { schemas[schema] == true || schemas[schema].objectValue?.isEmpty == true }

    func isFalse(_ schema: Int) -> Bool { schemas[schema] == false }
}
