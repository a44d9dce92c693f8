/// How the guesses of one sequence have fared, and whether it makes any now: those that cost more than they bring are left out for a while, and for longer
/// the more often that has been. A value.
///
/// What guesses lose is so at most about one step of the first 16, and then one for each pause, of which each is twice as long as the one before.
package struct GuessHistory: Sendable, Equatable {
    /// How likely a guessed token is to come true if those before it have, by the last guesses.
    package private(set) var rate = 0.8
    /// Tokens that guesses have brought beyond those that their rows cost, at most `balanceMax`.
    private var balance = 0.0
    /// Steps that are still made without a guess.
    private var rest = 0
    private var nextRest = Self.restMin

    /// Steps of the first pause, and of the longest.
    package static let restMin = 16
    package static let restMax = 256
    private static let balanceMin = -0.4
    private static let balanceMax = 2.0
    /// What is expected of the first guess after a pause.
    private static let trialRate = 0.5

    package init() {}

    /// Whether nothing is guessed in the next step.
    package var isPaused: Bool { rest > 0 }

    /// Whether to guess in the step at hand; counts it.
    package mutating func isDue() -> Bool {
        guard rest > 0 else { return true }
        rest -= 1
        return false
    }

    /// Takes note of a guess that has been computed.
    ///
    /// - Parameters:
    ///   - accepted: how many of its tokens came true, from the first.
    ///   - cost: tokens that the time for the others' rows would have yielded.
    package mutating func note(accepted: Int, of guessed: Int, cost: Double) {
        let trials = Double(min(accepted + 1, guessed))
        rate += (Double(accepted) / trials - rate) / 4
        balance = min(balance + Double(accepted) - cost, Self.balanceMax)
        if balance < Self.balanceMin {
            pause()
        } else if accepted > 0, Double(accepted) >= cost {
            nextRest = Self.restMin
        }
    }

    /// Leaves guesses out for a while.
    package mutating func pause() {
        rest = nextRest
        nextRest = min(2 * nextRest, Self.restMax)
        balance = 0
        rate = max(rate, Self.trialRate)
    }
}
