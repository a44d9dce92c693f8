internal import JSON
internal import Serving

/// What one HTTP request asks of the engine.
struct AnswerPlan: Sendable {
    /// One for each prompt, with `options.bestOf` answers each.
    var groups: [GenerationGroup]
    var options: AnswerOptions
    /// The texts that answers to each prompt begin with; empty for nothing.
    var beginnings: [String] = []
    /// The field that holds the prompt.
    var promptField = "messages"
    /// What answers: the model as it is where it is nil.
    var adapter: ServedAdapter? {
        didSet { for index in groups.indices { groups[index].request.adapter = adapter?.chosen } }
    }

    /// The field that asks for several answers.
    var answersField: String { options.bestOf > options.n ? "best_of" : options.n > 1 ? "n" : promptField }

    var heldBytes: Int { groups.reduce(0) { $0 + $1.request.heldBytes } }

    /// What answers to a prompt begin with; nil while the engine has told too little of it.
    func beginning(ofPrompt index: Int, told: [PromptToken]) -> AnswerBeginning? {
        var beginning = AnswerBeginning(text: beginnings.isEmpty ? "" : beginnings[index])
        let ids = groups[index].request.prompt.ids
        if options.returnsTokenIDs { beginning.prompt = ids }
        guard options.echoesLogprobs, let count = options.logprobs else { return beginning }
        guard told.count == ids.count - 1 else { return nil }
        beginning.first = ids.first
        beginning.tokens = told.map { TokenChoice(chosen: $0.choice.chosen, likeliest: Array($0.choice.likeliest.prefix(count))) }
        return beginning
    }
}

/// What comes before the text that is generated: nothing, or the prompt.
struct AnswerBeginning: Sendable {
    var text = ""
    /// The prompt's tokens; nil where they are not told.
    var prompt: [Int32]?
    /// The prompt's first token, which has no log probability; nil where those of the prompt are not told.
    var first: Int32?
    var tokens: [TokenChoice] = []
}

/// One choice of an answer.
struct AnswerChoice: Sendable {
    var beginning = AnswerBeginning()
    /// Log probabilities of the prompt; nil where none were asked for.
    var promptLogprobs: JSONValue?
    var text = ""
    var tokens: [TokenChoice] = []
    /// Nil where thoughts are not told apart.
    var thoughts: ThoughtCount?
    /// Nil until it has ended.
    var completion: Completion?

    mutating func end(_ completion: Completion) {
        thoughts?.finish(tokens: completion.usage.completionTokens)
        self.completion = completion
    }
}

extension AnswerPlan {
    /// Answers of which nothing is known, `options.bestOf` for each prompt.
    var beginningAnswers: [AnswerChoice] {
        var answer = AnswerChoice()
        answer.thoughts = ThoughtCount(options.start)
        return Array(repeating: answer, count: groups.count * options.bestOf)
    }

    /// The choices that are shown of all answers: of each prompt's, the `n` likeliest.
    func shown(_ answers: [AnswerChoice]) -> [AnswerChoice] {
        guard options.bestOf > options.n else { return answers }
        return groups.indices.flatMap { group in
            let branches = answers[group * options.bestOf..<(group + 1) * options.bestOf].enumerated()
            let order = branches.sorted { left, right in
                let (first, second) = (left.element.completion?.logprob ?? 0, right.element.completion?.logprob ?? 0)
                return (second, left.offset) < (first, right.offset)
            }
            return order.prefix(options.n).map(\.element)
        }
    }

    /// Tokens of all answers; a prompt counts once.
    func usage(_ answers: [AnswerChoice]) -> Usage {
        var usage = Usage()
        for (index, answer) in answers.enumerated() {
            guard let part = answer.completion?.usage else { continue }
            usage.completionTokens += part.completionTokens
            if let thoughts = answer.thoughts { usage.reasoningTokens = (usage.reasoningTokens ?? 0) + thoughts.tokens }
            guard index % options.bestOf == 0 else { continue }
            usage.promptTokens += part.promptTokens
            usage.cachedTokens += part.cachedTokens
            usage.imageTokens += part.imageTokens
        }
        return usage
    }
}
