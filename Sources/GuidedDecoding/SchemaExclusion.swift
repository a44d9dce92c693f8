internal import JSON

/// Whether texts that are made for one branch of `oneOf` can be right for another one.
extension SchemaReader {
    /// How deeply members are looked into.
    private static let maxDepth = 4

    func checkExclusive(_ branches: [Int], at place: Int) throws(GuideError) {
        var ways: [[SchemaFacets]] = []
        for branch in branches { ways.append(try self.ways([branch])) }
        for (first, made) in ways.enumerated() {
            for (second, other) in ways.enumerated() where first != second {
                for one in made {
                    for two in other where try !excludes(one, two, depth: 0) {
                        throw GuideError(
                            "oneOf is not supported where a value may be right for several branches, as for \(min(first, second)) and "
                                + "\(max(first, second)); use anyOf, or tell them apart by a const",
                            at: places[place])
                    }
                }
            }
        }
    }

    /// Whether no value that is made for `one` is right for `two`.
    private func excludes(_ one: SchemaFacets, _ two: SchemaFacets, depth: Int) throws(GuideError) -> Bool {
        try effort.spend(16)
        guard depth < Self.maxDepth else { return false }
        if let values = one.values {
            try effort.spend(values.count * (1 + (two.values?.count ?? 0)) / 8)
            for value in values where try one.admits(value, at: "oneOf", effort) {
                let isRight = try two.admits(value, at: "oneOf", effort) && two.values.map { $0.contains { SchemaFacets.equal($0, value) } } ?? true
                if isRight { return false }
            }
            return true
        }
        if let values = two.values {
            for value in values where try one.admits(value, at: "oneOf", effort) { return false }
            return true
        }
        // What names no type lets every kind come that its keywords do not speak of.
        let kinds = two.kinds ?? [.null, .boolean, .number, .string, .array, .object]
        for kind in one.effectiveKinds {
            let meets = kinds.contains(kind) || kind == .integer && kinds.contains(.number) || kind == .number && kinds.contains(.integer)
            if meets, try !excludes(kind, one, two, depth: depth) { return false }
        }
        return true
    }

    private func excludes(_ kind: SchemaFacets.Kind, _ one: SchemaFacets, _ two: SchemaFacets, depth: Int) throws(GuideError) -> Bool {
        switch kind {
        case .null, .boolean: return false
        case .integer, .number: return Self.isBelow(one.numbers, two.numbers) || Self.isBelow(two.numbers, one.numbers)
        case .string:
            guard !one.strings.isAny || !one.formats.isEmpty, !two.strings.isAny || !two.formats.isEmpty else { return false }
            return try one.texts(effort).intersection(two.texts(effort), effort).isEmpty
        case .array:
            return one.maxItems.map { $0 < two.minItems } ?? false || two.maxItems.map { $0 < one.minItems } ?? false
        case .object: return try excludesObjects(one, two, depth: depth)
        }
    }

    private static func isBelow(_ low: NumberLanguage, _ high: NumberLanguage) -> Bool {
        low.highs.contains { most in
            high.lows.contains { least in
                let (top, bottom) = (most.value.double, least.value.double)
                return top < bottom || top == bottom && (most.isExclusive || least.isExclusive)
            }
        }
    }

    private func excludesObjects(_ one: SchemaFacets, _ two: SchemaFacets, depth: Int) throws(GuideError) -> Bool {
        for name in two.required where !one.mayHave(name) { return true }
        for name in one.required {
            // What is unevaluated in one way may be evaluated where several branches are right together.
            let theirs = two.members.filter { $0.evaluated == nil }.flatMap { $0.schemas(of: name) }
            guard !theirs.isEmpty else { continue }
            let mine = one.members.flatMap { $0.schemas(of: name) }
            let (ways, others) = (try self.ways(mine), try self.ways(theirs))
            var isExcluded = true
            for way in ways { for other in others where isExcluded { isExcluded = try excludes(way, other, depth: depth + 1) } }
            if isExcluded { return true }
        }
        return false
    }
}

extension SchemaFacets {
    /// Whether an object that is made for the schema may have a member.
    fileprivate func mayHave(_ name: String) -> Bool {
        members.contains { $0.names(name) || $0.others != nil } || required.contains { $0.isExactly(name) } || members.isEmpty
    }
}
