package import Plan

extension InputSpec {
    /// Whether `tokenizer` makes a picture's placeholder the one token that stands for a picture; true without a placeholder.
    package func hasPlaceholder(of tokenizer: Tokenizer) -> Bool {
        guard let placeholder = imagePlaceholder else { return true }
        return tokenizer.encode(placeholder.text, addSpecialTokens: false) == [placeholder.tokenID]
    }
}
