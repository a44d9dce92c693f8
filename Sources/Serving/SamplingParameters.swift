internal import Foundation

/// How the next token is chosen from logits; the order of the steps is that of HuggingFace's generation.
package struct SamplingParameters: Sendable, Equatable {
    /// ≥ 0; below 1e-5 the largest logit wins.
    package var temperature: Float = 1
    /// Only the k largest logits (and those equal to the k-th) take part; 0 for all.
    package var topK = 0
    /// (0, 1]: the smallest set of most likely tokens with this probability takes part.
    package var topP: Float = 1
    /// [0, 1]: tokens less likely than this share of the likeliest do not take part.
    package var minP: Float = 0
    /// > 0: logits of tokens seen in prompt or output are divided by it when positive, multiplied when negative.
    package var repetitionPenalty: Float = 1
    /// Taken from the logit of each token that the output holds.
    package var presencePenalty: Float = 0
    /// Taken from a token's logit as many times as the output holds it.
    package var frequencyPenalty: Float = 0
    /// Same seed, same request: same tokens.
    package var seed: UInt64 = 0

    package init() {}

    package var isGreedy: Bool { temperature < 1e-5 }

    /// The parameters of one of several answers to a prompt: each has a seed of its own that follows from the request's.
    func branch(_ index: Int) -> SamplingParameters {
        var parameters = self
        if index > 0 { parameters.seed = CounterRandom(seed: seed).derived(UInt64(index)) }
        return parameters
    }
}

extension SamplingParameters {
    /// The k for which `wantedLogits` says less than all.
    private static let topKMax = 64

    /// Which logits decide: so many of the greatest, with those equal to the last, and what lies less than `reach` below it; all where the
    /// count is 0. The sampler gives every other one no part, whatever number stands there, as long as it is below these.
    package var wantedLogits: (count: Int32, reach: Float) {
        // A penalty may put any logit on top.
        if repetitionPenalty != 1 || presencePenalty != 0 || frequencyPenalty != 0 { return (0, 0) }
        if isGreedy { return (1, 0) }
        if topK > 0 { return topK <= Self.topKMax ? (Int32(topK), 0) : (0, 0) }
        // The nucleus is a share of what all weigh.
        guard minP > 0, topP == 1 else { return (0, 0) }
        // A tenth of a percent more than the share, so that rounding takes nothing away.
        return (1, temperature * (0.001 - logf(minP)))
    }
}

/// Numbers in [0, 1) that depend on a seed and a position only, so a request's draws do not depend on its neighbours.
package struct CounterRandom: Sendable {
    private let seed: UInt64

    package init(seed: UInt64) { self.seed = Self.mix(seed &+ 0x9E37_79B9_7F4A_7C15) }

    /// The number at `position`.
    package func unit(_ position: Int) -> Double {
        let bits = Self.mix(seed ^ Self.mix(UInt64(truncatingIfNeeded: position) &+ 0xD1B5_4A32_D192_ED03))
        return Double(bits >> 11) * 0x1p-53
    }

    /// Another seed for each index.
    func derived(_ index: UInt64) -> UInt64 { Self.mix(seed &+ index &* 0x9E37_79B9_7F4A_7C15) }

    /// The finalizer of SplitMix64.
    private static func mix(_ value: UInt64) -> UInt64 {
        var value = (value ^ (value >> 30)) &* 0xBF58_476D_1CE4_E5B9
        value = (value ^ (value >> 27)) &* 0x94D0_49BB_1331_11EB
        return value ^ (value >> 31)
    }
}

/// Tokens that occurred in a sequence, each once.
package struct SeenTokens: Sendable {
    private var bits: [UInt64]
    package private(set) var tokens: [Int32] = []

    /// - Parameter capacity: most tokens that are inserted without more memory being taken.
    package init(vocabularySize: Int, capacity: Int = 0) {
        bits = Array(repeating: 0, count: (vocabularySize + 63) / 64)
        tokens.reserveCapacity(min(capacity, vocabularySize))
    }

    package mutating func insert(_ token: Int32) {
        guard token >= 0, Int(token) < bits.count * 64 else { return }
        let (word, bit) = (Int(token) >> 6, UInt64(1) << UInt64(token & 63))
        guard bits[word] & bit == 0 else { return }
        bits[word] |= bit
        tokens.append(token)
    }
}
