import Foundation
import HuggingFace

/// YaRN (arXiv 2309.00071): frequencies that turn often stay, those that turn rarely are slowed by `factor`.
///
/// Parameters and their defaults are those of `_compute_yarn_parameters` in transformers.
struct YarnScaling {
    private let factor: Double
    private let theta: Double
    private let originalPositions: Double
    private let betaFast: Double
    private let betaSlow: Double
    private let truncates: Bool
    /// What cosine and sine are multiplied by.
    let attentionFactor: Double

    init(_ rope: ConfigSection, theta: Double, maxPositions: Int) throws(CheckpointError) {
        self.theta = theta
        originalPositions = try Self.number(rope, "original_max_position_embeddings") ?? Double(maxPositions)
        let isImplied = rope.isNull("factor")
        factor = isImplied ? Double(maxPositions) / originalPositions : try rope.positive("factor")
        betaFast = try Self.choice(rope, "beta_fast") ?? 32
        betaSlow = try Self.choice(rope, "beta_slow") ?? 1
        truncates = try rope.bool("truncate") ?? true
        guard theta > 1 else { throw rope.error("rope_theta", "is \(theta), which yarn cannot use") }
        if let given = try Self.number(rope, "attention_factor") {
            attentionFactor = given
        } else if let scale = try Self.choice(rope, "mscale"), let allDimensions = try Self.choice(rope, "mscale_all_dim") {
            attentionFactor = Self.magnitude(factor, scale) / Self.magnitude(factor, allDimensions)
        } else {
            attentionFactor = Self.magnitude(factor, 1)
        }
    }

    /// The scaled form of the `dimension / 2` frequencies `θ^(−2i/d)`.
    func scale(_ inverse: [Double], dimension: Int) -> [Double] {
        var low = turningDimension(betaFast, dimension)
        var high = turningDimension(betaSlow, dimension)
        if truncates { (low, high) = (low.rounded(.down), high.rounded(.up)) }
        low = max(low, 0)
        high = min(high, Double(dimension - 1))
        if low == high { high += 0.001 }
        return inverse.enumerated().map { index, frequency in
            let slowed = min(max((Double(index) - low) / (high - low), 0), 1)
            return Double(Float(frequency / factor * slowed + frequency * (1 - slowed)))
        }
    }

    /// Which dimension turns that many times over the original context.
    private func turningDimension(_ rotations: Double, _ dimension: Int) -> Double {
        Double(dimension) * log(originalPositions / (rotations * 2 * .pi)) / (2 * log(theta))
    }

    private static func magnitude(_ factor: Double, _ scale: Double) -> Double { factor <= 1 ? 1 : 0.1 * scale * log(factor) + 1 }

    /// A number above zero; nil where absent or zero.
    private static func choice(_ rope: ConfigSection, _ key: String) throws(CheckpointError) -> Double? {
        try rope.double(key) == 0 ? nil : number(rope, key)
    }

    /// A number above zero; nil where absent.
    private static func number(_ rope: ConfigSection, _ key: String) throws(CheckpointError) -> Double? {
        try rope.double(key) == nil ? nil : rope.positive(key)
    }
}
