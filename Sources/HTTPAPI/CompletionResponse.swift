internal import JSON
internal import Serving

/// Writes the answers to one request for completions.
struct CompletionResponse: AnswerWriting {
    let head: AnswerHead
    /// Nil where no log probabilities were asked for.
    let texts: TokenTexts?
    /// Where each choice's stream stands.
    private var offsets: [TokenTexts.Offset]

    private static let kind = "text_completion"

    init(head: AnswerHead, texts: TokenTexts?, choices: Int) {
        self.head = head
        self.texts = texts
        offsets = Array(repeating: TokenTexts.Offset(), count: choices)
    }

    func whole(_ choices: [AnswerChoice], _ usage: Usage) -> JSONValue {
        let written = choices.enumerated().map { index, choice -> JSONValue in
            var offset = TokenTexts.Offset()
            let beginning = choice.beginning
            let logprobs = texts?.completion(beginning.tokens + choice.tokens, first: beginning.first, offset: &offset) ?? .null
            var written = self.choice(index, beginning.text + choice.text, logprobs, ended: choice.completion)
            written["prompt_logprobs"] = choice.promptLogprobs
            written["prompt_token_ids"] = head.ids(beginning.prompt)
            written["token_ids"] = head.ids(choice.tokens)
            return .object(written)
        }
        return head.whole(Self.kind, written, usage)
    }

    mutating func opening(_ index: Int, _ beginning: AnswerBeginning) -> [JSONValue] {
        guard !beginning.text.isEmpty || beginning.first != nil || beginning.prompt != nil else { return [] }
        var opening = choice(index, beginning.text, logprobs(index, beginning.tokens, first: beginning.first), ended: nil)
        opening["prompt_token_ids"] = head.ids(beginning.prompt)
        opening["token_ids"] = head.ids([TokenChoice]())
        return [head.chunk(Self.kind, opening)]
    }

    mutating func pieces(_ index: Int, _ text: String, _ tokens: [TokenChoice]) -> [JSONValue] {
        var choice = choice(index, text, logprobs(index, tokens), ended: nil)
        choice["token_ids"] = head.ids(tokens)
        return [head.chunk(Self.kind, choice)]
    }

    mutating func endings(_ index: Int, _ completion: Completion, _ tokens: [TokenChoice]) -> [JSONValue] {
        var choice = choice(index, "", logprobs(index, tokens), ended: completion)
        choice["token_ids"] = head.ids(tokens)
        return [head.chunk(Self.kind, choice)]
    }

    func telling(_ usage: Usage, in piece: JSONValue) -> JSONValue { head.telling(usage, in: piece) }

    func closing(_ usage: Usage) -> [JSONValue] { head.withUsage ? [head.whole(Self.kind, [], usage)] : [] }

    private mutating func logprobs(_ index: Int, _ tokens: [TokenChoice], first: Int32? = nil) -> JSONValue {
        guard !tokens.isEmpty || first != nil, let texts else { return .null }
        return texts.completion(tokens, first: first, offset: &offsets[index])
    }

    private func choice(_ index: Int, _ text: String, _ logprobs: JSONValue, ended: Completion?) -> JSONObject {
        var choice = JSONObject()
        choice["index"] = .int(index)
        choice["text"] = .string(text)
        choice["logprobs"] = logprobs
        choice["finish_reason"] = ended.map { .string($0.reason.rawValue) } ?? .null
        choice["stop_reason"] = ended?.stopReason ?? .null
        return choice
    }
}
