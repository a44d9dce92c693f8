import Inputs
import JSON
import Testing

/// Tokens that are declared beside tokenizer.json, next to what `AutoTokenizer` of transformers 5.24 makes of the same files.
@Suite struct DeclaredTokenTests {
    /// "a" is 0, "b" is 1, and `<e>` is added as 2.
    private static let own = #"""
        {"added_tokens": [{"id": 2, "content": "<e>", "special": true, "normalized": false}],
         "model": {"type": "BPE", "vocab": {"a": 0, "b": 1}, "merges": []}}
        """#

    private func tokenizer(_ config: String?, _ added: String? = nil, _ map: String? = nil) throws -> Tokenizer {
        let declared = try DeclaredTokens(
            tokenizerConfig: config.map { try JSONValue(parsing: $0) }, addedTokens: added.map { try JSONValue(parsing: $0) },
            specialTokensMap: map.map { try JSONValue(parsing: $0) })
        return try Tokenizer(json: Array(Self.own.utf8), declared: declared)
    }

    /// Ids and texts of all tokens but plain "a" and "b"; a star marks special ones.
    private func shown(_ tokenizer: Tokenizer) -> String {
        let ids = (0..<Int32(tokenizer.idLimit)).filter { $0 > 1 || tokenizer.isSpecial($0) }
        return ids.map { "\($0)\(tokenizer.token($0) ?? "")\(tokenizer.isSpecial($0) ? "*" : "")" }.joined(separator: " ")
    }

    private static let special = #""special": true, "normalized": false, "lstrip": false"#

    @Test(arguments: [
        (#"{"added_tokens_decoder": {"4": {"content": "<p>", \#(special)}, "3": {"content": "<v>", \#(special)}}}"#, "2<e>* 3<v>* 4<p>*"),
        (#"{"added_tokens_decoder": {"9": {"content": "<p>", \#(special)}, "5": {"content": "<v>", \#(special)}}}"#, "2<e>* 3<v>* 4<p>*"),
        (#"{"added_tokens_decoder": {"2": {"content": "<v>", \#(special)}}}"#, "2<e>* 3<v>*"),
        (#"{"added_tokens_decoder": {"2": {"content": "<e>", "special": false}}}"#, "2<e>"),
        (#"{"added_tokens_decoder": {"7": {"content": "b", \#(special)}, "8": {"content": "<v>", \#(special)}}}"#, "1b* 2<e>* 3<v>*"),
        (#"{"added_tokens_decoder": {"3": {"content": "<v>"}, "4": {"content": ""}}}"#, "2<e>* 3<v>"),
        (
            #"{"added_tokens_decoder": {"3": {"content": "<v>", "special": false}}, "pad_token": "<v>", "eos_token": "<new>"}"#,
            "2<e>* 3<v>* 4<new>*"
        ),
        (#"{"extra_special_tokens": ["<v>", {"content": "<p>", \#(special), "__type": "AddedToken"}]}"#, "2<e>* 3<v>* 4<p>*"),
        (#"{"extra_special_tokens": {"image_token": "<v>"}}"#, "2<e>* 3<v>*"),
        (#"{"additional_special_tokens": ["<v>"], "extra_special_tokens": []}"#, "2<e>* 3<v>*"),
        (#"{"image_token": "<p>", "add_bos_token": false, "pad_token": null}"#, "2<e>* 3<p>*"),
    ])
    func tokenizerConfigAdds(_ config: String, _ tokens: String) throws {
        #expect(try shown(tokenizer(config)) == tokens)
    }

    @Test(arguments: [
        (#"{"eos_token": "<v>"}"#, #"{"<v>": 3, "<p>": 4}"#, nil, "2<e>* 3<v>* 4<p>"),
        (nil, #"{"<v>": 2, "<p>": 4}"#, nil, "2<e>* 3<p>"),
        (#"{"added_tokens_decoder": {"3": {"content": "<v>", "special": true}}}"#, #"{"<p>": 4}"#, nil, "2<e>* 3<v>*"),
        (#"{"added_tokens_decoder": {}}"#, #"{"<p>": 4}"#, nil, "2<e>*"),
        (
            #"{"eos_token": "<e>"}"#, #"{"<v>": 3, "<p>": 4}"#, #"{"eos_token": {"content": "<v>"}, "extra_special_tokens": ["<p>"]}"#,
            "2<e>* 3<v>* 4<p>*"
        ),
        (#"{"added_tokens_decoder": {"3": {"content": "<v>"}}}"#, nil, #"{"bos_token": "<p>"}"#, "2<e>* 3<v>"),
    ] as [(String?, String?, String?, String)])
    func olderFilesAdd(_ config: String?, _ added: String?, _ map: String?, _ tokens: String) throws {
        #expect(try shown(tokenizer(config, added, map)) == tokens)
    }

    @Test func addedTokensAreFoundInText() throws {
        let tokenizer = try tokenizer(#"{"added_tokens_decoder": {"3": {"content": "<v>", "special": true}}}"#)
        #expect(try tokenizer.encode("a<v>b<e>", addSpecialTokens: false) == [0, 3, 1, 2])
        #expect(try Tokenizer(compiled: tokenizer.compiled).encode("a<v>b<e>", addSpecialTokens: false) == [0, 3, 1, 2])
    }

    @Test(arguments: [
        (#"{"added_tokens_decoder": {"x": {"content": "<v>"}}}"#, "tokenizer_config.json.added_tokens_decoder.x"),
        (#"{"added_tokens_decoder": {"3": "<v>"}}"#, "tokenizer_config.json.added_tokens_decoder.3"),
        (#"{"added_tokens_decoder": [1]}"#, "tokenizer_config.json.added_tokens_decoder"),
        (#"{"eos_token": 3}"#, "tokenizer_config.json.eos_token"),
    ])
    func whatIsNoTokenIsNamed(_ config: String, _ place: String) {
        let error = #expect(throws: TokenizerError.self) { try tokenizer(config) }
        #expect(error?.place == place)
    }
}
