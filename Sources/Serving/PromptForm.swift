package import Budgets
internal import Inputs
package import JSON

/// How messages become a text and tokens, where a request says.
package struct PromptForm: Sendable {
    /// What the chat template sees beside the messages; see `InputSpec.templateContext`.
    package var extra = JSONObject()
    /// Whether the prompt ends inside the last message, which the answer goes on with.
    package var continuesLast = false
    /// Whether the tokenizer's special tokens are put around the rendered text; nil for what HF's processor does.
    package var addsSpecialTokens: Bool?

    package init(extra: JSONObject = JSONObject(), continuesLast: Bool = false, addsSpecialTokens: Bool? = nil) {
        self.extra = extra
        self.continuesLast = continuesLast
        self.addsSpecialTokens = addsSpecialTokens
    }
}

/// How tokens are shown as a text.
package struct TokenShowing: Sendable {
    package var skipsSpecialTokens: Bool
    /// Whether a tokenizer without a decoder puts a space between added tokens that follow each other.
    package var spacesAddedTokens: Bool

    package init(skipsSpecialTokens: Bool = true, spacesAddedTokens: Bool = true) {
        self.skipsSpecialTokens = skipsSpecialTokens
        self.spacesAddedTokens = spacesAddedTokens
    }
}

/// A chat template at work: what it renders, and what it was found to take.
struct TemplateUse: Sendable {
    let render: InputPipeline.Render
    /// Forms of content that it takes.
    let forms: MessageForms
    let tools: ToolForm

    /// Processor time of finding out what it takes, of all forms together and of each trial of tools, which requests may make side by side; a
    /// template that needs longer for messages of one word tells nothing.
    private static let trialTime = Duration.seconds(1)

    /// - Parameter budget: pays for the trials of the template.
    init(within budget: WorkBudget? = nil, render: @escaping InputPipeline.Render) {
        self.render = render
        let trials = WorkBudget(cpuLimit: Self.trialTime, within: budget)
        forms = MessageForms { messages in try render(messages, JSONObject(), trials) }
        tools = ToolForm { messages, extra in try render(messages, extra, WorkBudget(cpuLimit: Self.trialTime, within: budget)) }
    }
}

extension InputPipeline {
    /// Most bytes of a chat template that a request brings.
    package static let requestTemplateBytesMax = 1 << 16

    /// The same with a chat template that a request brings, for it alone; trying which forms the template takes charges `budget`.
    package func using(template source: String, budget: WorkBudget) throws(InputError) -> InputPipeline {
        guard source.utf8.count <= Self.requestTemplateBytesMax else {
            throw .badPrompt("chat_template has \(source.utf8.count) bytes, more than \(Self.requestTemplateBytesMax)")
        }
        var pipeline = self
        do {
            pipeline.template = TemplateUse(within: budget, render: try parse(source))
        } catch {
            throw .badPrompt("chat_template does not parse", quoting: "\(error)")
        }
        pipeline.refusal = nil
        try Self.check(budget)
        return pipeline
    }
}
