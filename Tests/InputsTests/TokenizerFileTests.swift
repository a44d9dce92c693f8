import Foundation
import Inputs
import JSON
import Models
import Testing
import ThreadTime

/// Unigram models, models of sentencepiece and rank files of tiktoken, next to the libraries that define them.
@Suite struct TokenizerFileTests {
    /// Two tokens are declared with ids behind the pieces, one of them with a gap before it.
    private static func declaring(_ size: Int) -> [UInt8] {
        let special: (String) -> JSONValue = { ["content": .string($0), "special": true, "normalized": false] }
        var tokens = JSONObject()
        tokens["\(size)"] = special("<|im_end|>")
        tokens["\(size + 3)"] = special("<image>")
        return JSONValue.object(["added_tokens_decoder": .object(tokens)]).serialized
    }

    private func tokenizer(_ kind: String, pieces: Int = 0, config: [UInt8]? = nil) throws -> Tokenizer {
        switch kind {
        case "unigram", "fallback": return try TextFixture.tokenizer(kind)
        case "ranks":
            let file = try TextFixture.bytes("tokenizer/ranks.tiktoken")
            return try TokenizerSource(names: ["any.tiktoken"], rankSpecials: RankSpecials.all) { $0 == "any.tiktoken" ? file : nil }.tokenizer()
        default:
            let file = try TextFixture.bytes("tokenizer/\(kind).model")
            let files = ["tokenizer.model": file, "tokenizer_config.json": config ?? Self.declaring(pieces)]
            return try TokenizerSource(names: files.keys) { files[$0] }.tokenizer()
        }
    }

    private func check(_ tokenizer: Tokenizer, _ rows: [JSONValue]) throws {
        for row in rows {
            let ids = row["ids"]?.arrayValue?.compactMap(\.intValue).map { Int32($0) } ?? []
            if let text = row["text"]?.stringValue {
                #expect(try tokenizer.encode(text, addSpecialTokens: false) == ids, "\(text.debugDescription)")
            }
            let plain = try #require(row["plain"]?.stringValue)
            #expect(try tokenizer.decode(ids, skipSpecialTokens: true).isExactly(plain), "\(ids)")
            var decoder = IncrementalDecoder(tokenizer, skipSpecialTokens: true)
            let parts = try ids.map { try decoder.append($0) } + [decoder.finish()]
            #expect(parts.joined().isExactly(plain), "\(ids)")
        }
    }

    @Test(arguments: [("unigram", 0), ("fallback", 0), ("pieces", 600), ("prefixed", 400), ("scores", 240), ("ranks", 0)])
    func agreesWithItsLibrary(_ kind: String, _ pieces: Int) throws {
        let tokenizer = try tokenizer(kind, pieces: pieces)
        let rows = try #require(try TextFixture.json("tokenizer/\(kind).cases.json").arrayValue)
        #expect(rows.count > 150)
        try check(tokenizer, rows)
        let compiled = tokenizer.compiled
        let loaded = try Tokenizer(compiled: compiled)
        #expect(loaded.compiled == compiled)
        try check(loaded, rows)
        #expect(tokenizer.fault == nil)
    }

    @Test(arguments: [
        ("{}", [1, 7], 1), (#"{"add_bos_token": false, "add_eos_token": true}"#, [7, 2], 1), (#"{"bos_token": "</s>"}"#, [2, 7], 1),
    ])
    func sentencesBeginAndEndAsConfigured(_ config: String, _ marks: [Int32], _ count: Int) throws {
        let tokenizer = try tokenizer("prefixed", config: Array(config.utf8))
        let plain = try tokenizer.encode("the", addSpecialTokens: false)
        let whole = try tokenizer.encode("the", addSpecialTokens: true)
        #expect(whole == marks.flatMap { $0 == 7 ? plain : [$0] })
    }

    /// Behind an added token the space is put as before, but not where `legacy` is false.
    @Test func theSpaceBeforeTextsIsChosen() throws {
        let old = try tokenizer("prefixed", config: Array("{}".utf8))
        let new = try tokenizer("prefixed", config: Array(#"{"legacy": false}"#.utf8))
        let word = try old.encode("the", addSpecialTokens: false)
        #expect(try old.encode("the</s>the", addSpecialTokens: false) == word + [2] + word)
        let other = try new.encode("the</s>the", addSpecialTokens: false)
        #expect(other.starts(with: word + [2]) && other != word + [2] + word)
    }

    @Test func aFixedConfigurationReplacesTheTemplate() throws {
        let json = #"{"added_tokens": [{"id": 1, "content": "<s>", "special": true}], "model": {"type": "BPE", "vocab": {"a": 0}, "merges": []}}"#
        for (config, ids) in [("{}", [0]), (#"{"bos_token": "<s>", "add_bos_token": true}"#, [1, 0] as [Int32]), (#"{"add_bos_token": true}"#, [0])] {
            let files = ["tokenizer.json": Array(json.utf8), "tokenizer_config.json": Array(config.utf8)]
            let tokenizer = try TokenizerSource(names: files.keys) { files[$0] }.tokenizer()
            #expect(try tokenizer.encode("a", addSpecialTokens: true) == ids)
        }
    }

    @Test func damagedFilesNeverTrap() throws {
        var generator = SystemRandomNumberGenerator()
        for name in ["pieces.model", "scores.model", "ranks.tiktoken"] {
            let file = try TextFixture.bytes("tokenizer/\(name)")
            for _ in 0..<60 {
                var bytes = file
                for _ in 0..<3 { bytes[Int.random(in: 0..<bytes.count, using: &generator)] = UInt8.random(in: 0...255, using: &generator) }
                if Bool.random(using: &generator) { bytes.removeLast(Int.random(in: 1..<bytes.count, using: &generator)) }
                let source = TokenizerSource(names: [name]) { [damaged = bytes] in
                    ($0 == "tokenizer.model") == name.hasSuffix(".model") && ($0 == name || $0 == "tokenizer.model") ? damaged : nil
                }
                guard let tokenizer = try? source.tokenizer() else { continue }
                _ = try? tokenizer.decode(tokenizer.encode("Hello </s> 日本 x", addSpecialTokens: true), skipSpecialTokens: false)
            }
        }
    }

    @Test func whatIsNotSupportedIsNamed() throws {
        #expect(throws: TokenizerError.self) { try TokenizerSource(names: []) { _ in nil }.tokenizer() }
        for (bytes, word) in [([0x12, 2, 0x18, 3] as [UInt8], "characters"), ([0x0A, 200], "protobuf"), ([], "no pieces")] {
            let error = #expect(throws: TokenizerError.self) {
                try TokenizerSource(names: ["tokenizer.model"]) { $0 == "tokenizer.model" ? bytes : nil }.tokenizer()
            }
            #expect(error?.description.contains(word) == true)
        }
    }

    @Test func longTextsTakeLinearTime() throws {
        for kind in ["unigram", "scores", "pieces"] {
            let tokenizer = try tokenizer(kind, pieces: kind == "scores" ? 240 : 600)
            for text in ["a", " ", "é", "the "].map({ String(repeating: $0, count: 100_000) }) {
                let time = try threadTime { _ = try tokenizer.encode(text, addSpecialTokens: false) }
                #expect(time < .seconds(5), "\(kind) \(text.prefix(2))")
            }
        }
    }
}
