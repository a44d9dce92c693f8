/// What a request shows of its computation to a tool that compares, and the tokens and gears that it is computed with.
package struct Probe: Sendable {
    package enum Finding: Sendable {
        /// f32[rows, image width]: embeddings of the prompt's image of that index.
        case image(Int, [Float])
        /// f32[rows, vocabulary]: logits of the prompt's next tokens.
        case prompt([Float])
        /// f32[vocabulary]: what the next token is chosen from, and the sampler's choice; nil where no logit is a number.
        case step([Float], choice: Int32?)
        /// f32[hidden size]: the hidden state of the prompt's last token behind the last norm, which the logits are made of.
        case hidden([Float])
    }

    /// Tokens that follow the prompt, whatever the sampler chooses; behind them the choices do.
    private let continuation: [Int32]
    /// The least gear of each decode step, again from the first one after the last; empty for any.
    let gears: [Int]
    /// Whether the logits of every token of the prompt are shown.
    let readsWholePrompt: Bool
    /// Whether the hidden state of the prompt's last token is shown, of a request without output.
    let readsHidden: Bool
    /// Whether the images are encoded and nothing is computed of the prompt, of a request without output.
    let readsImagesAlone: Bool
    /// Called on the engine's thread.
    let take: @Sendable (Finding) -> Void

    package init(
        continuation: [Int32] = [], gears: [Int] = [], readsWholePrompt: Bool = false, readsHidden: Bool = false,
        readsImagesAlone: Bool = false, take: @escaping @Sendable (Finding) -> Void
    ) {
        self.continuation = continuation
        self.gears = gears
        self.readsWholePrompt = readsWholePrompt
        self.readsHidden = readsHidden
        self.readsImagesAlone = readsImagesAlone
        self.take = take
    }

    /// The token that follows `count` generated ones; nil where the sampler decides.
    func token(_ count: Int) -> Int32? { count < continuation.count ? continuation[count] : nil }
}
