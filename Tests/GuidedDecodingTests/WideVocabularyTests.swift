import GuidedDecoding
import JSON
import Seeded
import Testing

/// Masks over a vocabulary of long texts, of other scripts, and of bytes that are no whole characters.
@Suite struct WideVocabularyTests {
    private static let texts: [[UInt8]] = {
        var texts = (UInt8(0)...255).map { [$0] }
        for count in [2, 3, 4, 5, 8, 9, 16, 17, 20, 47, 48] {
            for unit in ["a", " ", "é", "日", "x.", "a ", "\u{3000}", "\"", "\\", "<"] {
                let text = Array(String(repeating: unit, count: count).utf8)
                if text.count <= 50 { texts.append(text) }
            }
        }
        let words = [
            "word", " word", "Word", "wordA", "words.", "word_", "wo\"", "wo\\", "wo\n", "wo rd", "é\u{A0}", "é\u{85}", "\u{2003}a", "ж", "жд", " ждё", "жж日", "日本", "日本語。", "日a", "かな", "가나",
            "😀", "😀a", "a😀", "ab12", "0123456789abcdef", "0123456789abcdef0", "ABC/+=", "--", "\t", "\r\n", "\u{7F}", "\u{FFFD}", "\u{10FFFF}", "\u{E000}", "\u{D7FF}",
        ]
        texts += words.map { Array($0.utf8) }
        for word in ["日本語", "😀😀", "é日", "\u{3000}a"] {
            let bytes = Array(word.utf8)
            for first in 0..<bytes.count { for last in first..<bytes.count { texts.append(Array(bytes[first...last])) } }
        }
        texts += [[0xE0, 0x80], [0xE0, 0xA0], [0xED, 0xA0, 0x80], [0xED, 0x9F], [0xF0, 0x80], [0xF0, 0x90], [0xF4, 0x90], [0xF4, 0x8F, 0xBF], [0xC2], [0x61, 0xC2], [0x61, 0xE3], [0x61, 0xE3, 0x80], [0x61, 0x80], [0xC0, 0x80]]
        var dice = Dice(11)
        let characters = ["a", "b", "w", "1", " ", ".", "\"", "\\", "\n", "é", "ж", "日", "本", "😀"].map { Array($0.utf8) }
        for _ in 0..<1200 { texts.append((0..<dice.below(9) + 2).flatMap { _ in characters[dice.below(dice.below(2) == 0 ? 3 : characters.count)] }) }
        return texts
    }()

    private static let guides: [Guide] = [
        .regex(#"\w{1,40}"#), .regex(#"[\s\S]{0,60}"#), .regex(".{1,20}"), .regex(#"\S{1,12}( \S{1,12}){0,5}"#), .regex(#"[^.一-龥]{2,50}x"#), .regex("[а-яё ]{0,30}"),
        .regex(#"([a-f0-9]{2} ?){1,20}|[A-Za-z+/]{5,50}={0,2}"#), .regex(#"(日|日本|é){0,9}"#), .choice(["wo rd", "日本語。", "0123456789abcdef0"]),
        .grammar("root ::= \"<\" word{0,9} [^<]{0,50} \"<\" | word root?\nword ::= [^<\\] \"a\" | \"日\" [^a]"),
        .schema(["type": "object", "properties": ["a": ["type": "string", "maxLength": 60], "b": ["type": "string", "pattern": "^[^é]{3,30}$"]], "required": ["a", "b"]]),
    ]

    @Test(arguments: guides) func masksAreExact(_ guide: Guide) throws {
        let texts = Self.texts
        let made = TokenGuide(try guide.compiled(), TokenTrie(vocabularySize: texts.count) { texts[Int($0)] })
        let none = made.advanced(made.start, -1)
        var dice = Dice(3)
        for round in 0..<12 {
            var state = made.start
            for _ in 0..<24 {
                let mask = made.mask(state)
                let possible = (0..<Int32(texts.count)).filter { texts[Int($0)].count <= TokenTrie.maxBytes && made.advanced(state, $0) != none }
                let wrong = Set(possible).symmetricDifference((0..<Int32(texts.count)).filter(mask.contains))
                #expect(wrong.isEmpty, "\(wrong.sorted().prefix(5).map { String(decoding: texts[Int($0)], as: UTF8.self) }) behind \(guide)")
                let short = possible.filter { texts[Int($0)].count < 4 }
                guard let token = dice.pick(round % 2 == 0 || short.isEmpty ? possible : short) else { break }
                state = made.advanced(state, token)
            }
        }
    }
}
