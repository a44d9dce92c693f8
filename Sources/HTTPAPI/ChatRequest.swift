internal import Budgets
internal import GuidedDecoding
internal import Inputs
internal import JSON
internal import Serving

/// A request for a chat completion, checked.
struct ChatRequest: Sendable {
    var model: String
    /// In the chat template's form: an image is `{"type": "image"}`.
    var messages: JSONValue
    var images: [EncodedImage]
    var template: TemplateFields
    var options: AnswerOptions
    /// The functions that the model may call; nil for none.
    var offer: ToolFields.Offer?
    /// How the model marks what it thinks before a free answer; nil where nothing is split off.
    private var reasoning: ReasoningReader.Form?

    init(_ object: JSONObject, _ surroundings: AnswerOptions.Surroundings) throws(APIError) {
        let fields = FieldReader(object: object)
        try FieldTable.chat.check(object)
        guard let model = try fields.string("model") else { throw .invalid("model is required", param: "model") }
        self.model = model
        (messages, images) = try MessageReader(fields).read(fields.value("messages"))
        template = try TemplateFields(fields)
        try template.think(fields)
        options = try AnswerOptions(fields, surroundings, logprobs: Self.logprobs(fields))
        options.tellsThoughts = try fields.boolean("include_reasoning") ?? true
        offer = try ToolFields(fields: fields).read()
        // What is guided from its first token on holds no thoughts.
        let isFree = options.guide == nil && offer?.mustCall != true
        reasoning = isFree ? surroundings.reasoning : nil
        guard let offer else { return }
        template.form.extra["tools"] = .array(offer.tools)
        if offer.mustCall { options.idleGuide = options.guide }
        options.guide = try offer.guide(beside: options.guide)
        options.toolCalls = offer.limit
    }

    private static func logprobs(_ fields: FieldReader) throws(APIError) -> Int? {
        let isAsked = try fields.boolean("logprobs") ?? false
        guard let count = try fields.integer("top_logprobs") else { return isAsked ? 0 : nil }
        guard (0...likeliestMax).contains(count) else {
            throw .invalid("top_logprobs must be at least 0 and at most \(likeliestMax), not \(count)", param: "top_logprobs")
        }
        guard isAsked || count == 0 else {
            throw .invalid("top_logprobs is only allowed when logprobs is true", param: "top_logprobs")
        }
        return isAsked ? count : nil
    }

    /// What answers to a prompt begin with, as its last tokens tell.
    private func start(_ prompt: [Int32], _ pipeline: InputPipeline, _ budget: WorkBudget) throws(APIError) -> ReasoningReader.Start {
        guard let reasoning else { return .saying }
        do throws(InputError) {
            let end = try pipeline.text(of: Array(prompt.suffix(Self.endTokens)), TokenShowing(skipsSpecialTokens: false), budget: budget)
            return reasoning.start(behind: end, continues: template.form.continuesLast)
        } catch {
            throw APIError(error)
        }
    }

    /// Tokens at the end of a prompt that hold a mark and the white space behind it.
    private static let endTokens = 16

    /// The prompt, and what is asked of the engine.
    func plan(_ pipeline: InputPipeline, contextLength: Int, _ budget: WorkBudget) throws(APIError) -> AnswerPlan {
        let pipeline = try template.applied(to: pipeline, budget)
        var options = options
        if let offer {
            let form = try pipeline.tools.form(mustCall: offer.mustCall)
            if case .calls(var calls)? = options.guide?.guide {
                calls.form = form
                options.guide?.guide = .calls(calls)
            }
        }
        let most = try options.promptTokensMax(contextLength: contextLength)
        let prompt: Prompt
        do throws(InputError) {
            prompt = try pipeline.prompt(
                messages: messages, form: template.form, images: images, salt: options.cacheSalt, truncatedTo: most, budget: budget)
        } catch {
            throw APIError(error)
        }
        let room = contextLength - prompt.ids.count
        options.start = try start(prompt.ids, pipeline, budget)
        let generation = try pipeline.generation(prompt, options, maxTokens: max(min(room, pipeline.defaultMaxTokens ?? room), 1), budget)
        return AnswerPlan(groups: [GenerationGroup(generation, count: options.bestOf)], options: options)
    }
}
