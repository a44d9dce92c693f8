import Inputs
import JSON
import Seeded
import Testing

/// What a tokenizer file may not say, and that nothing in it can trap.
@Suite struct TokenizerErrorTests {
    private func failure(_ change: (inout JSONObject) -> Void) throws -> TokenizerError? {
        var object = try #require(try TextFixture.json("tokenizer/demo.json").objectValue)
        change(&object)
        do throws(TokenizerError) {
            _ = try Tokenizer(json: JSONValue.object(object).serialized)
            return nil
        } catch {
            return error
        }
    }

    @Test(arguments: [
        ("normalizer", "Odd"), ("pre_tokenizer", "FixedLength"), ("decoder", "CTC"), ("post_processor", "Odd"),
        ("model", "WordPiece"),
    ])
    func unknownComponentsAreNamed(_ part: String, _ type: String) throws {
        let error = try #require(try failure { $0[part] = ["type": .string(type)] })
        #expect(error.reason == .unsupported)
        #expect(error.description.contains(type))
        #expect(error.place.contains(part))
    }

    @Test func contradictionsAreNamed() throws {
        let merge = try #require(try failure { $0["model"] = ["type": "BPE", "vocab": ["a": 0], "merges": ["a b"]] })
        #expect(merge.reason == .malformed)
        #expect(merge.place == "model.merges[0]")
        let twice = try #require(try failure { $0["model"] = ["type": "BPE", "vocab": ["a": 0, "b": 0], "merges": []] })
        #expect(twice.message.contains("share an id"))
        let huge = try #require(try failure { $0["model"] = ["type": "BPE", "vocab": ["a": 4_000_000_000], "merges": []] })
        #expect(huge.reason == .malformed)
        let missing = try #require(try failure { $0["model"] = nil })
        #expect(missing.message.contains("model"))
        let pattern = try #require(
            try failure { $0["pre_tokenizer"] = ["type": "Split", "pattern": ["Regex": "(["], "behavior": "Isolated"] })
        #expect(pattern.reason == .unsupported)
        #expect(pattern.place == "pre_tokenizer.pattern")
        #expect(throws: TokenizerError.self) { try Tokenizer(json: Array("[1]".utf8)) }
        #expect(throws: TokenizerError.self) { try Tokenizer(json: [0xFF, 0xFE]) }
    }

    @Test(arguments: [
        ("[a-z&&[^b]]+", "intersection of classes, &&"), ("x[^\\d&&\\w]", "intersection of classes, &&"), ("[a[bc]]", "class within a class"),
        ("[]a&&b]", "intersection of classes, &&"),
    ])
    func classesThatReadOtherwiseAreRefused(_ pattern: String, _ words: String) throws {
        let error = try #require(
            try failure { $0["pre_tokenizer"] = ["type": "Split", "pattern": ["Regex": .string(pattern)], "behavior": "Isolated"] })
        #expect(error.reason == .unsupported)
        #expect(error.description.contains(words))
    }

    @Test(arguments: ["[a&b]", "[a\\&&b]", "a&&b", "[[:alpha:]_]", "[\\[a]", "[]a[:digit:]]+", "[^]a]&&"])
    func classesThatReadAlikeAreRead(_ pattern: String) throws {
        let error = try failure { $0["pre_tokenizer"] = ["type": "Split", "pattern": ["Regex": .string(pattern)], "behavior": "Isolated"] }
        #expect(error == nil)
    }

    @Test func otherVersionsAreRefused() throws {
        var bytes = try TextFixture.tokenizer("demo").compiled
        bytes[14] = UInt8(ascii: "9")
        let error = #expect(throws: TokenizerError.self) { try Tokenizer(compiled: bytes) }
        #expect(error?.reason == .version)
    }

    @Test func damagedBytesNeverTrap() throws {
        var generator = Dice(1)
        let json = try TextFixture.bytes("tokenizer/first.json")
        let compiled = try TextFixture.tokenizer("first").compiled
        for _ in 0..<150 {
            var (text, form) = (json, compiled)
            for _ in 0..<Int.random(in: 1...4, using: &generator) {
                text[Int.random(in: 0..<text.count, using: &generator)] = UInt8.random(in: 0...255, using: &generator)
                form[Int.random(in: 16..<min(form.count, 4000), using: &generator)] = UInt8.random(in: 0...255, using: &generator)
            }
            if Bool.random(using: &generator) { form.removeLast(Int.random(in: 1..<form.count, using: &generator)) }
            for tokenizer in [try? Tokenizer(json: text), try? Tokenizer(compiled: form)] {
                guard let tokenizer else { continue }
                _ = try? tokenizer.decode(tokenizer.encode("Hello </s> 日本 x", addSpecialTokens: true), skipSpecialTokens: false)
            }
        }
    }
}
