internal import Budgets

extension Tokenizer {
    /// Why the tokenizer cannot read one of the texts that patterns of exponential cost stumble over, with the text: runs of letters,
    /// digits, spaces and of what its own patterns are written with. Nil where it reads all of them.
    ///
    /// Takes ten seconds of processor time at most, and less than a tenth of one for ordinary tokenizers.
    package var fault: String? {
        let budget = WorkBudget(cpuLimit: .seconds(10))
        let patternCharacters = patternCharacters
        // PCRE2 does not begin where a character that a match must have is not ahead.
        let end = "!b 1!" + patternCharacters.joined(separator: "!")
        for run in ["a", "A", "é", "日", "7", " ", "\n", "=", "a ", "aA1 "] + patternCharacters {
            do throws(TokenizationError) {
                let text = String(repeating: run, count: Self.trialCount) + end
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
    /// More characters of patterns are not tried.
    private static let characterCount = 200

    private var patternCharacters: [String] {
        let normalizing = definition.normalizers.compactMap { if case .replace(let pattern, _) = $0 { pattern } else { nil } }
        let splitting = definition.preTokenizers.compactMap { if case .split(let pattern, _, _) = $0 { pattern } else { nil } }
        var scalars: Set<Unicode.Scalar> = []
        for pattern in normalizing + splitting {
            switch pattern.source {
            case .literal(let text), .expression(let text): scalars.formUnion(text.unicodeScalars)
            }
        }
        return scalars.sorted().prefix(Self.characterCount).map { String($0) }
    }
}
