internal import JSON

/// The files of a model directory that make its tokenizer.
///
/// `tokenizer.json` is the first choice, then a `tokenizer.model` of sentencepiece, then a rank file of tiktoken.
package struct TokenizerSource {
    private let json: [UInt8]?
    private let sentencePiece: [UInt8]?
    private let ranks: (name: String, bytes: [UInt8])?
    private let rankSpecials: [String]
    private let config: [UInt8]?
    private let addedTokens: [UInt8]?
    private let specialTokens: [UInt8]?

    /// Whether a file of that name may have a part in the tokenizer.
    package static func reads(_ name: String) -> Bool {
        [
            "tokenizer.json", "tokenizer.model", "tokenizer_config.json", "added_tokens.json", "special_tokens_map.json",
        ].contains(name) || name.hasSuffix(".tiktoken")
    }

    /// - Parameters:
    ///   - names: the names of the directory's files.
    ///   - rankSpecials: the special tokens behind those of a rank file, which holds none.
    ///   - bytes: the content of one of them.
    package init(names: some Sequence<String>, rankSpecials: [String] = [], bytes: (String) -> [UInt8]?) {
        self.rankSpecials = rankSpecials
        json = bytes("tokenizer.json")
        sentencePiece = bytes("tokenizer.model")
        ranks = names.filter { $0.hasSuffix(".tiktoken") }.min().flatMap { name in bytes(name).map { (name, $0) } }
        config = bytes("tokenizer_config.json")
        addedTokens = bytes("added_tokens.json")
        specialTokens = bytes("special_tokens_map.json")
    }

    /// Throws `TokenizerError` with the file and the place of what is wrong, or that there is no tokenizer.
    package func tokenizer() throws(TokenizerError) -> Tokenizer {
        let declared = try DeclaredTokens(
            tokenizerConfig: try Self.parsed(config, "tokenizer_config.json"), addedTokens: try Self.parsed(addedTokens, "added_tokens.json"),
            specialTokensMap: try Self.parsed(specialTokens, "special_tokens_map.json"))
        if let json { return try Tokenizer(json: json, declared: declared) }
        if let sentencePiece { return try Tokenizer(TokenizerDefinition(sentencePiece: sentencePiece, declared: declared)) }
        if let ranks { return try Tokenizer(TokenizerDefinition(ranks: ranks.bytes, name: ranks.name, specials: rankSpecials)) }
        throw TokenizerError(
            reason: .missing, place: "",
            message: "there is no tokenizer.json, tokenizer.model or *.tiktoken; save the tokenizer with transformers' save_pretrained")
    }

    private static func parsed(_ bytes: [UInt8]?, _ name: String) throws(TokenizerError) -> JSONValue? {
        guard let bytes else { return nil }
        do throws(JSONError) { return try JSONValue(parsing: bytes, dialect: .python) } catch { throw .malformed(name, error.description) }
    }
}
