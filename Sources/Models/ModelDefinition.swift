package import HuggingFace
package import IR
package import Plan

/// One model family: a configuration that can trace its mathematics into IR, and say how requests become its inputs.
///
/// A definition is a value that checks its configuration when made; tracing checks every tensor it uses against what the
/// configuration implies. Both name the key or tensor at fault.
package protocol ModelDefinition: Sendable {
    /// What people call the family.
    static var title: String { get }

    /// The `architectures` entries of `config.json` that this definition computes.
    static var architectures: [String] { get }

    /// The `model_type` of a `config.json` that names no architecture.
    static var modelTypes: [String] { get }

    /// Whether it computes such a configuration, one that names an architecture of its own: several families may share a name.
    static func computes(_ config: ModelConfig) throws(CheckpointError) -> Bool

    init(_ directory: ModelDirectory) throws(CheckpointError)

    var geometry: ModelGeometry { get }

    /// How a request becomes tokens, patches and positions.
    ///
    /// - Parameter tokens: what the tokenizer calls its tokens.
    func inputs(_ tokens: TokenNames) throws(CheckpointError) -> InputSpec

    /// The checkpoint without the tensors that the family takes for copies of others.
    ///
    /// What is traced depends on the names and types of the tensors that are left, never on their values.
    func effective(_ checkpoint: Checkpoint) -> Checkpoint

    /// Records the entries `vision`, `extend` and `decode` at stage `traced`; a family that reads text only has no `vision`.
    ///
    /// Symbols: `T` tokens, `B` sampled rows (in `decode` also tokens), `S` cache slots, `I` rows of image embeddings, `M` merged
    /// cells of images (an image has `mergeSize² · M` patches). Inputs have the names of `InputRole`; states are
    /// `kv.<n>.k` and `kv.<n>.v`, f32 `[S, KVH, D]`, of the n-th layer that attends, and of `R` sequences `columns.<layer>` and
    /// `recurrent.<layer>`.
    func trace(_ checkpoint: CheckpointTypes, bounds: TraceBounds) throws(CheckpointError) -> Module
}

extension ModelDefinition {
    package static var title: String { "\(Self.self)" }

    package static func computes(_ config: ModelConfig) -> Bool { true }

    package func effective(_ checkpoint: Checkpoint) -> Checkpoint { checkpoint }
}

/// The extents of a model that its runtime must know.
package struct ModelGeometry: Sendable, Hashable {
    package var layers: Int
    package var heads: Int
    package var kvHeads: Int
    package var headDim: Int
    package var hiddenSize: Int
    package var vocabularySize: Int
    /// The longest context that the model was made for.
    package var maxPositions: Int
    /// Rows of the `positions` input.
    package var positionAxes: Int
    package var patchSize: Int
    /// Side of the square of patches that becomes one token.
    package var mergeSize: Int
}

/// The largest value of each symbol of a trace.
package struct TraceBounds: Sendable, Hashable {
    /// `T`
    package var tokens: Int
    /// `B`
    package var rows: Int
    /// `S`
    package var slots: Int
    /// `I`
    package var imageRows: Int
    /// Rows of pixels of a vision call, rows of class tokens among them.
    package var patches: Int
    /// Features that a vision call makes.
    package var features: Int
    /// Whether layers of the decoder take adapters; not a bound, but decided where those are.
    package var takesAdapters = false
    /// Which hidden states the decoder gives beside logits; nil for none.
    package var innerStates: InnerStates?

    package init(tokens: Int, rows: Int, slots: Int, imageRows: Int, patches: Int, features: Int) {
        self.tokens = tokens
        self.rows = rows
        self.slots = slots
        self.imageRows = imageRows
        self.patches = patches
        self.features = features
    }
}
