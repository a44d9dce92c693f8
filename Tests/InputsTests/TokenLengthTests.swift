import Inputs
import JSON
import Testing

/// How long a text a token can stand for.
@Suite struct TokenLengthTests {
    @Test(arguments: ["demo", "qwen2"]) func noTextHasFewerTokensThanItsBytesSay(_ name: String) throws {
        let tokenizer = try TextFixture.tokenizer(name)
        let most = try #require(tokenizer.maxTokenBytes)
        let texts = [
            String(repeating: " ", count: 5000), String(repeating: "\u{1112}\u{1161}\u{11AB}", count: 300),
            String(repeating: "\u{1D6C2}\u{313}\u{300}\u{345}", count: 300), String(repeating: "<|im_start|>", count: 300),
            String(repeating: "abcdefghijklmnopqrstuvwxyz 0123456789\n", count: 50), String(repeating: "-", count: 5000),
        ]
        for text in texts {
            #expect(try tokenizer.encode(text, addSpecialTokens: false).count * most >= text.utf8.count)
        }
        // A bound that lets everything pass bounds nothing.
        #expect(most < 4096)
    }

    @Test(arguments: [
        ("normalizer", ["type": "Strip", "strip_left": true, "strip_right": true]),
        ("pre_tokenizer", ["type": "Split", "pattern": ["Regex": " +"], "behavior": "Removed", "invert": false]),
        (
            "added_tokens",
            [["id": 0, "content": "!", "lstrip": true, "rstrip": false, "single_word": false, "normalized": false, "special": true]]
        ),
    ] as [(String, JSONValue)])
    func whereTextVanishesNothingIsCertain(_ part: String, _ value: JSONValue) throws {
        var object = try #require(try TextFixture.json("tokenizer/demo.json").objectValue)
        object[part] = value
        #expect(try Tokenizer(json: JSONValue.object(object).serialized).maxTokenBytes == nil)
    }
}
