/// How many tokens of prompts come beside sequences that decode, and how long images are encoded between two steps, so that the time between two tokens
/// stays below twice what it is without them: from how long the steps before took. A value without a clock.
package struct PromptPace: Sendable {
    /// What prompts and images together may add to a step, as a share of what decoding alone takes.
    package static let share = 0.6
    /// Fewest tokens of prompts beside decoding sequences, however long they take.
    package static let tokensMin = 4
    /// A prompt that could have been read for so many times as long as it takes alone has more of the time, the more the longer it waits.
    package static let patience = 3.0

    /// Steps of decoding alone.
    private var plain: GearTimes
    /// Seconds of all steps that were noted.
    package private(set) var elapsed = 0.0
    /// What a token of a prompt added to the last steps; 0 before any.
    private var secondsPerToken = 0.0
    /// Of the batch at hand.
    private var batch = (decoding: 0, prompt: 0)
    /// What the last step took, and what it would have taken without prompts, where it decoded and that is known.
    private var last = (seconds: 0.0, plain: 0.0)

    /// - Parameter gears: ascending.
    package init(gears: [Int]) { plain = GearTimes(gears: gears) }

    /// Most tokens of prompts beside so many decoding sequences; nil for no limit, 0 where it is not known what the sequences take alone, which a
    /// step without prompts shows.
    ///
    /// - Parameters:
    ///   - prompts: how many have tokens that can be computed. With each the share grows, by its square: while many wait to begin, few decode.
    ///   - encodesImages: whether images take half of the time.
    ///   - first: how many tokens the first prompt has, and since when, by `elapsed`, they could be computed.
    package func tokens(besideDecoding rows: Int, prompts: Int, encodesImages: Bool, first: (count: Int, since: Double)) -> Int? {
        guard rows > 0 else { return nil }
        let alone = plain.seconds(ofRows: rows)
        guard alone > 0 else { return 0 }
        guard secondsPerToken > 0 else { return Self.tokensMin }
        let lateness = (elapsed - first.since) / (Self.patience * Double(max(first.count, 1)) * secondsPerToken)
        let share = Self.share * Double(prompts * prompts) * max(lateness, 1) * (encodesImages ? 0.5 : 1)
        let tokens = share * alone / secondsPerToken
        return tokens < 1e9 ? max(Int(tokens), Self.tokensMin) : nil
    }

    /// Takes note of what the next step computes.
    package mutating func begin(decoding: Int, prompt: Int) { batch = (decoding, prompt) }

    /// Takes note of how long it took.
    package mutating func note(_ seconds: Double, gear: Int?) {
        elapsed += seconds
        if batch.prompt == 0 {
            if let gear { plain.note(gear, seconds: seconds) }
            last = (seconds, batch.decoding > 0 ? seconds : 0)
            return
        }
        let alone = batch.decoding > 0 ? plain.seconds(ofRows: batch.decoding) : 0
        last = (seconds, alone)
        let cost = max(seconds - alone, seconds / 64) / Double(batch.prompt)
        // What disturbs a step makes it longer.
        let weight = cost < secondsPerToken ? 0.75 : 0.5
        secondsPerToken = secondsPerToken == 0 ? cost : secondsPerToken + weight * (min(cost, 4 * secondsPerToken) - secondsPerToken)
    }

    /// How long images are encoded before the next step.
    package var imageSeconds: Double {
        guard last.plain > 0 else { return max(last.seconds, 0.01) }
        return max(Self.share * last.plain - (last.seconds - last.plain), Self.share / 2 * last.plain)
    }
}
