import Plan

/// The token that transformers' `generate` takes without sampling: the most likely one under the model's own repetition penalty.
struct GreedyChoice {
    private let penalty: Float
    private var seen: Set<Int32>

    init(_ spec: InputSpec, prompt: [Int32]) {
        penalty = Float(spec.generation.repetitionPenalty ?? 1)
        seen = penalty == 1 ? [] : Set(prompt)
    }

    /// The choice from a row of logits, the lowest index of several.
    func token(_ logits: ArraySlice<Float>) -> Int32 {
        func score(_ index: Int) -> Float {
            let value = logits[logits.startIndex + index]
            guard penalty != 1, seen.contains(Int32(index)) else { return value }
            return value < 0 ? value * penalty : value / penalty
        }
        var best = 0
        for index in 1..<max(logits.count, 1) where score(index) > score(best) { best = index }
        return Int32(best)
    }

    /// Remembers a token that stands in the text from now on.
    mutating func append(_ token: Int32) {
        if penalty != 1 { seen.insert(token) }
    }
}
