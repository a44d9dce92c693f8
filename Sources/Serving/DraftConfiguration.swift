internal import Execution
package import Plan

/// How a draft model guesses tokens.
package struct DraftOptions: Sendable {
    /// Most tokens at once; nil for `DraftConfiguration.countDefault`, or what the greatest gear takes.
    package var count: Int?
    /// How the draft model's positions are counted.
    package var positions = PositionScheme.sequential(start: 0)

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

    /// Most tokens guessed at once where nobody says how many.
    package static let countDefault = 5

    /// - Parameters:
    ///   - draft: the draft model's program.
    ///   - sequences: those that run at once.
    ///   - length: tokens of the longest.
    init(_ draft: Program, of program: Program, _ options: EngineOptions, sequences: Int, length: Int) throws(ConfigurationError) {
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
    }
}
