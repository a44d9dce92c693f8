internal import JSON

/// Objects: the members that are named in the schema's order, and behind them those that are not.
extension SchemaCompiler {
    /// A member that may come, in its place.
    struct Member {
        var name: String
        var schemas: [Int]
        var isRequired: Bool
    }

    func object(_ way: SchemaFacets) throws(GuideError) -> Expression {
        let named = way.members.reduce(way.required.count) { $0 + $1.size }
        try effort.spend(named * named / 4)
        let languages = try nameLanguages(way)
        guard let members = members(way, languages) else { return .never }
        let others = try others(way, members, languages)
        let least = way.minProperties <= members.count(where: \.isRequired) ? 0 : way.minProperties
        if least > 0 || way.maxProperties != nil { return try counted(members, others, least, way.maxProperties) }
        return try uncounted(members, others)
    }

    /// Two places for each number of members that are passed: before one that must come, and behind one. Space is nowhere written twice for a
    /// place, so that the states are as many as the names have bytes.
    private func uncounted(_ members: [Member], _ others: Expression?) throws(GuideError) -> Expression {
        let opened = 1
        func before(_ passed: Int) -> Int { 2 + 2 * passed }
        func behind(_ passed: Int) -> Int { 3 + 2 * passed }
        let closing = before(members.count + 1)
        var network = Expression.Network(placeCount: closing + 2)
        network.links.append((0, opened, .sequence([.text("{"), Self.space])))
        network.links.append((opened, before(0), .empty))
        for (index, member) in members.enumerated() {
            let text = try self.member(.text(JSONValue.string(member.name).serializedText), member.schemas)
            network.links.append((before(index), behind(index + 1), text))
            if !member.isRequired { network.links.append((before(index), before(index + 1), .empty)) }
        }
        if let others { network.links.append((before(members.count), behind(members.count), others)) }
        let free = members.lastIndex { $0.isRequired }.map { $0 + 1 } ?? 0
        if free == 0 { network.links.append((opened, closing, .empty)) }
        for passed in 0...members.count {
            if passed >= free { network.links.append((behind(passed), closing, .empty)) }
            if passed < members.count || others != nil { network.links.append((behind(passed), before(passed), Self.comma)) }
        }
        network.links.append((closing, closing + 1, .sequence([Self.space, .text("}")])))
        return .network(network)
    }

    /// Of objects with at least and at most so many members.
    private func counted(_ members: [Member], _ others: Expression?, _ least: Int, _ most: Int?) throws(GuideError) -> Expression {
        let required = members.count(where: \.isRequired)
        guard required <= most ?? required, least <= most ?? least, others != nil || least <= members.count else { return .never }
        // Names that are free may come twice, so that only the first of their members is certainly another one.
        guard others == nil || least <= required + 1 else {
            throw GuideError("minProperties \(least) is not supported beside names that are free: at most one more than are required")
        }
        let limit = most.map { others == nil ? min($0, members.count) : $0 } ?? least
        guard limit <= 256 else { throw GuideError("\(most == nil ? "minProperties" : "maxProperties") \(limit) is more than 256") }
        let last = (members.count + 1) * (limit + 1) + 1
        var network = Expression.Network(placeCount: last + 1)
        func place(_ index: Int, _ count: Int) -> Int { 1 + index * (limit + 1) + min(count, limit) }
        network.links.append((0, place(0, 0), .sequence([.text("{"), Self.space])))
        for (index, member) in members.enumerated() {
            let text = try self.member(.text(JSONValue.string(member.name).serializedText), member.schemas)
            for count in 0...limit {
                if most == nil || count < limit { network.links.append((place(index, count), place(index + 1, count + 1), count > 0 ? .sequence([Self.comma, text]) : text)) }
                if !member.isRequired { network.links.append((place(index, count), place(index + 1, count), .empty)) }
            }
        }
        for count in 0...limit {
            let end = place(members.count, count)
            if most == nil || count < limit, let others {
                network.links.append((end, place(members.count, count + 1), count > 0 ? .sequence([Self.comma, others]) : others))
            }
            if count >= least { network.links.append((end, last, .sequence([Self.space, .text("}")]))) }
        }
        return .network(network)
    }

    private func member(_ name: Expression, _ schemas: [Int]) throws(GuideError) -> Expression {
        .sequence([name, .text(":"), Self.space, try value(schemas)])
    }

    /// Nil where one that must come cannot.
    func members(_ way: SchemaFacets, _ languages: [Automaton]) -> [Member]? {
        var names: [String] = []
        for group in way.members {
            for property in group.properties where !names.contains(where: { $0.isExactly(property.name) }) { names.append(property.name) }
        }
        for name in way.required where !names.contains(where: { $0.isExactly(name) }) { names.append(name) }
        var members: [Member] = []
        for name in names {
            let schemas = way.members.flatMap { $0.schemas(of: name) }
            let isRequired = way.required.contains { $0.isExactly(name) }
            if schemas.contains(where: reader.isFalse) || !languages.allSatisfy({ $0.accepts(name.utf8) }) {
                if isRequired { return nil }
            } else {
                members.append(Member(name: name, schemas: schemas, isRequired: isRequired))
            }
        }
        return members
    }

    /// What `propertyNames` says: languages that hold every name.
    func nameLanguages(_ way: SchemaFacets) throws(GuideError) -> [Automaton] {
        var languages: [Automaton] = []
        for schema in way.names {
            var choices: [Expression] = []
            var isFree = false
            for one in try reader.ways([schema]) where one.kinds?.contains(.string) ?? true {
                if let values = one.values {
                    for value in values where try one.admits(value, at: "", effort) { if let text = value.stringValue { choices.append(.text(text)) } }
                } else {
                    isFree = isFree || one.strings.isAny && one.formats.isEmpty
                    choices.append(.automaton(try one.texts(effort)))
                }
            }
            if !isFree { languages.append(try AutomatonBuilder.automaton(.choice(choices), effort)) }
        }
        return languages
    }

    /// A member that no schema names; nil where none may come.
    ///
    /// Names are told apart by which patterns they hold: each kind of name has schemas of its own.
    private func others(_ way: SchemaFacets, _ members: [Member], _ languages: [Automaton]) throws(GuideError) -> Expression? {
        var patterns: [(pattern: String, names: Automaton)] = []
        for group in way.members {
            for (pattern, names, _) in group.patterns where !patterns.contains(where: { $0.pattern.isExactly(pattern) }) { patterns.append((pattern, names)) }
        }
        guard patterns.count <= SchemaReader.maxPatterns else { throw GuideError("patternProperties hold more than \(SchemaReader.maxPatterns) patterns together") }
        let isFree = way.members.isEmpty && way.required.isEmpty
        let named = way.members.flatMap { $0.properties.map(\.name) } + way.required
        var choices: [Expression] = []
        for set in 0..<1 << patterns.count {
            func holds(_ pattern: String) -> Bool { patterns.enumerated().contains { set >> $0.offset & 1 == 1 && $0.element.pattern.isExactly(pattern) } }
            func schemas(_ group: SchemaFacets.Members) -> [Int] {
                let held = group.patterns.filter { holds($0.pattern) }.map(\.schema)
                guard held.isEmpty, group.evaluated?.contains(where: { $0.patterns.contains { holds($0.pattern) } }) != true else { return held }
                return group.others.map { [$0] } ?? []
            }
            var all: [Int] = []
            for group in way.members { all += schemas(group) }
            guard isFree || !all.isEmpty, !all.contains(where: reader.isFalse) else { continue }
            var parts = languages
            if !named.isEmpty { parts.append(try StringLanguage.all(but: named, effort)) }
            for (index, pattern) in patterns.enumerated() { parts.append(set >> index & 1 == 1 ? pattern.names : pattern.names.complement()) }
            let language = StringLanguage(others: parts)
            if !language.isAny, try language.text(effort).isEmpty { continue }
            choices.append(try member(language.isAny ? anyString() : try language.expression(effort), all))
        }
        return choices.isEmpty ? nil : choices.count == 1 ? choices[0] : .choice(choices)
    }
}
