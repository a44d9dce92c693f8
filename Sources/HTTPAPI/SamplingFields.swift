internal import JSON
internal import Serving

/// Reads the fields that say how tokens are chosen.
struct SamplingFields {
    let fields: FieldReader
    let vocabularySize: Int

    /// Most words of `bad_words`, and most bytes of one.
    static let maxBadWords = 256
    static let maxBadWordBytes = 256
    static let maxStopTokens = 256

    /// - Parameters:
    ///   - defaults: the model's own sampling.
    ///   - seed: used when the request gives none.
    func sampling(defaults: SamplingParameters, seed: UInt64) throws(APIError) -> SamplingParameters {
        var sampling = defaults
        if let value = try fields.number("temperature", .temperature) {
            sampling.temperature = Float(value)
        }
        if let value = try fields.number("top_p", .topP) {
            sampling.topP = Float(value)
        }
        if let topK = try fields.integer("top_k") {
            guard topK >= -1 else {
                throw .invalid("top_k must be -1 or 0 (all), or at least 1, not \(topK)", param: "top_k")
            }
            sampling.topK = max(topK, 0)
        }
        if let value = try fields.number("min_p", .minP) { sampling.minP = Float(value) }
        if let value = try fields.number("repetition_penalty", .repetitionPenalty) {
            sampling.repetitionPenalty = Float(value)
        }
        if let value = try fields.number("presence_penalty", .addedPenalty) { sampling.presencePenalty = Float(value) }
        if let value = try fields.number("frequency_penalty", .addedPenalty) { sampling.frequencyPenalty = Float(value) }
        // −1 is none, as in vLLM and llama.cpp.
        let asked = try fields.integer("seed").flatMap { $0 == -1 ? nil : UInt64(bitPattern: Int64($0)) }
        sampling.seed = asked ?? seed
        return sampling
    }

    /// The rules, but for `bad_words`, which are tokenized later.
    ///
    /// - Parameters:
    ///   - ends: tokens that end the model's texts.
    func rules(ends: [Int32]) throws(APIError) -> TokenRules {
        var rules = TokenRules()
        rules.biases = try biases()
        if let allowed = try tokens("allowed_token_ids") {
            guard !allowed.isEmpty else { throw .invalid("allowed_token_ids must not be empty", param: "allowed_token_ids") }
            rules.allowed = Set(allowed).sorted()
        }
        if let count = try fields.integer("min_tokens") {
            guard count >= 0 else { throw .invalid("min_tokens must be at least 0, not \(count)", param: "min_tokens") }
            rules.minTokens = count
        }
        guard rules.leaveAToken(of: vocabularySize, ends: ends) else {
            throw .invalid("allowed_token_ids holds end tokens alone, which min_tokens keeps away", param: "allowed_token_ids")
        }
        return rules
    }

    private func biases() throws(APIError) -> [TokenRules.Bias] {
        guard let value = fields.value("logit_bias") else { return [] }
        guard let object = value.objectValue else { throw fields.mismatch("logit_bias", value, "an object") }
        var biases: [TokenRules.Bias] = []
        for (key, value) in object {
            guard let token = Int32(key), isToken(Int(token)) else {
                throw .invalid("logit_bias.\(quoted: key) is no token: the vocabulary has \(vocabularySize)", param: "logit_bias")
            }
            guard let bias = value.doubleValue else { throw .invalid("logit_bias.\(quoted: key) must be a number, not \(value.kind)", param: "logit_bias") }
            guard abs(bias) <= 100 else {
                throw .invalid("logit_bias.\(quoted: key) must be at least -100 and at most 100, not \(value.serializedText.prefix(40))", param: "logit_bias")
            }
            biases.append(TokenRules.Bias(token: token, value: Float(bias)))
        }
        return biases
    }

    func badWords() throws(APIError) -> [String] {
        let words = try fields.strings("bad_words") ?? []
        guard words.count <= Self.maxBadWords else {
            throw .invalid("bad_words holds \(words.count) words, more than \(Self.maxBadWords)", param: "bad_words")
        }
        guard words.allSatisfy({ $0.utf8.count <= Self.maxBadWordBytes }) else {
            throw .invalid("bad_words holds a word of more than \(Self.maxBadWordBytes) bytes", param: "bad_words")
        }
        guard !words.contains("") else { throw .invalid("bad_words must not hold an empty string", param: "bad_words") }
        return words
    }

    func stopTokens() throws(APIError) -> [Int32] {
        let tokens = try tokens("stop_token_ids") ?? []
        guard tokens.count <= Self.maxStopTokens else {
            throw .invalid("stop_token_ids holds \(tokens.count) tokens, more than \(Self.maxStopTokens)", param: "stop_token_ids")
        }
        return tokens
    }

    /// A list of tokens of the vocabulary; nil where there is none.
    func tokens(_ name: String) throws(APIError) -> [Int32]? {
        guard let value = fields.value(name) else { return nil }
        return try tokens(name, of: value, param: name)
    }

    /// - Parameters:
    ///   - name: the place of the list.
    ///   - param: the field that holds it.
    func tokens(_ name: String, of value: JSONValue, param: String) throws(APIError) -> [Int32] {
        guard let list = value.arrayValue else { throw fields.mismatch(name, value, "a list of token ids", param: param) }
        var tokens: [Int32] = []
        tokens.reserveCapacity(list.count)
        for (index, value) in list.enumerated() {
            guard let token = value.intValue else { throw fields.mismatch("\(name)[\(index)]", value, "a token id", param: param) }
            guard isToken(token) else {
                throw .invalid("\(name)[\(index)] \(quoted: "\(token)") is no token: the vocabulary has \(vocabularySize)", param: param)
            }
            tokens.append(Int32(token))
        }
        return tokens
    }

    private func isToken(_ id: Int) -> Bool { (0..<vocabularySize).contains(id) }
}
