package import Budgets
package import JSON

/// A model's chat template: Jinja, with the environment that HuggingFace's `apply_chat_template` gives it.
///
/// Blocks are trimmed (`trim_blocks`, `lstrip_blocks`), loops have `break` and `continue`, `{% generation %}` passes its body
/// on; `tojson`, `raise_exception`, `strftime_now`, `namespace`, `range`, `dict`, `joiner` and `cycler` exist. Nothing that a
/// template does can reach outside of its values; time, memory and depth are bounded.
package struct ChatTemplate: Sendable {
    private let statements: [TemplateStatement]

    /// Parses the source; throws with reason `syntax`.
    package init(source: String) throws(ChatTemplateError) {
        statements = try TemplateParser.statements(source)
    }

    /// Renders with the members of `context` as variables.
    ///
    /// HuggingFace always passes `messages`, `tools` and `documents` (null when there are none) and `add_generation_prompt`,
    /// and the special tokens by name (`bos_token`, `eos_token`, …). `now` is what `strftime_now` shows, in seconds since 1970,
    /// in the local time zone; nil means the present. Throws with reason `raised` when the template refuses its input,
    /// `evaluation` when it fails, `limit` when it takes too much, or when `budget` ends, which pays for the
    /// work as it is done.
    package func render(_ context: JSONObject, now: Int? = nil, budget: WorkBudget? = nil) throws(ChatTemplateError) -> String {
        let statements = statements
        return try DeepStack.run { () throws(ChatTemplateError) in
            let evaluator = TemplateEvaluator(now: now, budget: budget)
            defer { evaluator.release() }
            guard let budget else { return try evaluator.render(statements, context) }
            return try budget.onThisThread { () throws(ChatTemplateError) in try evaluator.render(statements, context) }
        }
    }
}
