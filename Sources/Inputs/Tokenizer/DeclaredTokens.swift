package import JSON

/// What the files beside `tokenizer.json`, or beside a model of sentencepiece, declare: tokens that transformers adds, and which of
/// them it puts around a text.
///
/// `PreTrainedTokenizerBase._from_pretrained` and `TokenizersBackend` of transformers 5: `added_tokens_decoder` of
/// tokenizer_config.json, or where that is absent added_tokens.json; then the tokens that are named (`eos_token`, `image_token`, …)
/// and the extra ones. A declared id only orders the tokens: a new one gets the next id that is free.
package struct DeclaredTokens: Sendable {
    struct Token: Sendable {
        var content: String
        var singleWord = false
        var stripsLeft = false
        var stripsRight = false
        /// Nil where the file is silent: then as far as the token is not special.
        var isNormalized: Bool?
        var isSpecial = false
    }

    /// By declared id, lowest first.
    private var declared: [(id: Int, token: Token)] = []
    /// Whether a declared id that tokenizer.json uses is passed over: so in added_tokens.json.
    private var yieldsIDs = true
    /// The tokens of `…_token` entries, in transformers' order.
    private var named: [Token] = []
    private var extra: [Token] = []
    /// The tokens that a sequence begins and ends with where it has such.
    private(set) var beginning: String?
    private(set) var end: String?
    /// Whether it has; nil where the configuration does not say.
    private(set) var addsBeginning: Bool?
    private(set) var addsEnd: Bool?
    /// Whether sentencepiece's space is put before the text behind an added token as well (`legacy`).
    private(set) var prefixesEveryText = true

    /// No files beside tokenizer.json.
    package init() {}

    /// Reads parsed files; nil for one that is not there. Throws for entries of another kind than transformers writes.
    package init(
        tokenizerConfig: JSONValue?, addedTokens: JSONValue?, specialTokensMap: JSONValue?
    ) throws(TokenizerError) {
        let config = JSONNode(tokenizerConfig ?? .null, "tokenizer_config.json")
        let decoder = config["added_tokens_decoder"]
        let map = decoder == nil ? JSONNode(specialTokensMap ?? .null, "special_tokens_map.json") : nil
        for key in Self.names {
            guard let node = map?[key] ?? config[key] else { continue }
            named.append(try Self.special(node))
            if key == Self.names[0] { beginning = named.last?.content }
            if key == Self.names[1] { end = named.last?.content }
        }
        addsBeginning = try config["add_bos_token"]?.bool()
        addsEnd = try config["add_eos_token"]?.bool()
        prefixesEveryText = try config["legacy"]?.bool() ?? true
        let standard = named
        for (key, value) in config.value.objectValue ?? JSONObject() where key.hasSuffix("_token") && !Self.names.contains(key) {
            if value.stringValue != nil || value["__type"]?.stringValue == "AddedToken", let node = config[key] {
                named.append(try Self.special(node))
            }
        }
        let given = config["extra_special_tokens"]
        if let node = given?.isEmpty == false ? given : config["additional_special_tokens"] { try readExtra(node) }
        if let node = map?["extra_special_tokens"] { try readExtra(node) }
        if let decoder {
            yieldsIDs = false
            try readDecoder(decoder)
        } else if let addedTokens {
            try readEncoder(JSONNode(addedTokens, "added_tokens.json"), special: standard + extra)
        }
        declared.sort { $0.id < $1.id }
    }

    /// `SpecialTokensMixin.SPECIAL_TOKENS_ATTRIBUTES`, in its order.
    private static let names = ["bos_token", "eos_token", "unk_token", "sep_token", "pad_token", "cls_token", "mask_token"]

    /// A text, which is a special token, or an object with `content`.
    private static func special(_ node: JSONNode) throws(TokenizerError) -> Token {
        if let content = node.value.stringValue { return Token(content: content, isSpecial: true) }
        return try Token(node)
    }

    /// A list of tokens, or an object of them by name.
    private mutating func readExtra(_ node: JSONNode) throws(TokenizerError) {
        if let members = node.value.objectValue {
            for key in members.keys { if let token = node[key] { named.append(try Self.special(token)) } }
            return
        }
        for element in try node.elements() { extra.append(try Self.special(element)) }
    }

    private mutating func readDecoder(_ node: JSONNode) throws(TokenizerError) {
        guard let members = node.value.objectValue else { throw .malformed(node.path, "expected an object of tokens by id") }
        for (key, value) in members {
            let path = "\(node.path).\(key)"
            guard let id = Int(key) else { throw .malformed(path, "the key is no token id") }
            declared.append((id, try Token(JSONNode(value, path))))
        }
    }

    private mutating func readEncoder(_ node: JSONNode, special: [Token]) throws(TokenizerError) {
        guard let members = node.value.objectValue else { throw .malformed(node.path, "expected an object of ids by token") }
        let special = Set(special.map { ExactText($0.content) })
        for (content, value) in members {
            let id = Int(try JSONNode(value, "\(node.path)[\"\(content)\"]").id())
            let isSpecial = special.contains(ExactText(content))
            declared.append((id, Token(content: content, isNormalized: !isSpecial, isSpecial: isSpecial)))
        }
    }

    /// The tokens with declared ids, lowest first, and the others.
    fileprivate var placed: (known: [(id: Int, token: Token)], others: [Token]) { (declared, named + extra) }

    /// What is added to `own`, the tokens of tokenizer.json, in order; some of them may be there already.
    fileprivate func additions(to own: [AddedToken]) -> [Token] {
        let used = yieldsIDs ? Set(own.map { Int($0.id) }) : []
        var additions = declared.filter { !used.contains($0.id) }.map(\.token)
        let names = Set(named.map { ExactText($0.content) })
        if yieldsIDs { additions += own.map(Token.init).filter { !$0.isSpecial && names.contains(ExactText($0.content)) } }
        for index in additions.indices where names.contains(ExactText(additions[index].content)) { additions[index].isSpecial = true }
        var present = Set(own.map { ExactText($0.content) } + additions.map { ExactText($0.content) })
        for token in named + extra where present.insert(ExactText(token.content)).inserted {
            var token = token
            if names.contains(ExactText(token.content)) { token.isSpecial = true }
            additions.append(token)
        }
        return additions
    }
}

extension JSONNode {
    fileprivate var isEmpty: Bool { value.arrayValue?.isEmpty ?? value.objectValue?.isEmpty ?? false }
}

extension DeclaredTokens.Token {
    fileprivate init(_ node: JSONNode) throws(TokenizerError) {
        guard node.value.objectValue != nil else { throw .malformed(node.path, "expected a token with its content") }
        content = try node["content"]?.string() ?? ""
        singleWord = try node["single_word"]?.bool() ?? false
        stripsLeft = try node["lstrip"]?.bool() ?? false
        stripsRight = try node["rstrip"]?.bool() ?? false
        isNormalized = try node["normalized"]?.bool()
        isSpecial = try node["special"]?.bool() ?? false
    }

    fileprivate init(_ token: AddedToken) {
        content = token.content
        singleWord = token.singleWord
        stripsLeft = token.stripsLeft
        stripsRight = token.stripsRight
        isNormalized = token.isNormalized
        isSpecial = token.isSpecial
    }

    fileprivate func added(as id: Int32) -> AddedToken {
        AddedToken(
            id: id, content: content, singleWord: singleWord, stripsLeft: stripsLeft, stripsRight: stripsRight,
            isNormalized: isNormalized ?? !isSpecial, isSpecial: isSpecial)
    }
}

extension TokenizerDefinition {
    /// Adds tokens as `AddedVocabulary::add_tokens` of HuggingFace's tokenizers does.
    ///
    /// A token that is known, as an added one or in the vocabulary, keeps its id and gets the new options; another gets the id
    /// after the vocabulary and all added tokens. Throws where there is no such id.
    mutating func add(_ declared: DeclaredTokens) throws(TokenizerError) {
        var places: [ExactText: Int] = [:]
        for (place, token) in addedTokens.enumerated() { places[ExactText(token.content)] = place }
        var next = addedTokens.reduce(vocabulary.count) { max($0, Int($1.id) + 1) }
        for token in declared.additions(to: addedTokens) where !token.content.isEmpty {
            let content = ExactText(token.content)
            if let place = places[content] {
                addedTokens[place] = token.added(as: addedTokens[place].id)
                continue
            }
            let id = vocabulary.id(token.content.utf8) ?? Int32(clamping: next)
            guard id <= Vocabulary.maximumID else { throw .malformed("added tokens", "an id is beyond \(Vocabulary.maximumID)") }
            next = max(next, Int(id) + 1)
            places[content] = addedTokens.count
            addedTokens.append(token.added(as: id))
        }
        guard declared.addsBeginning != nil || declared.addsEnd != nil else { return }
        func id(_ content: String?) -> [Int32] {
            content.flatMap { content in places[ExactText(content)].map { addedTokens[$0].id } ?? vocabulary.id(content.utf8) }.map { [$0] } ?? []
        }
        prefix = declared.addsBeginning == true ? id(declared.beginning) : []
        suffix = declared.addsEnd == true ? id(declared.end) : []
    }

    /// Adds tokens as transformers' tokenizers in Python do (`PythonBackend`): a declared id stands, and the token has it instead of
    /// what the vocabulary has there; one without is the vocabulary's token, or gets the number of tokens as its id. All are looked for
    /// in the text as it is given.
    mutating func place(_ declared: DeclaredTokens) throws(TokenizerError) {
        let (known, others) = declared.placed
        for (id, token) in known where !token.content.isEmpty {
            guard id >= 0, id <= Vocabulary.maximumID else { throw .malformed("added tokens", "an id is beyond \(Vocabulary.maximumID)") }
            addedTokens.removeAll { $0.id == id || ExactText($0.content) == ExactText(token.content) }
            addedTokens.append(token.added(as: Int32(id)))
        }
        for token in others where !token.content.isEmpty {
            if let index = addedTokens.firstIndex(where: { ExactText($0.content) == ExactText(token.content) }) {
                if token.isSpecial { addedTokens[index].isSpecial = true }
                continue
            }
            let count = vocabulary.count + addedTokens.count { vocabulary.id($0.content.utf8) == nil }
            addedTokens.append(token.added(as: vocabulary.id(token.content.utf8) ?? Int32(clamping: count)))
        }
        for index in addedTokens.indices { addedTokens[index].isNormalized = false }
    }
}
