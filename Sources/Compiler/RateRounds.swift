/// Rates measured in rounds: the best of each, and whether another round came near it.
package struct RateRounds: Sendable {
    /// One round that is this much worse than the best agrees with it.
    private static let agreement = 0.1
    /// Rounds that are measured in any case, and at most.
    private static let bounds = 4...16

    private struct Best {
        var first: Double
        var second: Double?
    }
    private var bests: [String: Best] = [:]
    /// Rates for which no more rounds are measured.
    private let informative: Set<String>
    private var count = 0

    /// - Parameter informative: rates that decide nothing, for which no more rounds are measured.
    package init(informative: Set<String> = []) { self.informative = informative }

    /// Adds one round's rates by name.
    package mutating func add(_ round: [String: Double]) {
        count += 1
        for (name, rate) in round {
            guard let best = bests[name] else {
                bests[name] = Best(first: rate)
                continue
            }
            bests[name] = Best(first: max(rate, best.first), second: max(min(rate, best.first), best.second ?? 0))
        }
    }

    /// The best of each rate.
    package var rates: [String: Double] { bests.mapValues(\.first) }

    /// How far below the best of each rate the next best round is, as a share of it; 1 for a rate measured once.
    package var spreads: [String: Double] {
        bests.mapValues { ((1 - ($0.second ?? 0) / max($0.first, .leastNormalMagnitude)) * 1000).rounded() / 1000 }
    }

    /// Rates whose two best rounds are more than 10 % apart, sorted: their best may be far from what the machine can do.
    package var unsettled: [String] {
        bests.filter { !informative.contains($0.key) && $0.value.second ?? 0 < (1 - Self.agreement) * $0.value.first }.keys.sorted()
    }

    /// Whether more rounds are to be measured.
    package var wantsMore: Bool {
        count < Self.bounds.lowerBound || !unsettled.isEmpty && count < Self.bounds.upperBound
    }
}
