internal import Foundation

/// Chooses tokens from logits; keeps scratch memory between calls.
package struct Sampler {
    private struct Candidate {
        var token: Int32
        /// Probability in units of the likeliest token's.
        var weight: Float
    }
    private var candidates: [Candidate] = []
    private var order: [Float] = []

    package init() {}

    /// The next token, or nil when no logit is a number.
    ///
    /// - Parameters:
    ///   - logits: changed in place.
    ///   - seen: tokens of prompt and output; needed for a repetition penalty only.
    ///   - position: count of tokens generated before.
    package mutating func sample(
        _ logits: UnsafeMutableBufferPointer<Float>, _ parameters: SamplingParameters, seen: SeenTokens?, position: Int
    ) -> Int32? {
        if let seen, parameters.repetitionPenalty != 1 {
            penalize(logits, seen.tokens, by: parameters.repetitionPenalty)
        }
        guard let best = Self.argmax(UnsafeBufferPointer(logits)) else { return nil }
        guard !parameters.isGreedy, logits[Int(best)].isFinite else { return best }
        gather(logits, parameters, top: logits[Int(best)])
        return draw(CounterRandom(seed: parameters.seed).unit(position)) ?? best
    }

    /// The first index of the largest value, passing over NaN; nil when there is no number.
    package static func argmax(_ values: UnsafeBufferPointer<Float>) -> Int32? {
        var lanes = SIMD16<Float>(repeating: -.infinity)
        let whole = values.count & ~15
        var index = 0
        while index < whole {
            let next = UnsafeRawPointer(values.baseAddress! + index).loadUnaligned(as: SIMD16<Float>.self)
            lanes.replace(with: next, where: next .> lanes)
            index += 16
        }
        var best = lanes.max()
        for value in values[whole...] where value > best { best = value }
        guard let found = values.firstIndex(of: best) else { return nil }
        return Int32(found)
    }

    private func penalize(_ logits: UnsafeMutableBufferPointer<Float>, _ tokens: [Int32], by penalty: Float) {
        for token in tokens where Int(token) < logits.count {
            let value = logits[Int(token)]
            logits[Int(token)] = value < 0 ? value * penalty : value / penalty
        }
    }

    /// Fills `candidates` with the tokens that take part and their unnormalized probabilities.
    private mutating func gather(
        _ logits: UnsafeMutableBufferPointer<Float>, _ parameters: SamplingParameters, top: Float
    ) {
        candidates.removeAll(keepingCapacity: true)
        let limit = kthLargest(logits, parameters.topK)
        var total: Float = 0
        for index in logits.indices where logits[index] >= limit {
            let weight = expf((logits[index] - top) / parameters.temperature)
            guard weight > 0 else { continue }
            candidates.append(Candidate(token: Int32(index), weight: weight))
            total += weight
        }
        if parameters.topP < 1 { keepNucleus(parameters.topP, total: total) }
        if parameters.minP > 0 { candidates.removeAll { $0.weight < parameters.minP } }
    }

    /// The k-th largest logit; −∞ when all take part.
    private mutating func kthLargest(_ logits: UnsafeMutableBufferPointer<Float>, _ k: Int) -> Float {
        guard k > 0, k < logits.count else { return -.infinity }
        order.removeAll(keepingCapacity: true)
        // A min-heap of the k largest so far.
        for value in logits where value > -.infinity {
            if order.count < k {
                order.append(value)
                siftUp(order.count - 1)
            } else if value > order[0] {
                order[0] = value
                siftDown()
            }
        }
        return order.count < k ? -.infinity : order[0]
    }

    private mutating func siftUp(_ start: Int) {
        var child = start
        while child > 0, order[child] < order[(child - 1) / 2] {
            order.swapAt(child, (child - 1) / 2)
            child = (child - 1) / 2
        }
    }

    private mutating func siftDown() {
        var parent = 0
        while true {
            var child = 2 * parent + 1
            guard child < order.count else { return }
            if child + 1 < order.count, order[child + 1] < order[child] { child += 1 }
            guard order[child] < order[parent] else { return }
            order.swapAt(child, parent)
            parent = child
        }
    }

    /// Keeps the likeliest candidates up to a share of the probability, the one that crosses it included.
    private mutating func keepNucleus(_ topP: Float, total: Float) {
        // What is below an even split of the tail can never be part of the nucleus.
        let floor = (1 - topP) * total / Float(max(candidates.count, 1))
        candidates.removeAll { $0.weight < floor * 0.999 }
        candidates.sort { $0.weight == $1.weight ? $0.token < $1.token : $0.weight > $1.weight }
        var sum: Float = 0
        var count = 0
        while count < candidates.count, count == 0 || sum < topP * total {
            sum += candidates[count].weight
            count += 1
        }
        candidates.removeSubrange(count...)
    }

    /// The candidate at a share of the summed probability.
    private func draw(_ unit: Double) -> Int32? {
        let total = candidates.reduce(0.0) { $0 + Double($1.weight) }
        var rest = unit * total
        for candidate in candidates {
            rest -= Double(candidate.weight)
            if rest < 0 { return candidate.token }
        }
        return candidates.last?.token
    }
}
