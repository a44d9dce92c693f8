internal import Budgets
package import Plan

extension InputSpec {
    /// Processor time that making one token of its text may take.
    private static let placeholderLimit = Duration.seconds(10)

    /// Whether `tokenizer` makes of the text of the token that takes an image's features that token; true where no text has one.
    package func hasPlaceholder(of tokenizer: Tokenizer) throws(TokenizationError) -> Bool { try Self.holds(image?.prompt, tokenizer) }

    /// The same of the token that takes a video's features.
    package func hasVideoPlaceholder(of tokenizer: Tokenizer) throws(TokenizationError) -> Bool { try Self.holds(video?.frames.prompt, tokenizer) }

    private static func holds(_ prompt: ImagePrompt?, _ tokenizer: Tokenizer) throws(TokenizationError) -> Bool {
        guard let prompt, prompt.isWritten else { return true }
        let budget = WorkBudget(cpuLimit: placeholderLimit)
        return try budget.onThisThread { () throws(TokenizationError) in
            try tokenizer.encode(prompt.tokenText, addSpecialTokens: false, budget: budget) == [prompt.token]
        }
    }
}
