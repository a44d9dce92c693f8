internal import Budgets
internal import Inputs
internal import JSON
internal import Serving

/// A request for completions of plain texts, checked.
struct CompletionRequest: Sendable {
    var model: String
    var prompts: PromptSources
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
        prompts = try PromptSources("prompt", fields, vocabularySize: surroundings.vocabularySize, most: Self.maxPrompts)
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

    func plan(_ pipeline: InputPipeline, contextLength: Int, _ budget: WorkBudget) throws(APIError) -> AnswerPlan {
        var plan = AnswerPlan(groups: [], options: options)
        plan.promptField = "prompt"
        let kept = try options.promptTokensMax(contextLength: contextLength)
        for (index, source) in prompts.sources.enumerated() {
            let prompt = try prompts.prompt(index, addsSpecialTokens: addsSpecialTokens, keeping: kept, pipeline, budget)
            let most = min(contextLength - prompt.ids.count, pipeline.defaultMaxTokens ?? Self.defaultMaxTokens)
            let generation = try pipeline.generation(prompt, options, maxTokens: max(most, 1), budget)
            plan.groups.append(GenerationGroup(generation, count: options.bestOf))
            guard echoes else { continue }
            let isWhole = kept.map { prompt.ids.count < $0 } ?? true
            plan.beginnings.append(try text(isWhole ? source : .tokens(prompt.ids), pipeline, budget))
        }
        return plan
    }

    private func text(_ source: PromptSources.Source, _ pipeline: InputPipeline, _ budget: WorkBudget) throws(APIError) -> String {
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
