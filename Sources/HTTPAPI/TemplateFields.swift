internal import Budgets
internal import Inputs
internal import JSON
internal import Serving

/// What a request says of the way from its messages to a prompt.
struct TemplateFields: Sendable {
    var form: PromptForm
    /// A chat template in place of the model's; nil for that.
    var template: String?

    /// Fields of their own, or what only the server may say.
    private static let reserved: Set<String> = [
        "messages", "tools", "documents", "add_generation_prompt", "continue_final_message", "chat_template",
    ]

    init(_ fields: FieldReader) throws(APIError) {
        form = PromptForm()
        if let value = fields.value("chat_template_kwargs") {
            guard let object = value.objectValue else { throw fields.mismatch("chat_template_kwargs", value, "an object") }
            for (name, value) in object {
                guard !Self.reserved.contains(name) else {
                    throw .invalid("chat_template_kwargs.\(name) is not possible there", param: "chat_template_kwargs")
                }
                form.extra[name] = value
            }
        }
        let adds = try fields.boolean("add_generation_prompt")
        form.continuesLast = try fields.boolean("continue_final_message") ?? false
        guard !form.continuesLast || adds != true else {
            throw .invalid("continue_final_message and add_generation_prompt are not possible together", param: "continue_final_message")
        }
        if let adds = form.continuesLast ? false : adds { form.extra["add_generation_prompt"] = .bool(adds) }
        form.addsSpecialTokens = try fields.boolean("add_special_tokens")
        template = try fields.string("chat_template")
    }

    /// Words of `reasoning_effort`, OpenAI's and vLLM's.
    static let efforts = ["none", "minimal", "low", "medium", "high", "xhigh", "max"]

    /// Tells the template how much to think, and whether to, in the words that templates have for it; what `chat_template_kwargs` says comes first.
    mutating func think(_ fields: FieldReader) throws(APIError) {
        guard let effort = try fields.string("reasoning_effort") else { return }
        guard Self.efforts.contains(effort) else {
            throw .invalid("reasoning_effort must be one of \(Self.efforts.joined(separator: ", ")), not \(quoted: effort)", param: "reasoning_effort")
        }
        for (name, value) in [("reasoning_effort", .string(effort)), ("enable_thinking", .bool(effort != "none"))] as [(String, JSONValue)]
        where form.extra[name] == nil {
            form.extra[name] = value
        }
    }

    /// The pipeline with the request's own template, where it has one.
    func applied(to pipeline: InputPipeline, _ budget: WorkBudget) throws(APIError) -> InputPipeline {
        guard let template else { return pipeline }
        do throws(InputError) {
            return try pipeline.using(template: template, budget: budget)
        } catch {
            throw APIError(error, place: "chat_template")
        }
    }
}
