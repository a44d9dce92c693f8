extension Tokenizer {
    /// Why the tokenizer cannot read one of a few texts that patterns of exponential cost stumble over, with the text; nil where it
    /// reads all of them. Takes ten seconds of processor time at most, and a few milliseconds for ordinary tokenizers.
    package var fault: String? {
        let budget = WorkBudget(cpuLimit: .seconds(10))
        for run in ["a", "A", "é", "日", "7", " ", "\n", "=", "a ", "aA1 "] {
            do throws(TokenizationError) {
                let text = String(repeating: run, count: Self.trialCount) + "!b 1"
                try budget.onThisThread { () throws(TokenizationError) in
                    _ = try encode(text, addSpecialTokens: false, budget: budget)
                }
            } catch {
                return "\(Self.trialCount) times \(run.debugDescription): \(error)"
            }
        }
        return nil
    }

    private static let trialCount = 4096
}
