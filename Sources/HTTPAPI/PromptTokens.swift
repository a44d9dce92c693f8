/// How many tokens of a prompt are kept, as `truncate_prompt_tokens` says: its last ones.
///
/// Source: vLLM's `_validate_truncation_size`; where it would leave no room for an answer, −1 leaves some here.
struct PromptTokens: Sendable {
    /// At least 1, or −1 for as many as there is room for; nil for all.
    private let count: Int?

    init(_ fields: FieldReader) throws(APIError) {
        count = try fields.integer("truncate_prompt_tokens")
        guard let count, count != -1, count < 1 else { return }
        throw .invalid("truncate_prompt_tokens must be -1 or at least 1, not \(count)", param: "truncate_prompt_tokens")
    }

    /// Nil for all.
    ///
    /// - Parameter answer: tokens of the context that -1 leaves to the answer.
    func most(contextLength: Int, answer: Int) throws(APIError) -> Int? {
        guard let count else { return nil }
        guard count != -1 else { return max(contextLength - answer, 1) }
        guard count <= contextLength else {
            throw .invalid(
                "truncate_prompt_tokens \(count) is more than the \(contextLength) tokens that the model's context holds",
                param: "truncate_prompt_tokens")
        }
        return count
    }
}
