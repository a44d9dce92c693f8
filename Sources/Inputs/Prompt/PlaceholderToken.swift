internal import Budgets
package import Plan

extension InputSpec {
    /// Processor time that making one token of a picture's placeholder may take.
    private static let placeholderLimit = Duration.seconds(10)

    /// Whether `tokenizer` makes a picture's placeholder the one token that stands for a picture; true without a placeholder.
    package func hasPlaceholder(of tokenizer: Tokenizer) throws(TokenizationError) -> Bool {
        guard let placeholder = imagePlaceholder else { return true }
        let budget = WorkBudget(cpuLimit: Self.placeholderLimit)
        return try budget.onThisThread { () throws(TokenizationError) in
            try tokenizer.encode(placeholder.text, addSpecialTokens: false, budget: budget) == [placeholder.tokenID]
        }
    }
}
