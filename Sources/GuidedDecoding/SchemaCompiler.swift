internal import JSON

/// Makes a grammar of a JSON Schema, whose texts are JSON documents that satisfy it.
///
/// Members come in the schema's order; those that no schema names only where `additionalProperties` says so, or where no member is
/// named at all. Space is as pretty printers set it: behind brackets, commas and colons one space, or a line break with at most
/// `maxIndent` spaces or tabs.
final class SchemaCompiler {
    let reader: SchemaReader
    private var rules: [Expression?] = []
    private var numbers: [[Int]: Int] = [:]
    private var shapes: [ExactText: Int] = [:]
    private var waiting: [(rule: Int, schemas: [Int])] = []
    private var anyStringRule: Int?
    var effort: Effort { reader.effort }

    static let maxIndent = 20
    /// Most characters of a text of a format where `maxLength` lets more come: each length has its own states.
    private static let maxFormatted = 256

    /// The number of the first rule, where others come before.
    private let first: Int

    init(_ reader: SchemaReader, first: Int) { (self.reader, self.first) = (reader, first) }

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

    func finish() throws(GuideError) -> [Automaton] {
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
        let shape = reader.shape(of: key).map { ExactText($0) }
        let known = shape.flatMap { shapes[$0] }
        let rule = known ?? newRule()
        numbers[key] = rule
        if let shape { shapes[shape] = rule }
        guard known == nil else { return rule }
        waiting.append((rule, key))
        return rule
    }

    func value(_ schemas: [Int]) throws(GuideError) -> Expression { .rule(try rule(for: schemas)) }

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

    func expressions(_ way: SchemaFacets) throws(GuideError) -> [Expression] {
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
                var language = try way.language(effort)
                if !way.formats.isEmpty, language.minLength <= Self.maxFormatted { language.maxLength = language.maxLength.map { min($0, Self.maxFormatted) } }
                result.append(language.isAny ? anyString() : try string(language))
            case .array: result.append(try list(way))
            case .object: result.append(try object(way))
            }
        }
        return result
    }

    /// The one rule of strings that nothing is said of.
    func anyString() -> Expression {
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
        let prefix = way.elements.reduce(0) { max($0, $1.prefix.count, $1.first) }
        func schemas(at index: Int) -> [Int] { way.elements.compactMap { $0.schema(at: index) } }
        var most = way.maxItems
        for index in 0...prefix where schemas(at: index).contains(where: reader.isFalse) { most = min(most ?? index, index) }
        if way.isUnique, !way.contains.isEmpty { throw GuideError("contains beside uniqueItems is not supported") }
        if way.isUnique, most.map({ $0 > 1 }) ?? true { return try unique(way, most, prefix) }
        let count = most ?? max(prefix, way.minItems, 1)
        guard way.minItems <= count, count <= AutomatonBuilder.maxRepetitions else {
            guard way.minItems <= count else { return .never }
            throw GuideError("lists of \(count) elements are too long for a guide")
        }
        guard way.contains.count <= 1 else { throw GuideError("contains is not supported twice for one list") }
        // Places are before the bracket, then behind each number of elements, without and with the one that `contains` asks for, and at the end.
        let layers = way.contains.count + 1
        var network = Expression.Network(placeCount: (count + 1) * layers + 2)
        func place(_ length: Int, _ layer: Int) -> Int { 1 + length * layers + layer }
        network.links.append((0, place(0, 0), .sequence([.text("["), Self.space])))
        func link(_ index: Int, to next: Int) throws(GuideError) {
            let schemas = schemas(at: index)
            func link(_ from: Int, _ to: Int, _ schemas: [Int]) throws(GuideError) {
                let element = try value(schemas)
                network.links.append((from, to, index == 0 ? element : .sequence([Self.comma, element])))
            }
            let start = min(index, count)
            for layer in 0..<layers { try link(place(start, layer), place(next, layer), schemas) }
            if layers == 2 { try link(place(start, 0), place(next, 1), schemas + way.contains) }
        }
        for index in 0..<count { try link(index, to: index + 1) }
        if most == nil { try link(max(count, prefix), to: count) }
        for length in way.minItems...count { network.links.append((place(length, layers - 1), network.placeCount - 1, .sequence([Self.space, .text("]")]))) }
        return .network(network)
    }

    static let comma = Expression.sequence([.text(","), space])

    /// Most values of which a list may hold each once.
    private static let maxUnique = 8

    /// A list of different values of an enumeration: places are sets of those that have come.
    private func unique(_ way: SchemaFacets, _ most: Int?, _ prefix: Int) throws(GuideError) -> Expression {
        var values: [JSONValue] = []
        for one in try reader.ways(way.elements.compactMap { $0.schema(at: 0) }) {
            guard prefix == 0, let named = one.values else {
                throw GuideError("the keyword uniqueItems is only supported of lists of at most one element, and of enum or const")
            }
            for value in named where try one.admits(value, at: "", effort) && !values.contains(where: { SchemaFacets.equal($0, value) }) {
                values.append(value)
                guard values.count <= Self.maxUnique else { throw GuideError("the keyword uniqueItems is only supported of at most \(Self.maxUnique) values") }
            }
        }
        let sets = 1 << values.count
        var network = Expression.Network(placeCount: sets + 2)
        network.links.append((0, 1, .sequence([.text("["), Self.space])))
        for set in 0..<sets {
            if set.nonzeroBitCount >= way.minItems { network.links.append((1 + set, sets + 1, .sequence([Self.space, .text("]")]))) }
            guard most.map({ set.nonzeroBitCount < $0 }) ?? true else { continue }
            for (index, value) in values.enumerated() where set >> index & 1 == 0 {
                let text = Expression.text(value.serializedText)
                network.links.append((1 + set, 1 + (set | 1 << index), set == 0 ? text : .sequence([Self.comma, text])))
            }
        }
        return .network(network)
    }
}
