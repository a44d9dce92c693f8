internal import Foundation

/// What a beam search is asked for.
package struct BeamParameters: Sendable, Equatable {
    /// When a search ends that has as many ended beams as it is wide.
    package enum EarlyStopping: Sendable, Equatable {
        /// At once.
        case atOnce
        /// Where the best that goes on, as long as it is now, does not beat the worst of them.
        case unlessBetter
        /// Where the best that goes on could beat the worst of them at no length.
        case never
    }
    /// Beams that go on at most, and ended ones that are kept.
    package var width: Int
    /// The power of its length by which a beam's log probability is divided.
    package var lengthPenalty = 1.0
    package var earlyStopping = EarlyStopping.unlessBetter

    package init(width: Int) { self.width = width }

    /// Likeliest tokens of each beam that take part in a step: twice as many as go on, for half of them may end.
    package var candidates: Int { 2 * width }

    /// sum / length ^ lengthPenalty, as vLLM's `get_beam_search_score`.
    ///
    /// - Parameters:
    ///   - sum: of the log probabilities of the tokens behind the prompt.
    ///   - length: tokens of the prompt and those behind it, but for a last one that is the model's end.
    package func score(_ sum: Double, length: Int) -> Double {
        // Of 0 / 0 no order comes.
        sum == 0 ? 0 : sum / pow(Double(length), lengthPenalty)
    }
}

/// A beam and one token more.
package struct BeamChild<Answer> {
    package var answer: Answer
    /// The id of the beam that it follows from.
    package var parent: Int
    /// Log probability of the tokens behind the prompt.
    package var sum: Double
    /// As `BeamParameters.score` counts it.
    package var length: Int
    package var hasEnded: Bool

    package init(answer: Answer, parent: Int, sum: Double, length: Int, hasEnded: Bool) {
        (self.answer, self.parent, self.sum, self.length, self.hasEnded) = (answer, parent, sum, length, hasEnded)
    }
}

/// The search for the likeliest answers by the rules of vLLM's engine (`SingleStepOutputProcessor`); knows scores and lengths alone.
package struct BeamSearch<Answer> {
    private let parameters: BeamParameters
    /// Most tokens that a beam of the search may ever have.
    private let longest: Int
    /// Beams that have ended, the best first, at most as many as the search is wide.
    package private(set) var ended: [(answer: Answer, score: Double)] = []

    package init(_ parameters: BeamParameters, longest: Int) {
        self.parameters = parameters
        self.longest = longest
    }

    /// Of the likeliest tokens of each beam, those that the search looks at: the likeliest as a whole, and of equally likely ones the first.
    ///
    /// - Parameter beams: the log probability of each beam, and of what may follow it, the likeliest first.
    /// - Returns: pairs of a beam and a place among what may follow it, ascending.
    package func candidates(_ beams: [(sum: Double, logprobs: [Float])]) -> [(beam: Int, place: Int)] {
        let all = beams.enumerated().flatMap { beam, row in
            row.logprobs.enumerated().map { (beam: beam, place: $0, sum: row.sum + Double($1)) }
        }
        let best = all.sorted { ($1.sum, $0.beam, $0.place) < ($0.sum, $1.beam, $1.place) }.prefix(parameters.candidates)
        return best.map { ($0.beam, $0.place) }.sorted { ($0.0, $0.1) < ($1.0, $1.1) }
    }

    /// Takes the beams of a step and returns those that go on, the best first; none where the search is over.
    package mutating func advance(_ children: [BeamChild<Answer>]) -> [BeamChild<Answer>] {
        let scored = children.map { (child: $0, score: parameters.score($0.sum, length: $0.length)) }
        let new = scored.filter(\.child.hasEnded).map { (answer: $0.child.answer, score: $0.score) }
        // Both sorts keep the order of what is equal.
        ended = Self.sorted(ended + new, by: \.score)
        let isFull = ended.count >= parameters.width
        ended.removeLast(max(ended.count - parameters.width, 0))
        let going = Self.sorted(scored.filter { !$0.child.hasEnded }, by: \.score)
        guard let best = going.first, !(isFull && isOver(best.child, score: best.score)) else { return [] }
        return going.prefix(parameters.width).map(\.child)
    }

    /// Whether the best beam that goes on cannot replace the worst that has ended, as far as the request wants to know.
    private func isOver(_ best: BeamChild<Answer>, score: Double) -> Bool {
        guard let worst = ended.last?.score else { return false }
        switch parameters.earlyStopping {
        case .atOnce: return true
        case .unlessBetter: return worst >= score
        case .never: return worst >= (parameters.lengthPenalty > 0 ? parameters.score(best.sum, length: longest) : score)
        }
    }

    private static func sorted<Item>(_ items: [Item], by score: (Item) -> Double) -> [Item] {
        items.enumerated().sorted { (score($1.element), $0.offset) < (score($0.element), $1.offset) }.map(\.element)
    }
}
