internal import Budgets
package import Plan

extension InputSpec {
    /// Processor time that making one token of its text may take.
    private static let placeholderLimit = Duration.seconds(10)

    /// Whether `tokenizer` makes of the text of the token that takes an image's features that token; true where no text has one.
    package func hasPlaceholder(of tokenizer: Tokenizer) throws(TokenizationError) -> Bool {
        guard let prompt = image?.prompt, prompt.isWritten else { return true }
        let budget = WorkBudget(cpuLimit: Self.placeholderLimit)
        return try budget.onThisThread { () throws(TokenizationError) in
            try tokenizer.encode(prompt.tokenText, addSpecialTokens: false, budget: budget) == [prompt.token]
        }
    }
}
