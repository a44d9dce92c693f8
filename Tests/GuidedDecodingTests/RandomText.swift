import GuidedDecoding
import JSON
import Seeded

/// A vocabulary of all bytes and of many texts, as tokenizers have them.
enum TestVocabulary {
    static let texts: [[UInt8]] = {
        var texts = (UInt8(0)...255).map { [$0] }
        let words = [
            "{\"", "\":", "\": ", "\",", "\", \"", "\"}", "\"]", "}}", "]]", "},", "},{\"", "[{\"", "[\"", "\\\"", "\\n", "\\u00", "true", "false", "null",
            "e+", "-1", "0.", ".5", "12", "100", "2024", "    ", "\n  ", "\n    ", ", ", " \"", "name", "age", "city", "value", "next", "kind", "item", "tags",
            "é", "ü", "日本", "😀", "a\"", "ab\",\"", "x\":1", "}}}", "[[[", "]]]", "{}", "[]", "\"\"", "-", "T", "Z", ":00", "https", "://", "@", ".com",
        ]
        texts += words.map { Array($0.utf8) }
        for first in "abcdefghijklmnop".utf8 { for second in "aeiou {\"}]0".utf8 { texts.append([first, second]) } }
        return texts
    }()
    /// Ends a text; spells nothing.
    static let end = Int32(texts.count)
    static let trie = TokenTrie(vocabularySize: texts.count + 1) { $0 == end ? nil : texts[Int($0)] }
}

/// A text of random tokens that a guide lets come; nil where it has not ended by itself after so many.
///
/// - Parameter endsSoon: how many times likelier an end is than another token where one may come.
func randomText(_ guide: TokenGuide, _ dice: inout Dice, limit: Int = 400, endsSoon: Int = 40) throws -> [UInt8]? {
    var (state, text): (GuideState, [UInt8]) = (guide.start, [])
    for _ in 0..<limit {
        if state.isComplete { return text }
        let mask = guide.mask(state)
        var tokens: [Int32] = []
        for token in 0..<Int32(TestVocabulary.texts.count) where mask.contains(token) { tokens.append(token) }
        if state.accepts, tokens.isEmpty || dice.below(endsSoon + tokens.count) < endsSoon { return text }
        // What closes is favoured, so that most texts end.
        let closing = tokens.filter { TestVocabulary.texts[Int($0)].contains { "\"}]".utf8.contains($0) } }
        guard let token = dice.pick(closing.isEmpty || dice.once(in: 2) ? tokens : closing) else { throw DeadEnd(text: String(decoding: text, as: UTF8.self)) }
        state = guide.advanced(state, token)
        text += TestVocabulary.texts[Int(token)]
    }
    return nil
}

struct DeadEnd: Error { var text: String }
