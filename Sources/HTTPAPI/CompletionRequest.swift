internal import Budgets
internal import Inputs
internal import JSON
internal import Serving

/// A request for completions of plain texts, checked.
struct CompletionRequest: Sendable {
    enum Source: Sendable {
        case text(String)
        case tokens([Int32])
    }

    var model: String
    var prompts: [Source]
    var addsSpecialTokens: Bool
    /// Whether answers begin with their prompt.
    var echoes: Bool
    var options: AnswerOptions

    /// Tokens of an answer where neither request nor model say how many.
    private static let defaultMaxTokens = 16
    private static let maxPrompts = 1024

    init(_ object: JSONObject, _ surroundings: AnswerOptions.Surroundings) throws(APIError) {
        let fields = FieldReader(object: object)
        try FieldTable.completion.check(object)
        guard let model = try fields.string("model") else { throw .invalid("model is required", param: "model") }
        self.model = model
        let tokens = SamplingFields(fields: fields, vocabularySize: surroundings.vocabularySize)
        prompts = try Self.prompts(fields, tokens)
        addsSpecialTokens = try fields.boolean("add_special_tokens") ?? true
        echoes = try fields.boolean("echo") ?? false
        options = try AnswerOptions(fields, surroundings, logprobs: Self.logprobs(fields), echoes: echoes)
    }

    private static func logprobs(_ fields: FieldReader) throws(APIError) -> Int? {
        guard let count = try fields.integer("logprobs") else { return nil }
        guard (0...likeliestMax).contains(count) else {
            throw .invalid("logprobs must be at least 0 and at most \(likeliestMax), not \(count)", param: "logprobs")
        }
        return count
    }

    private static func prompts(_ fields: FieldReader, _ tokens: SamplingFields) throws(APIError) -> [Source] {
        guard let value = fields.value("prompt") else { throw .invalid("prompt is required", param: "prompt") }
        if let text = value.stringValue { return [.text(text)] }
        guard let list = value.arrayValue else {
            throw fields.mismatch("prompt", value, "a string, a list of strings, a list of token ids or a list of those")
        }
        guard let first = list.first else { throw .invalid("prompt must not be empty", param: "prompt") }
        if first.intValue != nil { return try [.tokens(tokens.tokens("prompt") ?? [])] }
        guard list.count <= maxPrompts else {
            throw .invalid("prompt holds \(list.count) prompts, more than \(maxPrompts)", param: "prompt")
        }
        var prompts: [Source] = []
        for (index, element) in list.enumerated() {
            let place = "prompt[\(index)]"
            if let text = element.stringValue {
                prompts.append(.text(text))
            } else if element.arrayValue != nil {
                prompts.append(.tokens(try tokens.tokens(place, of: element, param: "prompt")))
            } else {
                throw fields.mismatch(place, element, "a string or a list of token ids", param: "prompt")
            }
        }
        return prompts
    }

    func plan(_ pipeline: InputPipeline, contextLength: Int, _ budget: WorkBudget) throws(APIError) -> AnswerPlan {
        var plan = AnswerPlan(groups: [], options: options)
        plan.promptField = "prompt"
        let kept = try options.promptTokensMax(contextLength: contextLength)
        for source in prompts {
            let prompt: Prompt
            do throws(InputError) {
                prompt = try self.prompt(source, keeping: kept, pipeline, budget)
            } catch {
                throw APIError(error, place: "prompt")
            }
            let most = min(contextLength - prompt.ids.count, pipeline.defaultMaxTokens ?? Self.defaultMaxTokens)
            let generation = try pipeline.generation(prompt, options, maxTokens: max(most, 1), budget)
            plan.groups.append(GenerationGroup(generation, count: options.bestOf))
            guard echoes else { continue }
            let isWhole = kept.map { prompt.ids.count < $0 } ?? true
            plan.beginnings.append(try text(isWhole ? source : .tokens(prompt.ids), pipeline, budget))
        }
        return plan
    }

    /// - Parameter most: how many of its last tokens are kept; nil for all.
    private func prompt(
        _ source: Source, keeping most: Int?, _ pipeline: InputPipeline, _ budget: WorkBudget
    ) throws(InputError) -> Prompt {
        var ids =
            switch source {
            case .tokens(let ids): ids
            case .text(let text):
                try pipeline.tokens(of: text, addsSpecialTokens: addsSpecialTokens, mayBeCut: most != nil, budget: budget)
            }
        if let most { ids = ids.suffix(most) }
        return pipeline.prompt(tokens: ids)
    }

    private func text(_ source: Source, _ pipeline: InputPipeline, _ budget: WorkBudget) throws(APIError) -> String {
        switch source {
        case .text(let text): return text
        case .tokens(let ids):
            do throws(InputError) {
                return try pipeline.text(of: ids, options.showing, budget: budget)
            } catch {
                throw APIError(error, place: "prompt")
            }
        }
    }
}
