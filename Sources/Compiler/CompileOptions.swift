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
    /// Which hidden states the model is to give beside logits, for a head that reads them; nil for none.
    package var innerStates: InnerStates?
    /// Decode gears in any order; nil for the powers of two up to `maxSequences`, and that itself.
    package var gears: [Int]?
    package var maxSequences: Int?
    /// nil for the model's own limit.
    package var maxModelLength: Int?
    package var maxBatchedTokens: Int?
    /// Fails where the artifact would take fewer tokens; nil for no such bound.
    package var leastModelLength: Int?
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

    package static let defaultMaxSequences = Program.Limits.sequencesDefault
    package static let defaultMaxBatchedTokens = 512

    /// Throws for what is wrong in itself, whatever the model and the defaults are.
    package func check() throws(CompileError) {
        for (flag, value) in [
            ("--max-num-seqs", maxSequences), ("--max-model-len", maxModelLength), ("--max-num-batched-tokens", maxBatchedTokens),
            ("--least-model-len", leastModelLength),
        ] {
            if let value, value < 1 { throw .badOption("\(flag) \(value) must be at least 1") }
        }
        if let rounding, precision == .exact {
            throw .badOption("--quantize \(rounding.rawValue): exact precision keeps weights as in the checkpoint; use --precision balanced")
        }
        if maxModelLength == 1 { throw .badOption("--max-model-len 1 has no room for a prompt and a token behind it") }
        if let most = maxModelLength, let least = leastModelLength, least > most {
            throw .badOption("--least-model-len \(least) is above --max-model-len \(most)")
        }
        let (sequencesMax, tokensMax) = (Program.Limits.sequencesMax, Program.Limits.batchedTokensMax)
        guard sequences <= sequencesMax else { throw .badOption("--max-num-seqs \(sequences) is above \(sequencesMax)") }
        if maxSequences != nil || gears != nil { try checkTokens() }
        guard batchedTokens <= tokensMax else { throw .badOption("--max-num-batched-tokens \(batchedTokens) is above \(tokensMax)") }
        _ = try checkedGears(sequences)
    }

    private var sequences: Int { maxSequences ?? gears?.max() ?? Self.defaultMaxSequences }

    private var batchedTokens: Int { maxBatchedTokens ?? max(Self.defaultMaxBatchedTokens, sequences) }

    private func checkTokens() throws(CompileError) {
        guard batchedTokens < sequences else { return }
        throw .badOption("--max-num-batched-tokens \(batchedTokens) is below --max-num-seqs \(sequences): a step takes one token of each")
    }

    /// The limits for a model that takes `modelLength` tokens and images of `patches` patches.
    package func limits(modelLength: Int, patches: Int, cell: Int) throws(CompileError) -> Program.Limits {
        try check()
        let length = maxModelLength ?? modelLength
        guard length <= modelLength else {
            throw .badOption("--max-model-len \(length) is above the model's own limit of \(modelLength) (max_position_embeddings); give at most that, or auto")
        }
        guard length > 1 else { throw .badOption("a context of \(length) tokens has no room for a prompt and a token behind it") }
        if let leastModelLength, leastModelLength > length {
            throw .badOption("\(leastModelLength) tokens are more than the model takes, \(length) (max_position_embeddings); give --max-model-len \(length) or less, or auto")
        }
        try checkTokens()
        return Program.Limits(
            gears: try checkedGears(sequences), maxSequences: sequences, maxModelLength: length, maxBatchedTokens: batchedTokens,
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
