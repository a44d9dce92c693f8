/// What a number that says how tokens are chosen may be.
package struct SamplingBound: Sendable {
    /// As in `temperature must be at least 0`.
    package let words: String
    package let holds: @Sendable (Double) -> Bool

    package static let temperature = SamplingBound(words: "at least 0") { $0 >= 0 && Float($0).isFinite }
    package static let topP = SamplingBound(words: "above 0 and at most 1") { Float($0) > 0 && $0 <= 1 }
    package static let minP = SamplingBound(words: "at least 0 and at most 1") { (0...1).contains($0) }
    package static let repetitionPenalty = SamplingBound(words: "above 0 and at most 2") { Float($0) > 0 && $0 <= 2 }
    /// Of presence and frequency.
    package static let addedPenalty = SamplingBound(words: "at least -2 and at most 2") { abs($0) <= 2 }
}
