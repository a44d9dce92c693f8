internal import JSON

/// The arguments of a call as tags hold them, strings bare and other values as JSON.
extension SchemaCompiler {
    static let argumentEnd = "</parameter>"

    /// The language of a call's arguments, and the rules that it calls, numbered from `first` on.
    static func tags(_ schema: JSONValue, first: Int, _ effort: Effort) throws(GuideError) -> (arguments: Expression, rules: [Automaton]) {
        let compiler = SchemaCompiler(try SchemaReader(schema, effort), first: first)
        var choices: [Expression] = []
        for way in try compiler.reader.ways([0]) { if let arguments = try compiler.tags(way) { choices.append(arguments) } }
        return (.choice(choices), try compiler.finish())
    }

    /// Those that are named in the schema's order; others only where none is named at all. Nil for an object that cannot be.
    private func tags(_ way: SchemaFacets) throws(GuideError) -> Expression? {
        if let values = way.values {
            guard values.allSatisfy({ $0.objectValue?.isEmpty == true }) else { throw GuideError("enum and const of arguments are not supported where they stand in tags") }
            return values.isEmpty ? nil : .empty
        }
        guard way.effectiveKinds.contains(.object), let members = members(way, try nameLanguages(way)) else { return nil }
        guard way.minProperties <= members.count(where: \.isRequired), way.maxProperties ?? members.count >= members.count else {
            throw GuideError("minProperties and maxProperties are not supported where arguments stand in tags")
        }
        if members.isEmpty, way.members.isEmpty {
            let name = Expression.loop(.scalars(ScalarSet([0...0x20, 0x3C...0x3C, 0x3E...0x3E]).inverted), min: 1, max: nil)
            return .loop(tag(name, .automaton(try bare(.loop(.anyScalar, min: 0, max: nil)))), min: 0, max: nil)
        }
        var tags: [Expression] = []
        for member in members {
            guard !member.name.contains(where: { "<>\n".contains($0) }) else { throw GuideError("the name \(member.name.prefix(40)) cannot stand in a tag") }
            let tag = tag(.text(member.name), try bare(member.schemas))
            tags.append(member.isRequired ? tag : .optional(tag))
        }
        return .sequence(tags)
    }

    private func tag(_ name: Expression, _ value: Expression) -> Expression {
        .sequence([.text("<parameter="), name, .text(">\n"), value, .text("\n\(Self.argumentEnd)\n")])
    }

    /// Values of an argument. A text is a string wherever one may come, so that beside strings there is null alone.
    private func bare(_ schemas: [Int]) throws(GuideError) -> Expression {
        if schemas.allSatisfy(reader.isTrue) { return .automaton(try bare(.loop(.anyScalar, min: 0, max: nil))) }
        var (strings, others, kinds) = ([Expression](), [Expression](), Set<SchemaFacets.Kind>())
        for var way in try reader.ways(schemas) {
            if let values = way.values {
                for value in values where try way.admits(value, at: "", effort) {
                    kinds.formUnion(SchemaFacets.kinds(of: value))
                    if let text = value.stringValue { strings.append(.text(text)) } else { others.append(.text(value.serializedText)) }
                }
                continue
            }
            kinds.formUnion(way.effectiveKinds)
            if way.effectiveKinds.contains(.string) { strings.append(.automaton(try way.texts(effort))) }
            way.kinds = way.effectiveKinds.subtracting([.string])
            others += try expressions(way)
        }
        guard strings.isEmpty || kinds.isSubset(of: [.string, .null]) else {
            throw GuideError("strings beside values of another type are not supported where arguments stand in tags", at: schemas.first.map { reader.places[$0] } ?? "")
        }
        return strings.isEmpty ? .choice(others) : .choice(others + [.automaton(try bare(.choice(strings)))])
    }

    /// Strings that do not end their tag.
    private func bare(_ strings: Expression) throws(GuideError) -> Automaton {
        let any = Expression.loop(.bytes(0, 255), min: 0, max: nil)
        let ending = try AutomatonBuilder.automaton(.sequence([any, .text(Self.argumentEnd), any]), effort)
        return try AutomatonBuilder.automaton(strings, effort).intersection(ending.complement(), effort)
    }
}
