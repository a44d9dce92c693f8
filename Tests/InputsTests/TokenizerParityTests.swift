import Inputs
import JSON
import Testing
import ThreadTime

/// Ids and texts next to those of HuggingFace's tokenizers.
@Suite struct TokenizerParityTests {
    static let kinds = [
        "demo", "qwen2", "llama3", "tekken", "qwen35", "smollm", "words", "legacy", "first", "always", "gemma",
    ]

    private func check(_ tokenizer: Tokenizer, _ row: JSONValue) throws {
        let ids = row["ids"]?.arrayValue?.compactMap(\.intValue).map { Int32($0) } ?? []
        if let text = row["text"]?.stringValue {
            let found = try tokenizer.encode(text, addSpecialTokens: row["special"]?.boolValue ?? false)
            #expect(found == ids, "\(text.debugDescription)")
            let plain = row["plain"]?.stringValue ?? text
            #expect(try tokenizer.decode(ids, skipSpecialTokens: true).isExactly(plain), "\(text.debugDescription)")
        }
        guard let full = row["full"]?.stringValue ?? row["text"]?.stringValue else { return }
        #expect(try tokenizer.decode(ids, skipSpecialTokens: false).isExactly(full), "\(ids)")
        var decoder = IncrementalDecoder(tokenizer, skipSpecialTokens: false)
        let pieces = try ids.map { try decoder.append($0) } + [decoder.finish()]
        #expect(pieces.joined().isExactly(full), "\(ids)")
    }

    @Test(arguments: kinds) func agreesWithHuggingFace(_ kind: String) throws {
        let tokenizer = try TextFixture.tokenizer(kind)
        let rows = try #require(try TextFixture.json("tokenizer/\(kind).cases.json").arrayValue)
        #expect(rows.count > 300)
        for row in rows { try check(tokenizer, row) }
    }

    @Test(arguments: kinds) func compiledFormIsTheSameTokenizer(_ kind: String) throws {
        let tokenizer = try TextFixture.tokenizer(kind)
        let compiled = tokenizer.compiled
        let loaded = try Tokenizer(compiled: compiled)
        #expect(loaded.compiled == compiled)
        #expect(loaded.vocabularySize == tokenizer.vocabularySize)
        let rows = try #require(try TextFixture.json("tokenizer/\(kind).cases.json").arrayValue)
        for row in rows.prefix(100) { try check(loaded, row) }
    }

    @Test func namesAndIds() throws {
        let tokenizer = try TextFixture.tokenizer("qwen2")
        #expect(tokenizer.vocabularySize == 151_657)
        #expect(tokenizer.idLimit == 151_657)
        #expect(tokenizer.id(of: "<|image_pad|>") == 151_655)
        #expect(tokenizer.token(151_655) == "<|image_pad|>")
        #expect(tokenizer.isSpecial(151_655))
        #expect(tokenizer.token(1820) == "Path")
        #expect(tokenizer.id(of: "Ġthe") == 279)
        #expect(tokenizer.id(of: "no such token") == nil)
        #expect(tokenizer.token(-1) == nil)
        #expect(tokenizer.token(1 << 30) == nil)
        #expect(try tokenizer.decode([-5, 1 << 30, 1820], skipSpecialTokens: false) == "Path")
    }

    @Test func longTextsTakeLinearTime() throws {
        let tokenizer = try TextFixture.tokenizer("qwen2")
        let gemma = try TextFixture.tokenizer("gemma")
        for text in ["a", " ", "ab", "\n", "é", "."].map({ String(repeating: $0, count: 200_000) }) {
            var there: [Int32] = []
            var back = ""
            let elapsed = try threadTime {
                back = try tokenizer.decode(tokenizer.encode(text, addSpecialTokens: false), skipSpecialTokens: false)
                there = try gemma.encode(text, addSpecialTokens: false)
            }
            #expect(back == text && !there.isEmpty)
            #expect(elapsed < .seconds(5), "\(text.prefix(2).debugDescription)")
        }
    }

    @Test func encodesFromManyThreads() async throws {
        let tokenizer = try TextFixture.tokenizer("demo")
        let texts = (0..<200).map { "request \($0): a red circle left of \($0 * 7) squares" }
        let expected = try texts.map { try tokenizer.encode($0, addSpecialTokens: true) }
        await withTaskGroup(of: Bool.self) { group in
            for _ in 0..<8 {
                group.addTask { (try? texts.map { try tokenizer.encode($0, addSpecialTokens: true) }) == expected }
            }
            for await isSame in group { #expect(isSame) }
        }
    }

    @Test func streamingHoldsHalfCharactersBack() throws {
        let tokenizer = try TextFixture.tokenizer("demo")
        let ids = try tokenizer.encode("日本👍🏽", addSpecialTokens: false)
        var decoder = IncrementalDecoder(tokenizer, skipSpecialTokens: true)
        let pieces = try ids.map { try decoder.append($0) }
        #expect(pieces.joined() == "日本👍🏽")
        #expect(pieces.allSatisfy { !$0.unicodeScalars.contains("\u{FFFD}") })
        var cut = IncrementalDecoder(tokenizer, skipSpecialTokens: true)
        let partial = try ids.dropLast().map { try cut.append($0) }.joined()
        #expect(!partial.unicodeScalars.contains("\u{FFFD}"))
        #expect(try cut.finish() == "\u{FFFD}")
    }
}
