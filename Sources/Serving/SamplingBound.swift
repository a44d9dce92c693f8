/// What a number that says how tokens are chosen may be.
package struct SamplingBound: Sendable {
    /// As in `temperature must be at least 0`.
    package let words: String
    package let holds: @Sendable (Double) -> Bool
    /// What is said of numbers within `words` that 32 bits cannot tell from infinity, or from 0; nil where there are none.
    private let narrow: String?
    private let isWithinWords: @Sendable (Double) -> Bool

    /// - Parameters:
    ///   - least: the numbers are above this, where that is not what `words` say.
    ///   - most: and below this.
    private init(
        _ words: String, above least: Double = -.infinity, below most: Double = .infinity, narrow: String? = nil, _ isWithinWords: @escaping @Sendable (Double) -> Bool
    ) {
        (self.words, self.narrow, self.isWithinWords) = (words, narrow, isWithinWords)
        holds = { isWithinWords($0) && $0 > least && $0 < most }
    }

    /// As `words`, and where a number is within them and may not be all the same, what it may be.
    package func words(for value: Double) -> String { isWithinWords(value) ? narrow ?? words : words }

    package static let temperature = SamplingBound("at least 0", below: 3.4e38, narrow: "at least 0 and below 3.4e38") { $0 >= 0 }
    package static let topP = SamplingBound("above 0 and at most 1", above: 1e-45, narrow: "above 1e-45 and at most 1") { $0 > 0 && $0 <= 1 }
    package static let minP = SamplingBound("at least 0 and at most 1") { (0...1).contains($0) }
    package static let repetitionPenalty = SamplingBound("above 0 and at most 2", above: 1e-45, narrow: "above 1e-45 and at most 2") { $0 > 0 && $0 <= 2 }
    /// Of presence and frequency.
    package static let addedPenalty = SamplingBound("at least -2 and at most 2") { abs($0) <= 2 }
}
