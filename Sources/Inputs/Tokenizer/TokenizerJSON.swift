internal import JSON

extension Tokenizer {
    /// Reads the bytes of a `tokenizer.json`, and adds what the files beside it declare.
    ///
    /// Throws for JSON that is not well formed, for contradictions in the file, and for every component or option that would
    /// change ids and is not supported, naming it.
    package convenience init(json: [UInt8], declared: DeclaredTokens? = nil) throws(TokenizerError) {
        var definition = try TokenizerDefinition(json: json)
        if let declared { try definition.add(declared) }
        try self.init(definition)
    }
}

extension TokenizerDefinition {
    init(json: [UInt8]) throws(TokenizerError) {
        let document: JSONValue
        do {
            document = try JSONValue(parsing: json)
        } catch {
            throw .malformed("tokenizer.json", error.description)
        }
        try self.init(JSONNode(document, ""))
    }

    private init(_ root: JSONNode) throws(TokenizerError) {
        guard root.value.objectValue != nil else { throw .malformed("tokenizer.json", "expected an object") }
        try readModel(root.required("model"))
        if let node = root["added_tokens"] {
            for element in try node.elements() { addedTokens.append(try AddedToken(element)) }
        }
        if let node = root["normalizer"] { normalizers = try NormalizerStep.steps(node) }
        if let node = root["pre_tokenizer"] { preTokenizers = try PreTokenizerStep.steps(node) }
        if let node = root["post_processor"] { try readPostProcessor(node) }
        if let node = root["decoder"] { decoders = try DecoderStep.steps(node) }
    }

    private mutating func readModel(_ node: JSONNode) throws(TokenizerError) {
        let untyped = node["merges"] != nil ? "BPE" : node["vocab"]?.value.arrayValue != nil ? "Unigram" : "without a type"
        switch try node["type"]?.string() ?? untyped {
        case "BPE":
            let vocabulary = try BytePairModel.vocabulary(node.required("vocab"))
            model = .bytePair(try BytePairModel(node, vocabulary))
            self.vocabulary = vocabulary
        case "Unigram":
            let (unigram, vocabulary) = try UnigramModel.read(node)
            model = .unigram(unigram)
            self.vocabulary = vocabulary
        case let name: throw .unsupported("\(node.path).type", "model \(name); BPE and Unigram are")
        }
    }

    private mutating func readPostProcessor(_ node: JSONNode) throws(TokenizerError) {
        switch try node.typeName() {
        case "ByteLevel": break
        case "Sequence":
            for element in try node.required("processors").elements() { try readPostProcessor(element) }
        case "TemplateProcessing": try readTemplate(node)
        case "RobertaProcessing", "BertProcessing":
            prefix = [try node.required("cls").index(1).id()] + prefix
            suffix.append(try node.required("sep").index(1).id())
        case let name: throw .unsupported(node.path, "post-processor \(name)")
        }
    }

    private mutating func readTemplate(_ node: JSONNode) throws(TokenizerError) {
        var before: [Int32] = []
        var after: [Int32] = []
        var hasSequence = false
        for piece in try node.required("single").elements() {
            if let special = piece["SpecialToken"] {
                let name = try special.required("id").string()
                let ids = try node.required("special_tokens").required(name).required("ids").elements()
                for id in ids {
                    if hasSequence { after.append(try id.id()) } else { before.append(try id.id()) }
                }
            } else if piece["Sequence"] != nil, !hasSequence {
                hasSequence = true
            } else {
                throw .unsupported(piece.path, "a template that is not special tokens around one sequence")
            }
        }
        guard hasSequence else { throw .unsupported(node.path, "a template without the sequence") }
        prefix = before + prefix
        suffix += after
    }
}

extension AddedToken {
    fileprivate init(_ node: JSONNode) throws(TokenizerError) {
        id = try node.required("id").id()
        content = try node.required("content").string()
        singleWord = try node["single_word"]?.bool() ?? false
        stripsLeft = try node["lstrip"]?.bool() ?? false
        stripsRight = try node["rstrip"]?.bool() ?? false
        isSpecial = try node["special"]?.bool() ?? false
        isNormalized = try node["normalized"]?.bool() ?? !isSpecial
    }
}

extension BytePairModel {
    fileprivate init(_ node: JSONNode, _ vocabulary: Vocabulary) throws(TokenizerError) {
        if let dropout = node["dropout"]?.value.doubleValue, dropout > 0 {
            throw .unsupported("\(node.path).dropout", "dropout \(dropout), which makes encoding random")
        }
        continuingPrefix = Array(try node["continuing_subword_prefix"]?.string().utf8 ?? "".utf8)
        endOfWordSuffix = Array(try node["end_of_word_suffix"]?.string().utf8 ?? "".utf8)
        fusesUnknown = try node["fuse_unk"]?.bool() ?? false
        fallsBackToBytes = try node["byte_fallback"]?.bool() ?? false
        ignoresMerges = try node["ignore_merges"]?.bool() ?? false
        if let unknown = node["unk_token"] { self.unknown = vocabulary.id(try unknown.string().utf8) }
        try readMerges(node.required("merges"), vocabulary)
    }

    fileprivate static func vocabulary(_ node: JSONNode) throws(TokenizerError) -> Vocabulary {
        guard let object = node.value.objectValue else { throw .malformed(node.path, "expected an object") }
        var tokens: [(text: String, id: Int)] = []
        tokens.reserveCapacity(object.count)
        for (text, value) in object {
            guard case .int(let id) = value, id >= 0, id <= Vocabulary.maximumID else {
                throw .malformed("\(node.path)[\"\(text)\"]", "an id must be a whole number up to \(Vocabulary.maximumID)")
            }
            tokens.append((text, id))
        }
        guard let vocabulary = Vocabulary(tokens: tokens) else {
            throw .malformed(node.path, "two tokens share an id")
        }
        return vocabulary
    }

    private mutating func readMerges(_ node: JSONNode, _ vocabulary: Vocabulary) throws(TokenizerError) {
        guard let elements = node.value.arrayValue else { throw .malformed(node.path, "expected an array") }
        merges.reserveCapacity(elements.count)
        for (rank, element) in elements.enumerated() {
            guard let pair = Self.pair(element) else {
                throw .malformed("\(node.path)[\(rank)]", "expected two tokens, as \"a b\" or [\"a\", \"b\"]")
            }
            let joined = pair.left + pair.right.dropFirst(continuingPrefix.count)
            guard let left = vocabulary.id(pair.left), let right = vocabulary.id(pair.right),
                let result = vocabulary.id(joined)
            else { throw .malformed("\(node.path)[\(rank)]", "a token of this merge is not in the vocabulary") }
            merges.append(Merge(left: left, right: right, result: result))
        }
    }

    private static func pair(_ element: JSONValue) -> (left: [UInt8], right: [UInt8])? {
        switch element {
        case .string(let text):
            let parts = Array(text.utf8).split(separator: UInt8(ascii: " "), omittingEmptySubsequences: false)
            return parts.count == 2 ? (Array(parts[0]), Array(parts[1])) : nil
        case .array(let pair):
            guard pair.count == 2, let left = pair[0].stringValue, let right = pair[1].stringValue else { return nil }
            return (Array(left.utf8), Array(right.utf8))
        default: return nil
        }
    }
}

extension NormalizerStep {
    fileprivate static func steps(_ node: JSONNode) throws(TokenizerError) -> [NormalizerStep] {
        switch try node.typeName() {
        case "Sequence": return try node.sequence("normalizers", steps)
        case "NFC": return [.unicode(.canonicalComposition)]
        case "NFD": return [.unicode(.canonicalDecomposition)]
        case "NFKC": return [.unicode(.compatibilityComposition)]
        case "NFKD": return [.unicode(.compatibilityDecomposition)]
        case "Lowercase": return [.lowercase]
        case "Strip":
            return [
                .strip(left: try node["strip_left"]?.bool() ?? true, right: try node["strip_right"]?.bool() ?? true)
            ]
        case "StripAccents": return [.stripAccents]
        case "Replace":
            return [.replace(try node.required("pattern").pattern(), with: try node.required("content").bytes())]
        case "Prepend": return [.prepend(try node.required("prepend").bytes())]
        case "ByteLevel": return [.byteLevel]
        case "Nmt": return [.machineTranslation]
        case "Precompiled":
            let member = try node.required("precompiled_charsmap")
            guard let bytes = Base64.decode(try member.bytes()), let map = CharacterMap(bytes) else {
                throw .malformed(member.path, "no table of replacements as sentencepiece makes them")
            }
            return [.precompiled(map)]
        case "BertNormalizer":
            let lowercases = try node["lowercase"]?.bool() ?? true
            return [
                .bert(
                    BertCleaning(
                        cleans: try node["clean_text"]?.bool() ?? true, separatesChinese: try node["handle_chinese_chars"]?.bool() ?? true,
                        stripsAccents: try node["strip_accents"]?.bool() ?? lowercases, lowercases: lowercases))
            ]
        case let name: throw .unsupported(node.path, "normalizer \(name)")
        }
    }
}

extension PreTokenizerStep {
    fileprivate static func steps(_ node: JSONNode) throws(TokenizerError) -> [PreTokenizerStep] {
        switch try node.typeName() {
        case "Sequence": return try node.sequence("pretokenizers", steps)
        case "Split":
            let pattern = try node.required("pattern").pattern()
            return [
                .split(pattern, try node.required("behavior").behavior(), invert: try node["invert"]?.bool() ?? false)
            ]
        case "ByteLevel":
            return [
                .byteLevel(
                    addPrefixSpace: try node["add_prefix_space"]?.bool() ?? true,
                    splitsWords: try node["use_regex"]?.bool() ?? true)
            ]
        case "Digits": return [.digits(individual: try node["individual_digits"]?.bool() ?? false)]
        case "Metaspace":
            return [
                .metaspace(
                    replacement: try node.metaspaceReplacement(), try node.prependScheme(),
                    splits: try node["split"]?.bool() ?? true)
            ]
        case "WhitespaceSplit": return [.whitespaceSplit]
        case "Whitespace": return [.whitespace]
        case "BertPreTokenizer": return [.whitespaceSplit, .punctuation(.isolated)]
        case "Punctuation": return [.punctuation(try node["behavior"]?.behavior() ?? .isolated)]
        case let name: throw .unsupported(node.path, "pre-tokenizer \(name)")
        }
    }
}

extension DecoderStep {
    fileprivate static func steps(_ node: JSONNode) throws(TokenizerError) -> [DecoderStep] {
        switch try node.typeName() {
        case "Sequence": return try node.sequence("decoders", steps)
        case "ByteLevel": return [.byteLevel]
        case "ByteFallback": return [.byteFallback]
        case "Fuse": return [.fuse]
        case "Replace":
            return [.replace(try node.required("pattern").pattern(), with: try node.required("content").bytes())]
        case "Strip":
            return [
                .strip(
                    content: try node.required("content").character(), start: try node.required("start").count(),
                    stop: try node.required("stop").count())
            ]
        case "Metaspace":
            return [.metaspace(replacement: try node.metaspaceReplacement(), try node.prependScheme())]
        case "BPEDecoder": return [.endOfWord(suffix: try node["suffix"]?.bytes() ?? Array("</w>".utf8))]
        case let name: throw .unsupported(node.path, "decoder \(name)")
        }
    }
}

extension JSONNode {
    /// The steps of all elements, together no more than a tokenizer may have.
    fileprivate func sequence<Step>(
        _ key: String, _ read: (JSONNode) throws(TokenizerError) -> [Step]
    ) throws(TokenizerError) -> [Step] {
        var steps: [Step] = []
        for element in try required(key).elements() {
            steps += try read(element)
            guard steps.count <= TokenizerDefinition.stepsMax else {
                throw .unsupported(path, "more than \(TokenizerDefinition.stepsMax) steps")
            }
        }
        return steps
    }

    fileprivate func pattern() throws(TokenizerError) -> TextPattern {
        let source: TextPattern.Source
        if let text = value.stringValue ?? self["String"]?.value.stringValue {
            source = .literal(text)
        } else if let expression = self["Regex"]?.value.stringValue {
            source = .expression(expression)
        } else {
            throw .malformed(path, "expected {\"String\": …} or {\"Regex\": …}")
        }
        do {
            return try TextPattern(source)
        } catch {
            throw .unsupported(path, error.message)
        }
    }

    fileprivate func behavior() throws(TokenizerError) -> SplitBehavior {
        switch try string() {
        case "Removed", "removed": return .removed
        case "Isolated", "isolated": return .isolated
        case "MergedWithPrevious", "merged_with_previous": return .mergedWithPrevious
        case "MergedWithNext", "merged_with_next": return .mergedWithNext
        case "Contiguous", "contiguous": return .contiguous
        case let name: throw .unsupported(path, "split behavior \(name)")
        }
    }

    fileprivate func character() throws(TokenizerError) -> [UInt8] {
        let text = try string()
        guard text.unicodeScalars.count == 1 else { throw .malformed(path, "expected one character") }
        return Array(text.utf8)
    }

    fileprivate func metaspaceReplacement() throws(TokenizerError) -> [UInt8] {
        try self["replacement"]?.character() ?? Array("▁".utf8)
    }

    fileprivate func prependScheme() throws(TokenizerError) -> PrependScheme {
        if try self["add_prefix_space"]?.bool() == false { return .never }
        switch try self["prepend_scheme"]?.string() ?? "always" {
        case "first": return .first
        case "never": return .never
        case "always": return .always
        case let name: throw .unsupported("\(path).prepend_scheme", "scheme \(name)")
        }
    }
}
