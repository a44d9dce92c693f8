import GuidedDecoding
import JSON
import Seeded

extension FuzzTarget {
    /// What guides a text, its kind in the first line: one that compiles lets tokens come only where they lead on.
    static let guide = FuzzTarget("guide", secondsMax: 8) { dice, corpus in
        let seed = dice.pick(corpus) ?? []
        let head = seed.prefix { $0 != 0x0A } + [0x0A]
        let body = Array(seed.dropFirst(head.count))
        if head.starts(with: "schema".utf8) { return head + JSONText.changed(body, &dice, corpus: corpus.map { Array($0.drop { $0 != 0x0A }) }, words: guideWords) }
        return head + ByteMutation.apply(body, &dice, corpus: corpus, words: guideWords)
    } check: { input in
        let head = String(decoding: input.prefix { $0 != 0x0A }, as: UTF8.self)
        let body = Array(input.dropFirst(head.utf8.count + 1))
        let guide: Guide
        switch head {
        case "schema":
            guard let schema = try? JSONValue(parsing: body) else { return }
            guide = .schema(schema)
        case "grammar": guide = .grammar(String(decoding: body, as: UTF8.self))
        default: guide = .regex(String(decoding: body, as: UTF8.self))
        }
        guard let grammar = try? guide.compiled() else { return }
        try walk(TokenGuide(grammar, vocabulary), grammar)
    }

    private static let words = ["{\"", "\":", ", ", "\"}", "]]", "ab", "12", "true", "null", "é", "\n  "].map { Array($0.utf8) }
    private static let vocabulary = TokenTrie(vocabularySize: 256 + words.count) { $0 < 256 ? [UInt8($0)] : words[Int($0) - 256] }

    private static func walk(_ guide: TokenGuide, _ grammar: Grammar) throws {
        var dice = Dice(1)
        for _ in 0..<3 {
            var (state, text): (GuideState, [UInt8]) = (guide.start, [])
            for _ in 0..<40 {
                let mask = guide.mask(state)
                let tokens = (0..<Int32(256 + words.count)).filter { mask.contains($0) }
                guard let token = dice.pick(tokens) else {
                    guard state.accepts else { throw Finding("nothing follows \(text)") }
                    break
                }
                state = guide.advanced(state, token)
                text += token < 256 ? [UInt8(token)] : words[Int(token) - 256]
            }
            guard state.accepts == grammar.matches(text) else { throw Finding("tokens and bytes differ behind \(text)") }
        }
    }

    private static let guideWords = [
        "type", "object", "array", "string", "integer", "number", "properties", "required", "additionalProperties", "items", "prefixItems", "anyOf", "oneOf",
        "allOf", "$ref", "#", "#/$defs/a", "$defs", "enum", "const", "minLength", "maxLength", "pattern", "^[a-z]+$", "format", "date", "minimum", "maximum",
        "multipleOf", "0.01", "minItems", "maxItems", "minProperties", "maxProperties", "patternProperties",
        "propertyNames", "dependentRequired", "dependentSchemas", "unevaluatedProperties", "unevaluatedItems", "uniqueItems", "contains", "not", "if", "then", "else", "^(?!a)", "::=", "root", " | ", "{1,3}", "[^a]", "(", ")", "*", "+", "?", "\\d", "\\u00e9", "\"a\"", "-1", "1e9",
    ]
}
