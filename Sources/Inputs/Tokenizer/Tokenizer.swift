package import Budgets
internal import JSON
internal import Synchronization

/// Text to token ids and back, as a `tokenizer.json` of HuggingFace's tokenizers library or a model of sentencepiece describes it.
///
/// Every step is taken from the files: added tokens, normalizers, pre-tokenizers, the model, the template of special tokens and
/// the decoders. Truncation and padding in the file are not applied. Safe to use from several threads at once.
package final class Tokenizer: Sendable {
    let definition: TokenizerDefinition
    private let encoder: Encoder
    /// Finds added tokens in the raw text, and those with `normalized: true` in the normalized text.
    private let rawMatcher: AddedTokenMatcher
    private let normalizedMatcher: AddedTokenMatcher
    private let addedByID: [Int32: AddedToken]
    private let addedIDs: [ExactText: Int32]
    /// The texts that decoding gives for added tokens which their normalizer changes.
    private let normalizedContents: [Int32: [UInt8]]
    private let specialContents: Set<[UInt8]>
    private let workspaces = Mutex<[Workspace]>([])

    private enum Encoder: Sendable {
        case bytePair(BytePairEncoder)
        case unigram(UnigramEncoder)
    }

    private struct Workspace: Sendable {
        var scratch = BytePairEncoder.Scratch()
        var cache = WordCache()
    }

    /// Processor time that the normalization of all added tokens may take.
    private static let loadingLimit = Duration.seconds(10)

    /// Throws when the normalizers cannot be run on an added token within the bounds of any text, or on all within ten seconds.
    init(_ definition: TokenizerDefinition) throws(TokenizerError) {
        self.definition = definition
        encoder =
            switch definition.model {
            case .bytePair(let model): .bytePair(BytePairEncoder(model, definition.vocabulary))
            case .unigram(let model): .unigram(UnigramEncoder(model, definition.vocabulary))
            }
        let tokens = definition.addedTokens.filter { !$0.content.isEmpty }
        let normalized = try Self.normalizedContents(of: tokens, definition.normalizers)
        rawMatcher = AddedTokenMatcher(tokens.filter { !$0.isNormalized }.map { (Array($0.content.utf8), $0) })
        normalizedMatcher = AddedTokenMatcher(
            tokens.filter(\.isNormalized).map { (normalized[$0.id] ?? Array($0.content.utf8), $0) })
        addedByID = Dictionary(tokens.map { ($0.id, $0) }, uniquingKeysWith: { $1 })
        addedIDs = Dictionary(tokens.map { (ExactText($0.content), $0.id) }, uniquingKeysWith: { $1 })
        normalizedContents = normalized
        specialContents = Set(tokens.filter(\.isSpecial).map { Array($0.content.utf8) })
    }

    private static func normalizedContents(
        of tokens: [AddedToken], _ steps: [NormalizerStep]
    ) throws(TokenizerError) -> [Int32: [UInt8]] {
        let budget = WorkBudget(cpuLimit: loadingLimit)
        return try budget.onThisThread { () throws(TokenizerError) in
            var normalized: [Int32: [UInt8]] = [:]
            for token in tokens where token.isNormalized {
                let content = Array(token.content.utf8)
                do throws(TokenizationError) {
                    normalized[token.id] = try normalize(
                        content, steps, startsInput: false, .encoding(bytes: content.count, budget: budget))
                } catch {
                    throw .unsupported("normalizer", "added token \(token.id): \(error)")
                }
            }
            return normalized
        }
    }

    private static func normalize(
        _ text: [UInt8], _ steps: [NormalizerStep], startsInput: Bool, _ work: TokenizationWork
    ) throws(TokenizationError) -> [UInt8] {
        var text = text
        for (index, step) in steps.enumerated() {
            work.enter(.normalizer, index)
            text = try step.applied(to: text, startsInput: startsInput, work)
        }
        return text
    }

    /// The ids of a text.
    ///
    /// With `addSpecialTokens` the file's post-processor puts its tokens around them, such as a beginning-of-sequence token.
    /// Added tokens that are spelled out in the text become their ids, as HuggingFace does.
    ///
    /// Charges the budget as it goes. Throws when a normalizer makes the text too long, a regular expression takes too many steps
    /// on it, or the budget does not allow more.
    package func encode(
        _ text: String, addSpecialTokens: Bool, budget: WorkBudget? = nil
    ) throws(TokenizationError) -> [Int32] {
        var workspace = workspaces.withLock { $0.popLast() } ?? Workspace()
        defer { workspaces.withLock { $0.append(workspace) } }
        var ids: [Int32] = addSpecialTokens ? definition.prefix : []
        let bytes = Array(text.utf8)
        let work = TokenizationWork.encoding(bytes: bytes.count, budget: budget)
        for span in try rawMatcher.spans(in: bytes, work) {
            if let id = span.id {
                ids.append(id)
            } else {
                try encode(Array(bytes[span.range]), startsInput: span.range.lowerBound == 0, work, &workspace, into: &ids)
            }
        }
        if addSpecialTokens { ids += definition.suffix }
        return ids
    }

    private func encode(
        _ raw: [UInt8], startsInput: Bool, _ work: TokenizationWork, _ workspace: inout Workspace, into ids: inout [Int32]
    ) throws(TokenizationError) {
        let text = try Self.normalize(raw, definition.normalizers, startsInput: startsInput, work)
        for span in try normalizedMatcher.spans(in: text, work) {
            if let id = span.id {
                ids.append(id)
                continue
            }
            let isWhole = span.range.count == text.count
            var words = Words(
                isWhole ? text : Array(text[span.range]), startsInput: startsInput && span.range.lowerBound == 0)
            try words.apply(definition.preTokenizers, work)
            for range in words.ranges {
                let word = words.text[range]
                try work.charge(Self.unitsPerWord)
                if workspace.cache.append(idsOf: word, to: &ids) { continue }
                let start = ids.count
                switch encoder {
                case .bytePair(let encoder):
                    try encoder.encode(word, isByteLevel: words.isByteLevel, work, with: &workspace.scratch, into: &ids)
                case .unigram(let encoder):
                    try encoder.encode(words.isByteLevel ? ByteAlphabet.spelled(word)[...] : word, work, into: &ids)
                }
                workspace.cache.insert(word, ids: ids[start...])
            }
        }
    }

    /// What a word costs that was seen before, in units of the budget.
    private static let unitsPerWord = 50

    /// The text of ids; ids that the vocabulary lacks are passed over, bytes that are not UTF-8 become U+FFFD.
    ///
    /// Throws when a decoder makes the text too long, or its regular expression takes too many steps.
    package func decode(_ ids: some Sequence<Int32>, skipSpecialTokens: Bool) throws(TokenizationError) -> String {
        var decoder = IncrementalDecoder(self, skipSpecialTokens: skipSpecialTokens)
        var output: [UInt8] = []
        for id in ids { try decoder.append(id, to: &output) }
        try decoder.finish(into: &output)
        return String(decoding: output, as: UTF8.self)
    }

    /// The most bytes of text that one token can stand for; nil where the tokenizer passes over text without a token.
    package var maxTokenBytes: Int? { definition.maxTokenBytes }

    /// The text by which decoding knows an id, or nil when it is unknown or special and to be skipped.
    func decodedToken(_ id: Int32, skipsSpecialTokens: Bool) -> [UInt8]? {
        let text: [UInt8]
        if let added = addedByID[id] {
            text = normalizedContents[id] ?? Array(added.content.utf8)
        } else if let slice = definition.vocabulary.text(id) {
            text = Array(slice)
        } else {
            return nil
        }
        return skipsSpecialTokens && specialContents.contains(text) ? nil : text
    }

    /// The id of a token, spelled as the vocabulary spells it (`Ġthe`, `<|im_end|>`).
    package func id(of token: String) -> Int32? {
        addedIDs[ExactText(token)] ?? definition.vocabulary.id(token.utf8)
    }

    /// The vocabulary's spelling of an id.
    package func token(_ id: Int32) -> String? {
        if let added = addedByID[id] { return added.content }
        return definition.vocabulary.text(id).map { String(decoding: $0, as: UTF8.self) }
    }

    /// Whether the id is of a token beside the vocabulary of the model of words.
    func isAdded(_ id: Int32) -> Bool { addedByID[id] != nil }

    /// Whether decoding leaves the id out when it skips special tokens.
    package func isSpecial(_ id: Int32) -> Bool {
        addedByID[id]?.isSpecial ?? false
    }

    /// How many tokens there are, added ones included.
    package var vocabularySize: Int {
        let vocabulary = definition.vocabulary
        return vocabulary.count + addedIDs.keys.count { vocabulary.id($0.text.utf8) == nil }
    }

    /// One more than the largest id.
    package var idLimit: Int {
        max(definition.vocabulary.idLimit, (addedByID.keys.max().map { Int($0) + 1 }) ?? 0)
    }
}
