internal import JSON

/// What a schema says of the elements of lists and the members of objects.
extension SchemaReader {
    func readElements(_ object: JSONObject, _ place: Int, _ within: [Int], into facets: inout SchemaFacets) throws(GuideError) {
        var elements = SchemaFacets.Elements(within: within)
        if let value = object["prefixItems"] {
            elements.prefix = try branches(value, "prefixItems", place)
            facets.speak(of: .array)
        }
        if let value = object["items"] {
            elements.others = try child(value, "items", of: place)
            facets.speak(of: .array)
        }
        if !elements.prefix.isEmpty || elements.others != nil { facets.elements.append(elements) }
        if let value = object["contains"] {
            facets.contains.append(try child(value, "contains", of: place))
            facets.speak(of: .array)
        }
        if let value = object["uniqueItems"] {
            guard let isUnique = value.boolValue else { throw GuideError("uniqueItems must be true or false", at: places[place]) }
            facets.isUnique = facets.isUnique || isUnique
            facets.speak(of: .array)
        }
        if let least = try count("minItems", object, place) {
            facets.minItems = max(facets.minItems, least)
            facets.speak(of: .array)
        }
        if let most = try count("maxItems", object, place) {
            facets.maxItems = min(facets.maxItems ?? most, most)
            facets.speak(of: .array)
        }
    }

    func readMembers(_ object: JSONObject, _ place: Int, _ within: [Int], into facets: inout SchemaFacets) throws(GuideError) {
        var members = SchemaFacets.Members(within: within)
        if let value = object["properties"] {
            guard let properties = value.objectValue else { throw GuideError("properties must be an object", at: places[place]) }
            guard properties.count <= Self.maxNames else { throw GuideError("properties holds more than \(Self.maxNames) names", at: places[place]) }
            for (name, schema) in properties { members.properties.append((name, try child(schema, "properties", name, of: place))) }
            facets.speak(of: .object)
        }
        if let value = object["patternProperties"] {
            guard let patterns = value.objectValue else { throw GuideError("patternProperties must be an object", at: places[place]) }
            guard patterns.count <= Self.maxPatterns else { throw GuideError("patternProperties holds more than \(Self.maxPatterns) patterns", at: places[place]) }
            for (pattern, schema) in patterns {
                do throws(GuideError) {
                    let names = try RegexParser.part(pattern, effort)
                    members.patterns.append((pattern, names, try child(schema, "patternProperties", pattern, of: place)))
                } catch {
                    throw error.place.isEmpty ? GuideError("patternProperties: \(error.message)", at: places[place]) : error
                }
            }
            facets.speak(of: .object)
        }
        if let value = object["propertyNames"] {
            facets.names.append(try child(value, "propertyNames", of: place))
            facets.speak(of: .object)
        }
        if let value = object["additionalProperties"] {
            members.others = try child(value, "additionalProperties", of: place)
            facets.speak(of: .object)
        }
        if !members.properties.isEmpty || !members.patterns.isEmpty || members.others != nil { facets.members.append(members) }
        if let least = try count("minProperties", object, place) {
            facets.minProperties = max(facets.minProperties, least)
            facets.speak(of: .object)
        }
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

    /// What is said of members and elements of which nothing else speaks; which those are is known when all is read.
    func readUnevaluated(_ object: JSONObject, _ place: Int, into facets: inout SchemaFacets) throws(GuideError) {
        var unevaluated = SchemaFacets.Unevaluated(place: place)
        if let value = object["unevaluatedProperties"] {
            unevaluated.members = try child(value, "unevaluatedProperties", of: place)
            facets.speak(of: .object)
        }
        if let value = object["unevaluatedItems"] {
            unevaluated.elements = try child(value, "unevaluatedItems", of: place)
            facets.speak(of: .array)
        }
        if unevaluated.members != nil || unevaluated.elements != nil { facets.unevaluated.append(unevaluated) }
    }
}

extension SchemaFacets {
    /// Says what `unevaluatedProperties` and `unevaluatedItems` do, when all that lies below them is read.
    ///
    /// - Parameter denials: schemas that speak of members without finding them right.
    mutating func addUnevaluated(_ denials: Set<Int>, _ effort: Effort) throws(GuideError) {
        for one in unevaluated {
            try effort.spend(members.reduce(elements.reduce(1) { $0 + $1.within.count }) { $0 + $1.within.count })
            func isBelow(_ within: [Int]) -> Bool { within.contains(one.place) && !within.contains { denials.contains($0) } }
            if let schema = one.members {
                let groups = members.filter { $0.evaluated == nil && isBelow($0.within) }
                if !groups.contains(where: { $0.others != nil }) { members.append(Members(others: schema, evaluated: groups)) }
            }
            if let schema = one.elements {
                let groups = elements.filter { isBelow($0.within) }
                guard !groups.contains(where: { $0.others != nil }) else { continue }
                elements.append(Elements(first: groups.map(\.prefix.count).max() ?? 0, others: schema))
            }
        }
    }
}
