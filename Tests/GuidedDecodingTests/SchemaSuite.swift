import Foundation
import GuidedDecoding
import JSON
import Seeded

/// What guides make of the public JSON-Schema-Test-Suite, whose files hold schemas with instances that are valid or not.
struct SchemaSuite {
    private(set) var schemas = 0
    private(set) var compiled = 0
    /// By message, without its place and what it quotes.
    private(set) var refused: [String: Int] = [:]
    /// Invalid instances in all their spellings, and those that a guide takes, which must be none.
    private(set) var invalidTried = 0
    private(set) var invalidTaken: [String] = []
    private(set) var validTried = 0
    private(set) var validTaken = 0
    /// Valid instances that a guide does not take, by why.
    private(set) var validMissed: [Miss: [String]] = [:]
    private(set) var endsMissed: [String] = []
    /// Texts of random tokens that ended by themselves, with their schemas.
    private(set) var texts: [JSONValue] = []
    private(set) var slowest: (took: Duration, schema: String) = (.zero, "")

    enum Miss: String, CaseIterable {
        case otherKind = "of a kind that no keyword speaks of, without a type"
        case unnamed = "with members that the schema does not name"
        case number = "with a number of too many digits"
        case other = "for another reason"
    }

    /// - Parameter folder: of one draft.
    init(folder: URL) throws {
        let files = FileManager.default.enumerator(at: folder, includingPropertiesForKeys: nil)?.compactMap { $0 as? URL } ?? []
        for file in files.sorted(by: { $0.path < $1.path }) where file.pathExtension == "json" {
            for group in try JSONValue(parsing: Array(Data(contentsOf: file))).arrayValue ?? [] {
                guard let schema = group["schema"] else { continue }
                let name = "\(file.lastPathComponent): \(group["description"]?.stringValue ?? "")"
                add(schema, name, group["tests"]?.arrayValue ?? [])
            }
        }
    }

    private mutating func add(_ schema: JSONValue, _ name: String, _ tests: [JSONValue]) {
        schemas += 1
        let grammar: Grammar
        do {
            let clock = ContinuousClock()
            let start = clock.now
            defer { if clock.now - start > slowest.took { slowest = (clock.now - start, name) } }
            grammar = try Guide.schema(schema).compiled()
            compiled += 1
        } catch {
            refused[Self.reason(error), default: 0] += 1
            return
        }
        for test in tests {
            guard let instance = test["data"], let isValid = test["valid"]?.boolValue else { continue }
            let shown = "\(name), \(test["description"]?.stringValue ?? ""): \(instance.serializedText.prefix(80))"
            if isValid {
                validTried += 1
                let spellings = [instance.serializedText, Spelling.spaced.text(instance), Spelling.ordered(schema).text(instance)]
                if spellings.contains(where: { grammar.matches($0.utf8) }) { validTaken += 1 } else { validMissed[miss(instance, schema), default: []].append(shown) }
            } else {
                for spelling in Spelling.all(schema) {
                    invalidTried += 1
                    if grammar.matches(spelling.text(instance).utf8), invalidTaken.last != shown { invalidTaken.append(shown) }
                }
            }
        }
        walk(grammar, schema, name)
    }

    /// The message without place, quotations and numbers of branches.
    private static func reason(_ error: any Error) -> String {
        guard let error = error as? GuideError else { return "\(error)" }
        for known in ["oneOf is not supported", "$ref", "pattern: ", "the format", "a schema is an object"] where error.message.hasPrefix(known) { return known }
        return error.message
    }

    private func miss(_ instance: JSONValue, _ schema: JSONValue) -> Miss {
        func takes(_ wrapped: JSONValue) -> Bool {
            guard let grammar = try? Guide.schema(wrapped).compiled() else { return false }
            return grammar.matches(Spelling.ordered(schema).text(instance).utf8) || grammar.matches(instance.serializedText.utf8)
        }
        let kind: JSONValue = .string(Self.kind(instance))
        // References lead to places below the root, so that the schema stays there.
        guard case .object(var wrapper) = schema else { return .other }
        if wrapper["type"] == nil {
            wrapper["type"] = kind
            if takes(.object(wrapper)) { return .otherKind }
        }
        if wrapper["additionalProperties"] == nil {
            wrapper["additionalProperties"] = true
            if takes(.object(wrapper)) { return .unnamed }
        }
        return instance.serializedText.contains(where: \.isNumber) && instance.serializedText.count > 20 ? .number : .other
    }

    private static func kind(_ value: JSONValue) -> String {
        switch value {
        case .null: "null"
        case .bool: "boolean"
        case .int, .wide, .double: "number"
        case .string: "string"
        case .array: "array"
        case .object: "object"
        }
    }

    private mutating func walk(_ grammar: Grammar, _ schema: JSONValue, _ name: String) {
        let guide = TokenGuide(grammar, TestVocabulary.trie)
        var (dice, ended) = (Dice(UInt64(schemas)), 0)
        for round in 0..<20 {
            // One half of uniform draws, one half in which what closes is likelier.
            guard let made = try? randomText(guide, &dice, limit: 200, endsSoon: round % 2 == 0 ? 1 : 40) else { continue }
            ended += 1
            texts.append(["name": .string(name), "schema": schema, "text": .string(String(decoding: made, as: UTF8.self))])
        }
        if ended == 0 { endsMissed.append(name) }
    }

    /// The counts, and what was missed without a known reason.
    var report: String {
        var lines = ["\(schemas) schemas: \(compiled) compiled, \(schemas - compiled) refused"]
        for (reason, count) in refused.sorted(by: { ($1.value, $0.key) < ($0.value, $1.key) }) { lines.append("  \(count) \(reason)") }
        lines.append("\(invalidTried) spellings of invalid instances: \(invalidTaken.count) taken")
        lines += invalidTaken.map { "  \($0)" }
        lines.append("\(validTried) valid instances: \(validTaken) taken")
        for miss in Miss.allCases { lines.append("  \(validMissed[miss]?.count ?? 0) not taken, \(miss.rawValue)") }
        lines += (validMissed[.other] ?? []).map { "    \($0)" }
        lines.append("\(texts.count) texts of random tokens ended; of \(endsMissed.count) schemas none")
        lines += endsMissed.map { "  \($0)" }
        lines.append("slowest to compile: \(slowest.took), \(slowest.schema)")
        return lines.joined(separator: "\n")
    }
}

/// Ways to write the same JSON document.
enum Spelling {
    case compact
    case spaced
    case indented
    case ordered(JSONValue)
    /// Whole numbers with a fraction.
    case fractions
    /// Every character of a string as `\u`.
    case escaped

    static func all(_ schema: JSONValue) -> [Spelling] { [.compact, .spaced, .indented, .ordered(schema), .fractions, .escaped] }

    func text(_ value: JSONValue) -> String {
        switch self {
        case .compact: value.serializedText
        case .spaced: write(value, open: " ", comma: " ", colon: " ")
        case .indented: write(value, open: "\n  ", comma: "\n  ", colon: " ")
        default: write(value, open: "", comma: "", colon: "")
        }
    }

    private func write(_ value: JSONValue, open: String, comma: String, colon: String) -> String {
        func inner(_ value: JSONValue) -> String { write(value, open: open, comma: comma, colon: colon) }
        switch value {
        case .array(let elements):
            return "[" + open + elements.map(inner).joined(separator: "," + comma) + (elements.isEmpty ? "" : open) + "]"
        case .object(let members):
            var pairs = Array(members)
            if case .ordered(let schema) = self {
                let names = Self.names(schema)
                func place(_ name: String) -> Int { names.firstIndex(of: name) ?? names.count }
                pairs = pairs.enumerated().sorted { (place($0.element.0), $0.offset) < (place($1.element.0), $1.offset) }.map(\.element)
            }
            let texts = pairs.map { inner(.string($0.0)) + ":" + colon + inner($0.1) }
            return "{" + open + texts.joined(separator: "," + comma) + (texts.isEmpty ? "" : open) + "}"
        case .int(let number):
            if case .fractions = self { return "\(number).0" }
            return value.serializedText
        case .string(let text):
            guard case .escaped = self else { return value.serializedText }
            return "\"" + text.utf16.map { unit in "\\u" + String(repeating: "0", count: 4 - String(unit, radix: 16).count) + String(unit, radix: 16) }.joined() + "\""
        default: return value.serializedText
        }
    }

    /// The names that a schema speaks of, in its order.
    private static func names(_ schema: JSONValue) -> [String] {
        var names: [String] = []
        for (name, value) in schema.objectValue ?? JSONObject() {
            if name == "properties" { names += value.objectValue?.keys ?? [] }
            if name != "required" { names += Self.names(value) }
        }
        for value in schema.arrayValue ?? [] { names += Self.names(value) }
        if let required = schema["required"]?.arrayValue { names += required.compactMap(\.stringValue) }
        return names
    }
}
