internal import JSON
internal import Synchronization

/// Byte-pair encoding as a `tokenizer.json` of HuggingFace's tokenizers library describes it: text to token ids and back.
///
/// Every step is taken from the file: added tokens, normalizers, pre-tokenizers, the model, the template of special tokens and
/// the decoders. Truncation and padding in the file are not applied. Safe to use from several threads at once.
package final class Tokenizer: Sendable {
    let definition: TokenizerDefinition
    private let encoder: BytePairEncoder
    /// Finds added tokens in the raw text, and those with `normalized: true` in the normalized text.
    private let rawMatcher: AddedTokenMatcher
    private let normalizedMatcher: AddedTokenMatcher
    private let addedByID: [Int32: AddedToken]
    private let addedIDs: [ExactText: Int32]
    /// The texts that decoding gives for added tokens which their normalizer changes.
    private let normalizedContents: [Int32: [UInt8]]
    private let specialContents: Set<[UInt8]>
    private let workspaces = Mutex<[Workspace]>([])

    private struct Workspace: Sendable {
        var scratch = BytePairEncoder.Scratch()
        var cache = WordCache()
    }

    init(_ definition: TokenizerDefinition) {
        self.definition = definition
        encoder = BytePairEncoder(definition.model)
        let tokens = definition.addedTokens.filter { !$0.content.isEmpty }
        var normalized: [Int32: [UInt8]] = [:]
        for token in tokens where token.isNormalized {
            normalized[token.id] = Self.normalize(Array(token.content.utf8), definition.normalizers)
        }
        rawMatcher = AddedTokenMatcher(tokens.filter { !$0.isNormalized }.map { (Array($0.content.utf8), $0) })
        normalizedMatcher = AddedTokenMatcher(
            tokens.filter(\.isNormalized).map { (normalized[$0.id] ?? Array($0.content.utf8), $0) })
        addedByID = Dictionary(tokens.map { ($0.id, $0) }, uniquingKeysWith: { $1 })
        addedIDs = Dictionary(tokens.map { (ExactText($0.content), $0.id) }, uniquingKeysWith: { $1 })
        normalizedContents = normalized
        specialContents = Set(tokens.filter(\.isSpecial).map { Array($0.content.utf8) })
    }

    private static func normalize(_ text: [UInt8], _ steps: [NormalizerStep]) -> [UInt8] {
        steps.reduce(text) { $1.applied(to: $0) }
    }

    /// The ids of a text.
    ///
    /// With `addSpecialTokens` the file's post-processor puts its tokens around them, such as a beginning-of-sequence token.
    /// Added tokens that are spelled out in the text become their ids, as HuggingFace does.
    package func encode(_ text: String, addSpecialTokens: Bool) -> [Int32] {
        var workspace = workspaces.withLock { $0.popLast() } ?? Workspace()
        var ids: [Int32] = addSpecialTokens ? definition.prefix : []
        let bytes = Array(text.utf8)
        for span in rawMatcher.spans(in: bytes) {
            if let id = span.id {
                ids.append(id)
            } else {
                encode(Array(bytes[span.range]), startsInput: span.range.lowerBound == 0, &workspace, into: &ids)
            }
        }
        if addSpecialTokens { ids += definition.suffix }
        workspaces.withLock { $0.append(workspace) }
        return ids
    }

    private func encode(_ raw: [UInt8], startsInput: Bool, _ workspace: inout Workspace, into ids: inout [Int32]) {
        let text = Self.normalize(raw, definition.normalizers)
        for span in normalizedMatcher.spans(in: text) {
            if let id = span.id {
                ids.append(id)
                continue
            }
            let isWhole = span.range.count == text.count
            var words = Words(
                isWhole ? text : Array(text[span.range]), startsInput: startsInput && span.range.lowerBound == 0)
            words.apply(definition.preTokenizers)
            for range in words.ranges {
                let word = words.text[range]
                if workspace.cache.append(idsOf: word, to: &ids) { continue }
                let start = ids.count
                encoder.encode(word, isByteLevel: words.isByteLevel, with: &workspace.scratch, into: &ids)
                workspace.cache.insert(word, ids: ids[start...])
            }
        }
    }

    /// The text of ids; ids that the vocabulary lacks are passed over, bytes that are not UTF-8 become U+FFFD.
    package func decode(_ ids: some Sequence<Int32>, skipSpecialTokens: Bool) -> String {
        var decoder = IncrementalDecoder(self, skipSpecialTokens: skipSpecialTokens)
        var output: [UInt8] = []
        for id in ids { decoder.append(id, to: &output) }
        decoder.finish(into: &output)
        return String(decoding: output, as: UTF8.self)
    }

    /// The most bytes of text that one token can stand for; nil where the tokenizer passes over text without a token.
    package var maxTokenBytes: Int? { definition.maxTokenBytes }

    /// The text by which decoding knows an id, or nil when it is unknown or special and to be skipped.
    func decodedToken(_ id: Int32, skipsSpecialTokens: Bool) -> [UInt8]? {
        let text: [UInt8]
        if let added = addedByID[id] {
            text = normalizedContents[id] ?? Array(added.content.utf8)
        } else if let slice = definition.model.vocabulary.text(id) {
            text = Array(slice)
        } else {
            return nil
        }
        return skipsSpecialTokens && specialContents.contains(text) ? nil : text
    }

    /// The id of a token, spelled as the vocabulary spells it (`Ġthe`, `<|im_end|>`).
    package func id(of token: String) -> Int32? {
        addedIDs[ExactText(token)] ?? definition.model.vocabulary.id(token.utf8)
    }

    /// The vocabulary's spelling of an id.
    package func token(_ id: Int32) -> String? {
        if let added = addedByID[id] { return added.content }
        return definition.model.vocabulary.text(id).map { String(decoding: $0, as: UTF8.self) }
    }

    /// Whether decoding leaves the id out when it skips special tokens.
    package func isSpecial(_ id: Int32) -> Bool {
        addedByID[id]?.isSpecial ?? false
    }

    /// How many tokens there are, added ones included.
    package var vocabularySize: Int {
        let vocabulary = definition.model.vocabulary
        return vocabulary.count + addedIDs.keys.count { vocabulary.id($0.text.utf8) == nil }
    }

    /// One more than the largest id.
    package var idLimit: Int {
        max(definition.model.vocabulary.idLimit, (addedByID.keys.max().map { Int($0) + 1 }) ?? 0)
    }
}
