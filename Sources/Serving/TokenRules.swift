package import GuidedDecoding

/// Which tokens may follow and how much some are favoured, whatever their logits say.
package struct TokenRules: Sendable, Equatable {
    package struct Bias: Sendable, Equatable {
        package var token: Int32
        /// Added to the token's logit.
        package var value: Float

        package init(token: Int32, value: Float) {
            self.token = token
            self.value = value
        }
    }

    package var biases: [Bias] = []
    /// The only tokens that may come, ascending and each once; nil for all.
    package var allowed: [Int32]?
    /// Runs of tokens, none of them empty, that the output must not hold.
    package var barred: [[Int32]] = []
    /// So many tokens come before one that ends the text.
    package var minTokens = 0
    /// What the text must be; nil for any.
    package var guide: TokenGuide?

    package init() {}

    /// Whether the rules can leave no token at all.
    var restricts: Bool { allowed != nil || !barred.isEmpty || minTokens > 0 || guide != nil }

    /// Whether the logits of the token behind so many others are changed.
    func apply(behind count: Int) -> Bool { !biases.isEmpty || allowed != nil || !barred.isEmpty || count < minTokens || guide != nil }

    /// Whether some token may come at the beginning, of so many, where `ends` are those that end a text.
    package func leaveAToken(of vocabularySize: Int, ends: [Int32]) -> Bool {
        var forbidden = Set(barred.filter { $0.count == 1 }.map { $0[0] })
        if minTokens > 0 { forbidden.formUnion(ends) }
        if let allowed { return !allowed.allSatisfy(forbidden.contains) }
        return forbidden.count { (0..<Int32(clamping: vocabularySize)).contains($0) } < vocabularySize
    }
}
