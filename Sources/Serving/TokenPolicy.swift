internal import GuidedDecoding

/// How the next token of one sequence is chosen: its sampling, its rules, and what both ask of the tokens before.
///
/// A value for each sequence; what it needs of memory it takes when it is made. Logits are changed in this order, which is that of vLLM:
/// biases, then what must not come, then the penalties.
package struct TokenPolicy: Sendable {
    package let sampling: SamplingParameters
    package let rules: TokenRules
    /// Tokens that end the text.
    private let ends: [Int32]
    /// Tokens of prompt and output; kept only for a repetition penalty.
    private var seen: SeenTokens?
    /// How many times each token of the output is there; kept only for penalties that count the output.
    private var counts: [Int32: Int32] = [:]
    /// The output; kept only where runs of tokens are barred.
    private var output: [Int32] = []
    /// Where the output stands in what it must be; nil where it may be anything.
    private var guideState: GuideState?
    /// Tokens of the output.
    package private(set) var position = 0

    /// - Parameters:
    ///   - ends: tokens that end the text, which `rules.minTokens` keeps away.
    ///   - maxTokens: most tokens of the output.
    package init(
        _ sampling: SamplingParameters, _ rules: TokenRules = TokenRules(), ends: [Int32] = [], prompt: [Int32] = [], maxTokens: Int,
        vocabularySize: Int
    ) {
        self.sampling = sampling
        self.rules = rules
        self.ends = ends
        guideState = rules.guide?.start
        if sampling.repetitionPenalty != 1 {
            var seen = SeenTokens(vocabularySize: vocabularySize, capacity: prompt.count + maxTokens)
            for token in prompt { seen.insert(token) }
            self.seen = seen
        }
        if countsOutput { counts.reserveCapacity(min(maxTokens, vocabularySize)) }
        if keepsOutput { output.reserveCapacity(maxTokens) }
    }

    private var countsOutput: Bool { sampling.presencePenalty != 0 || sampling.frequencyPenalty != 0 }
    private var keepsOutput: Bool { rules.barred.contains { $0.count > 1 } }

    /// Takes note of the token that was chosen.
    package mutating func take(_ token: Int32) {
        position += 1
        seen?.insert(token)
        if countsOutput { counts[token, default: 0] += 1 }
        if keepsOutput { output.append(token) }
        if let guide = rules.guide, let state = guideState, !ends.contains(token) { guideState = guide.advanced(state, token) }
    }

    /// Whether the output is all that it may be, so that nothing but its end can follow.
    package var isComplete: Bool { guideState?.isComplete ?? false }

    /// Which logits decide once `guessed` more tokens are there, as `StepIO` counts them.
    package func wantedLogits(behind guessed: Int = 0) -> (count: Int32, reach: Float) {
        rules.apply(behind: position + guessed) ? (0, 0) : sampling.wantedLogits
    }

    /// Changes the logits of the next token.
    package func apply(to logits: UnsafeMutableBufferPointer<Float>) {
        for bias in rules.biases { change(logits, bias.token) { $0 + bias.value } }
        if let allowed = rules.allowed { bar(logits, except: allowed) }
        for run in rules.barred where wouldComplete(run) { change(logits, run[run.count - 1]) { _ in -.infinity } }
        keepToGuide(logits)
        if position < rules.minTokens { for token in ends { change(logits, token) { _ in -.infinity } } }
        if let seen {
            let penalty = sampling.repetitionPenalty
            for token in seen.tokens { change(logits, token) { $0 < 0 ? $0 * penalty : $0 / penalty } }
        }
        for (token, count) in counts {
            change(logits, token) { $0 - sampling.frequencyPenalty * Float(count) - sampling.presencePenalty }
        }
    }

    /// Bars what the guide does not let come; a token that ends the text comes where the text may end.
    private func keepToGuide(_ logits: UnsafeMutableBufferPointer<Float>) {
        guard let guide = rules.guide, let state = guideState else { return }
        let possible = state.accepts ? ends.filter { logits.indices.contains(Int($0)) }.map { ($0, logits[Int($0)]) } : []
        guide.mask(state).apply(to: logits)
        for (token, value) in possible { logits[Int(token)] = value }
    }

    /// Whether the output ends in all of a run but its last token.
    private func wouldComplete(_ run: [Int32]) -> Bool {
        let prefix = run.count - 1
        guard prefix <= output.count else { return false }
        for place in 0..<prefix where output[output.count - prefix + place] != run[place] { return false }
        return true
    }

    private func bar(_ logits: UnsafeMutableBufferPointer<Float>, except allowed: [Int32]) {
        var next = 0
        for token in allowed where Int(token) >= next && Int(token) < logits.count {
            logits[next..<Int(token)].update(repeating: -.infinity)
            next = Int(token) + 1
        }
        logits[next...].update(repeating: -.infinity)
    }

    private func change(_ logits: UnsafeMutableBufferPointer<Float>, _ token: Int32, _ value: (Float) -> Float) {
        guard token >= 0, Int(token) < logits.count else { return }
        logits[Int(token)] = value(logits[Int(token)])
    }
}
