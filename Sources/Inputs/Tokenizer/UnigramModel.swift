internal import JSON

extension UnigramModel {
    /// Reads `model` of a tokenizer.json and its vocabulary of pairs, text and score.
    static func read(_ node: JSONNode) throws(TokenizerError) -> (UnigramModel, Vocabulary) {
        var model = UnigramModel()
        var tokens: [(text: String, id: Int)] = []
        let list = try node.required("vocab")
        guard let elements = list.value.arrayValue else { throw .malformed(list.path, "expected an array") }
        tokens.reserveCapacity(elements.count)
        for (id, element) in elements.enumerated() {
            guard let pair = element.arrayValue, pair.count == 2, let text = pair[0].stringValue,
                let score = pair[1].doubleValue, score.isFinite
            else { throw .malformed("\(list.path)[\(id)]", "expected a token and its score, as [\"a\", -1.5]") }
            tokens.append((text, id))
            model.scores.append(score)
        }
        guard tokens.reduce(0, { $0 + $1.text.utf8.count }) <= textBytesMax, let vocabulary = Vocabulary(tokens: tokens) else {
            throw .unsupported(list.path, "a vocabulary of more than \(Vocabulary.maximumID) tokens or \(textBytesMax) bytes")
        }
        guard let unknown = node["unk_id"] else { throw .unsupported("\(node.path).unk_id", "a Unigram model without an unknown token") }
        model.unknown = try unknown.id()
        guard Int(model.unknown) < tokens.count else { throw .malformed(unknown.path, "the vocabulary has no such token") }
        model.unknownScore = (model.scores.min() ?? 0) - unknownPenalty
        model.fallsBackToBytes = try node["byte_fallback"]?.bool() ?? false
        return (model, vocabulary)
    }

    /// How much less than the least score of a token an unknown character has (`kUnkPenalty` of sentencepiece).
    static let unknownPenalty = 10.0
}
