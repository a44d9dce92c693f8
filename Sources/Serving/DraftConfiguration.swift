internal import Execution
package import Plan

/// How a draft model guesses tokens.
package struct DraftOptions: Sendable {
    /// Most tokens at once; nil for `DraftConfiguration.countDefault`, or what the greatest gear takes.
    package var count: Int?
    /// How the draft model's positions are counted.
    package var positions = PositionScheme.sequential(start: 0)
    /// Of a head, by its tokens those of the model that it guesses for; empty where they are the same.
    package var tokens: [Int32] = []

    package init() {}
}

/// A draft model's settings once they are known to fit its program and that of the model that answers.
package struct DraftConfiguration: Sendable {
    package let limits: DraftLimits
    package let maxSequences: Int
    package let maxBatchedTokens: Int
    /// Of its own KV cache, which has as many blocks as that of the model that answers.
    package let blockBytes: Int
    package let vocabularySize: Int
    package let positions: PositionScheme
    /// Whether it guesses from hidden states of the model that answers, in blocks of the same numbers.
    package let isHead: Bool
    /// Of a head, by its tokens those of the model that answers; empty where they are the same.
    package let tokens: [Int32]

    /// Most tokens guessed at once where nobody says how many.
    package static let countDefault = 5

    /// - Parameters:
    ///   - draft: the draft model's program.
    ///   - sequences: those that run at once.
    ///   - length: tokens of the longest.
    ///   - batched: those of the largest batch.
    init(
        _ draft: Program, of program: Program, _ options: EngineOptions, sequences: Int, length: Int, batched: Int
    ) throws(ConfigurationError) {
        guard !draft.keepsStates else {
            throw .invalid("--speculative-model: the draft model keeps a state of each sequence, which guessed tokens would change; give another one")
        }
        guard options.lookup == nil else { throw .invalid("tokens are guessed by lookup or by a draft model, not by both") }
        let rows = min(program.limits.gears.last ?? 0, program.limits.maxSequences, program.limits.maxBatchedTokens)
        let count = options.draft.count ?? max(min(Self.countDefault, rows - 1), 1)
        guard count >= 1 else { throw .invalid("--num-speculative-tokens \(count) must be at least 1") }
        let own = draft.limits
        // What is new of a sequence is often two tokens: the last guess, which came true, and what followed.
        let enough = own.gears.firstIndex { $0 >= 2 * sequences } ?? own.gears.count - 1
        limits = DraftLimits(count: count, gears: Array(own.gears.prefix(enough + 1)), longest: min(own.maxModelLength, length))
        (maxSequences, maxBatchedTokens) = (own.maxSequences, own.maxBatchedTokens)
        blockBytes = max(draft.kvBlockBytes(blockSize: options.blockSize), 1)
        vocabularySize = draft.vocabularySize
        positions = options.draft.positions
        (isHead, tokens) = (draft.innerWidthRead > 0, options.draft.tokens)
        if isHead { try check(draft, of: program, sequences: sequences, length: length, batched: batched) }
    }

    /// Throws where a head does not take what the model leaves.
    private func check(_ head: Program, of program: Program, sequences: Int, length: Int, batched: Int) throws(ConfigurationError) {
        guard head.innerWidthRead == program.innerWidth else {
            throw .invalid(
                "--speculative-model: the head reads \(head.innerWidthRead) numbers of each token of the model, which gives \(program.innerWidth); "
                    + "compile both with vlmc compile MODEL --speculative-model HEAD and vlmc compile HEAD --head-of MODEL")
        }
        guard tokens.isEmpty || tokens.count == head.vocabularySize else {
            throw .invalid("--speculative-model: the head has \(head.vocabularySize) tokens, and says of \(tokens.count) which of the model's they are")
        }
        for (flag, own, needed) in [
            ("--max-num-seqs", head.limits.maxSequences, sequences), ("--max-model-len", head.limits.maxModelLength, length),
            ("--max-num-batched-tokens", head.limits.maxBatchedTokens, batched),
        ] where own < needed {
            throw .invalid("--speculative-model: the head was compiled for \(flag) \(own), the model is served with \(needed); compile the head again with \(flag) \(needed)")
        }
    }
}
