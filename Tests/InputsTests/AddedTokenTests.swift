import Inputs
import JSON
import Testing

/// Added tokens that take the white space around them, next to what HuggingFace's tokenizers 0.23 give.
@Suite struct AddedTokenTests {
    /// "a" is 0, "b" is 1; a token with neither side stripped stands for itself.
    private func tokenizer(_ tokens: [(content: String, left: Bool, right: Bool)]) throws -> Tokenizer {
        let added = tokens.enumerated().map { index, token -> JSONValue in
            [
                "id": .int(2 + index), "content": .string(token.content), "lstrip": .bool(token.left),
                "rstrip": .bool(token.right), "single_word": false, "normalized": false, "special": false,
            ]
        }
        let document: JSONValue = [
            "added_tokens": .array(added), "model": ["type": "BPE", "vocab": ["a": 0, "b": 1], "merges": []],
        ]
        return try Tokenizer(json: document.serialized)
    }

    @Test(arguments: [
        ("\n", [2]), ("\n\n", [2]), ("\n\n\n", [2]), ("a\n\n\nb", [0, 2, 1]), ("\n \na\n", [2, 0, 2]),
    ] as [(String, [Int32])])
    func aTokenThatTakesSpaceOnBothSides(_ text: String, _ ids: [Int32]) throws {
        let tokenizer = try tokenizer([("\n", true, true)])
        #expect(try tokenizer.encode(text, addSpecialTokens: false) == ids)
    }

    /// Where HuggingFace has an answer it is this one; a second newline behind `<R>` makes it panic.
    @Test(arguments: [
        ("<R>\n", [3]), ("<R>\n\n", [3]), ("<R> \n b", [3, 1]), ("a\n\nb", [0, 2, 2, 1]), ("a\n<R>b", [0, 2, 3, 1]),
        ("<R>\n\n\na\n", [3, 0, 2]),
    ] as [(String, [Int32])])
    func aTokenInsideTheSpaceOfAnother(_ text: String, _ ids: [Int32]) throws {
        let tokenizer = try tokenizer([("\n", true, false), ("<R>", false, true)])
        #expect(try tokenizer.encode(text, addSpecialTokens: false) == ids)
    }

    /// Without a decoder tokens have spaces between them; vLLM's `spaces_between_special_tokens: false` takes away those between added ones.
    @Test func spacesBetweenAddedTokens() throws {
        let tokenizer = try tokenizer([("<A>", false, false), ("<B>", false, false)])
        for (spaces, text) in [(true, "a <A> <B> b <A> a <B>"), (false, "a <A><B> b <A> a <B>")] {
            var decoder = IncrementalDecoder(tokenizer, skipSpecialTokens: false, spacesAddedTokens: spaces)
            var decoded = ""
            for id: Int32 in [0, 2, 3, 1, 2, 0, 3] { decoded += try decoder.append(id) }
            #expect(try decoded + decoder.finish() == text)
        }
    }
}
