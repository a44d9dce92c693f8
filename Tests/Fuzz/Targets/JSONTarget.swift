import JSON
import Seeded

extension FuzzTarget {
    /// JSON of requests: what is read and written is read as the same again, in either dialect.
    static let json = FuzzTarget("json", secondsMax: 2) { dice, corpus in
        let seed = dice.pick(corpus) ?? []
        guard let document = try? JSONValue(parsing: seed), !dice.once(in: 3) else {
            return ByteMutation.apply(seed, &dice, corpus: corpus, words: jsonWords)
        }
        let changed = JSONMutation.apply(document, &dice, strings: jsonWords).serialized
        return dice.once(in: 2) ? changed : ByteMutation.apply(changed, &dice, corpus: corpus, words: jsonWords)
    } check: { input in
        for dialect in [JSONValue.Dialect.standard, .python] {
            guard let value = try? JSONValue(parsing: input, countLimit: 1 << 18, dialect: dialect) else { continue }
            guard dialect == .standard else { continue }
            let again = try? JSONValue(parsing: value.serialized, dialect: dialect)
            guard again == value else { throw Finding("is written as \(value.serializedText.prefix(200)), which reads as another") }
        }
    }

    static let jsonWords = [
        "\"", "\\u0000", "\\ud83d\\ude00", "\\ud83d", "\\", "[[[[", "{\"a\":", "]", "}", ",", ":", "null", "true", "-", "1e999", "1E-400",
        "0.1", "-0", "00", "1e5", "18446744073709551616", "NaN", "-Infinity", "\u{FEFF}", "\t", "é",
    ]
}
