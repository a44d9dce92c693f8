internal import JSON

/// Makes a grammar of a JSON Schema, whose texts are JSON documents that satisfy it.
///
/// Members come in the schema's order; those that no schema names only where `additionalProperties` says so, or where no member is
/// named at all. Space is as pretty printers set it: behind brackets, commas and colons one space, or a line break with at most
/// `maxIndent` spaces or tabs.
final class SchemaCompiler {
    private let reader: SchemaReader
    private var rules: [Expression?] = []
    private var numbers: [[Int]: Int] = [:]
    private var waiting: [(rule: Int, schemas: [Int])] = []
    private var anyStringRule: Int?
    private var effort: Effort { reader.effort }

    static let maxIndent = 20

    /// The number of the first rule, where others come before.
    private let first: Int

    private init(_ reader: SchemaReader, first: Int) { (self.reader, self.first) = (reader, first) }

    static func grammar(_ schema: JSONValue, _ effort: Effort) throws(GuideError) -> Grammar {
        try Grammar(automata(schema, first: 0, effort), names: { _ in "the schema" }, effort)
    }

    /// The rules of a schema, numbered from `first` on, which is the one of the whole document.
    static func automata(_ schema: JSONValue, first: Int, _ effort: Effort) throws(GuideError) -> [Automaton] {
        let compiler = SchemaCompiler(try SchemaReader(schema, effort), first: first)
        _ = try compiler.rule(for: [0])
        return try compiler.finish()
    }

    /// Any object.
    static func anyObject(_ effort: Effort) throws(GuideError) -> Grammar { try grammar(["type": "object"], effort) }

    private func finish() throws(GuideError) -> [Automaton] {
        while let next = waiting.popLast() { set(next.rule, try expression(next.schemas)) }
        var automata: [Automaton] = []
        for rule in rules { automata.append(try AutomatonBuilder.automaton(rule ?? .never, effort)) }
        return automata
    }

    private func newRule() -> Int {
        rules.append(nil)
        return first + rules.count - 1
    }

    private func set(_ rule: Int, _ expression: Expression) { rules[rule - first] = expression }

    /// The rule of values that satisfy all of these.
    private func rule(for schemas: [Int]) throws(GuideError) -> Int {
        let key = Set(schemas).filter { !reader.isTrue($0) }.sorted()
        if let known = numbers[key] { return known }
        let rule = newRule()
        numbers[key] = rule
        waiting.append((rule, key))
        return rule
    }

    private func value(_ schemas: [Int]) throws(GuideError) -> Expression { .rule(try rule(for: schemas)) }

    private func expression(_ schemas: [Int]) throws(GuideError) -> Expression {
        var choices: [Expression] = []
        for way in try reader.ways(schemas) {
            do throws(GuideError) {
                choices += try expressions(way)
            } catch {
                throw error.place.isEmpty ? GuideError(error.message, at: schemas.first.map { reader.places[$0] } ?? "") : error
            }
        }
        return choices.count == 1 ? choices[0] : .choice(choices)
    }

    private func expressions(_ way: SchemaFacets) throws(GuideError) -> [Expression] {
        if let values = way.values {
            var texts: [Expression] = []
            for value in values where try way.admits(value, at: "", effort) { texts.append(.text(value.serializedText)) }
            return texts
        }
        let kinds = way.effectiveKinds
        var result: [Expression] = []
        for kind in SchemaFacets.Kind.allCases where kinds.contains(kind) {
            switch kind {
            case .null: result.append(.text("null"))
            case .boolean: result += [.text("true"), .text("false")]
            case .integer, .number:
                var numbers = way.numbers
                numbers.isInteger = kind == .integer
                result.append(try numbers.expression(effort))
            case .string:
                let language = try way.language(effort)
                result.append(language.isAny ? anyString() : try string(language))
            case .array: result.append(try list(way))
            case .object: result.append(try object(way))
            }
        }
        return result
    }

    /// The one rule of strings that nothing is said of.
    private func anyString() -> Expression {
        if let known = anyStringRule { return .rule(known) }
        let rule = newRule()
        anyStringRule = rule
        set(rule, StringLanguage.any)
        return .rule(rule)
    }

    /// Strings of a rule of their own, whose states stay as they are made.
    private func string(_ language: StringLanguage) throws(GuideError) -> Expression {
        let rule = newRule()
        set(rule, try language.expression(effort))
        return .rule(rule)
    }

    static let space = Expression.optional(
        .choice([.text(" "), .sequence([.text("\n"), .loop(.any(of: " \t"), min: 0, max: maxIndent)])]))

    private func list(_ way: SchemaFacets) throws(GuideError) -> Expression {
        let prefix = way.elements.reduce(0) { max($0, $1.prefix.count) }
        func schemas(at index: Int) -> [Int] { way.elements.compactMap { $0.schema(at: index) } }
        var most = way.maxItems
        for index in 0...prefix where schemas(at: index).contains(where: reader.isFalse) { most = min(most ?? index, index) }
        let count = most ?? max(prefix, way.minItems, 1)
        guard way.minItems <= count, count <= AutomatonBuilder.maxRepetitions else {
            guard way.minItems <= count else { return .never }
            throw GuideError("lists of \(count) elements are too long for a guide")
        }
        // Place 0 is before the bracket, place n + 1 behind n elements, the last behind the closing bracket.
        var network = Expression.Network(placeCount: count + 3)
        network.links.append((0, 1, .sequence([.text("["), Self.space])))
        let comma = Expression.sequence([.text(","), Self.space])
        for index in 0..<count {
            let element = try value(schemas(at: index))
            network.links.append((index + 1, index + 2, index == 0 ? element : .sequence([comma, element])))
        }
        if most == nil { network.links.append((count + 1, count + 1, .sequence([comma, try value(schemas(at: max(count, prefix)))]))) }
        for length in way.minItems...count { network.links.append((length + 1, count + 2, .sequence([Self.space, .text("]")]))) }
        return .network(network)
    }

    /// A member that may come, in its place.
    private struct Member {
        var name: String
        var schemas: [Int]
        var isRequired: Bool
    }

    private func members(_ way: SchemaFacets) -> [Member]? {
        var names: [String] = []
        for group in way.members {
            for property in group.properties where !names.contains(where: { $0.isExactly(property.name) }) { names.append(property.name) }
        }
        for name in way.required where !names.contains(where: { $0.isExactly(name) }) { names.append(name) }
        var members: [Member] = []
        for name in names {
            let schemas = way.members.compactMap { $0.schema(of: name) }
            let isRequired = way.required.contains { $0.isExactly(name) }
            if schemas.contains(where: reader.isFalse) {
                if isRequired { return nil }
            } else {
                members.append(Member(name: name, schemas: schemas, isRequired: isRequired))
            }
        }
        return members
    }

    private func object(_ way: SchemaFacets) throws(GuideError) -> Expression {
        let named = way.members.reduce(way.required.count) { $0 + $1.properties.count }
        try effort.spend(named * named / 4)
        guard let members = members(way) else { return .never }
        let others = way.members.compactMap(\.others)
        let hasOthers = others.isEmpty ? way.members.isEmpty && way.required.isEmpty : !others.contains(where: reader.isFalse)
        if let most = way.maxProperties { return try counted(way, members, hasOthers ? others : nil, most) }
        // Two places for each member: where none has come yet, and where one has.
        let last = 2 * members.count + 3
        var network = Expression.Network(placeCount: last + 1)
        func place(_ index: Int, _ any: Bool) -> Int { 1 + 2 * index + (any ? 1 : 0) }
        network.links.append((0, place(0, false), .sequence([.text("{"), Self.space])))
        for (index, member) in members.enumerated() {
            let text = try self.member(.text(JSONValue.string(member.name).serializedText), member.schemas)
            for any in [false, true] {
                network.links.append((place(index, any), place(index + 1, true), any ? .sequence([Self.comma, text]) : text))
                if !member.isRequired { network.links.append((place(index, any), place(index + 1, any), .empty)) }
            }
        }
        let (none, some) = (place(members.count, false), place(members.count, true))
        if hasOthers {
            let other = try self.member(try otherName(way), others)
            network.links.append((none, some, other))
            network.links.append((some, some, .sequence([Self.comma, other])))
        }
        for end in [none, some] { network.links.append((end, last, .sequence([Self.space, .text("}")]))) }
        return .network(network)
    }

    private static let comma = Expression.sequence([.text(","), space])

    private func member(_ name: Expression, _ schemas: [Int]) throws(GuideError) -> Expression {
        .sequence([name, .text(":"), Self.space, try value(schemas)])
    }

    /// The name of a member that no schema names.
    private func otherName(_ way: SchemaFacets) throws(GuideError) -> Expression {
        let named = way.members.flatMap { $0.properties.map(\.name) } + way.required
        guard !named.isEmpty else { return anyString() }
        return try StringLanguage(others: [StringLanguage.all(but: named, effort)]).expression(effort)
    }

    /// An object of at most so many members.
    private func counted(_ way: SchemaFacets, _ members: [Member], _ others: [Int]?, _ most: Int) throws(GuideError) -> Expression {
        guard members.filter(\.isRequired).count <= most else { return .never }
        let limit = others == nil ? min(most, members.count) : most
        guard limit <= 256 else { throw GuideError("maxProperties \(most) is more than 256") }
        let last = (members.count + 1) * (limit + 1) + 1
        var network = Expression.Network(placeCount: last + 1)
        func place(_ index: Int, _ count: Int) -> Int { 1 + index * (limit + 1) + count }
        network.links.append((0, place(0, 0), .sequence([.text("{"), Self.space])))
        for (index, member) in members.enumerated() {
            let text = try self.member(.text(JSONValue.string(member.name).serializedText), member.schemas)
            for count in 0...limit {
                if count < limit { network.links.append((place(index, count), place(index + 1, count + 1), count > 0 ? .sequence([Self.comma, text]) : text)) }
                if !member.isRequired { network.links.append((place(index, count), place(index + 1, count), .empty)) }
            }
        }
        let other = try others.map { (others) throws(GuideError) in try self.member(try otherName(way), others) }
        for count in 0...limit {
            let end = place(members.count, count)
            if count < limit, let other { network.links.append((end, end + 1, count > 0 ? .sequence([Self.comma, other]) : other)) }
            network.links.append((end, last, .sequence([Self.space, .text("}")])))
        }
        return .network(network)
    }
}
