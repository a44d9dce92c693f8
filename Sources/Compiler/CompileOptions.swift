package import ArtifactFormat
package import IR
package import Plan

/// What a person asks of `vlmc compile`.
package struct CompileOptions: Sendable {
    /// The HuggingFace model directory.
    package var directory: String
    /// Where the artifact goes; nil for the store.
    package var output: String?
    package var target: Target
    package var precision: ArtifactKey.Precision = .balanced
    /// Which linear layers are rounded; nil leaves them as the checkpoint has them.
    package var rounding: LayerRounding?
    /// Above this share a layer's error keeps it wider; nil for the passes' own bounds.
    package var roundingBound: Double?
    /// Whether layers of the decoder take adapters.
    package var takesAdapters = false
    /// Decode gears in any order; nil for the powers of two up to `maxSequences`, and that itself.
    package var gears: [Int]?
    package var maxSequences: Int?
    /// nil for the model's own limit.
    package var maxModelLength: Int?
    package var maxBatchedTokens: Int?
    /// Bytes from which on a bf16 head is screened; nil for the passes' own number. It is in no key: tests alone change it, in stores of
    /// their own.
    package var screenedBytes: Int?
    /// Compiles again although the store has the artifact.
    package var isForced = false
    /// Compiles nothing: what the store does not have is an error.
    package var isOnlyLookedUp = false
    /// Stops the pipeline after this stage; nothing is packed or stored then.
    package var stopAfter: Stage?
    /// Most rewrites, to find the one that goes wrong: of optional passes, or of all with `stopAfter`.
    package var rewriteLimit: Int?
    /// Verify the module after every pass.
    package var verifies = false

    package init(directory: String, target: Target) {
        self.directory = directory
        self.target = target
    }

    package static let defaultMaxSequences = 8
    package static let defaultMaxBatchedTokens = 512

    /// The limits for a model that takes `modelLength` tokens and images of `patches` patches.
    package func limits(modelLength: Int, patches: Int, cell: Int) throws(CompileError) -> Program.Limits {
        for (flag, value) in [
            ("--max-num-seqs", maxSequences), ("--max-model-len", maxModelLength),
            ("--max-num-batched-tokens", maxBatchedTokens),
        ] {
            if let value, value < 1 { throw .badOption("\(flag) \(value) must be at least 1") }
        }
        let length = maxModelLength ?? modelLength
        guard length <= modelLength else {
            throw .badOption("--max-model-len \(length) is above the model's own limit of \(modelLength) (max_position_embeddings)")
        }
        guard length > 1 else { throw .badOption("--max-model-len \(length) has no room for a prompt and a token behind it") }
        let sequences = maxSequences ?? gears?.max() ?? Self.defaultMaxSequences
        let (sequencesMax, tokensMax) = (Program.Limits.sequencesMax, Program.Limits.batchedTokensMax)
        guard sequences <= sequencesMax else { throw .badOption("--max-num-seqs \(sequences) is above \(sequencesMax)") }
        let tokens = maxBatchedTokens ?? max(Self.defaultMaxBatchedTokens, sequences)
        guard tokens >= sequences else {
            throw .badOption("--max-num-batched-tokens \(tokens) is below --max-num-seqs \(sequences): a step takes one token of each")
        }
        guard tokens <= tokensMax else { throw .badOption("--max-num-batched-tokens \(tokens) is above \(tokensMax)") }
        return Program.Limits(
            gears: try checkedGears(sequences), maxSequences: sequences, maxModelLength: length, maxBatchedTokens: tokens,
            maxPatches: (patches + cell - 1) / cell * cell)
    }

    private func checkedGears(_ sequences: Int) throws(CompileError) -> [Int] {
        guard let gears else {
            let powers = (0..<11).map { 1 << $0 }.filter { $0 < sequences }
            return powers + [sequences]
        }
        guard !gears.isEmpty else { throw .badOption("--decode-gears needs at least one number") }
        for gear in gears {
            guard gear >= 1 else { throw .badOption("--decode-gears: \(gear) is not a number of sequences; gears are at least 1") }
            guard gear <= sequences else {
                throw .badOption("--decode-gears: \(gear) is above --max-num-seqs \(sequences)")
            }
        }
        let sorted = gears.sorted()
        if let twice = zip(sorted, sorted.dropFirst()).first(where: { $0 == $1 })?.0 {
            throw .badOption("--decode-gears: \(twice) stands there twice")
        }
        return sorted.last == sequences ? sorted : sorted + [sequences]
    }
}
