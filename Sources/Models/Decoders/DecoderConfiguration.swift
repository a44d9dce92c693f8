import HuggingFace
import IR
import Plan

/// What a causal decoder computes: its extents, and every choice in which the known ones differ.
///
/// Tensors have the names of `LlamaForCausalLM`; a `NameRewrite` brings others to them.
package struct DecoderConfiguration: Sendable {
    package var width: Int
    var inner: Int
    package var vocabulary: Int
    var attention: AttentionShape
    var activation: ActivationFunction
    var eps: Double
    var maxPositions: Int
    /// Whether one table is to embed tokens and to score them, unless the checkpoint has two.
    var isTied: Bool
    /// One for each layer.
    var layers: [DecoderLayer]
    /// What layers refer to.
    var rotaries: [RotaryFrequencies]
    /// Where queries, keys and values come from.
    var projections = QueryProjections.separate
    /// Elements of what they are made of, where those are not the decoder's width.
    var attended: Int?
    /// Of the layers that convolve, and of those that are delta nets.
    var convolution: ConvolutionShape?
    var deltaNet: DeltaNetShape?
    /// Whether gate and up-projection are one layer's rows, the gate first.
    var hasFusedGate = false
    var queryBias = false
    var outputBias = false
    var feedForwardBias = false
    /// Whether norms multiply by `1 + w` instead of `w`.
    var normsAddOne = false
    /// Whether what attention and feed-forward give is normalized before it is added.
    var normalizesResults = false
    /// Whether queries and keys are normalized, head by head.
    var normalizesHeads = false
    /// Whether values are normalized, head by head and without a weight.
    var normalizesValues = false
    /// Whether what a layer gives is multiplied by a number of its own.
    var scalesLayers = false
    /// Rows that are given to each layer beside what it reads.
    var layerInputs: LayerInputs?
    /// Tokens that are embedded as another one.
    var padded: PaddedTokens?
    /// Scores are divided by it.
    var scoreDivisor: Double
    /// Scores go through `c · tanh(x / c)`.
    var scoreCap: Double?
    /// Logits go through `c · tanh(x / c)`.
    var logitCap: Double?
    /// What embedded tokens, not images, are multiplied by.
    var embeddingScale: Double?
    /// From this position on queries grow by the logarithm of the position to this base.
    var logarithmBase: Int?
    /// How far the tokens of an image or a prefix see forward in `extend`.
    var spans = SpanRule.none

    /// Rows of the `positions` input.
    var positionAxes: Int { rotaries[0].positionAxes }

    /// How positions of one axis are counted from 0.
    var positions: PositionScheme { rotaries[0].lengths.map(PositionScheme.byLength) ?? .sequential(start: 0) }

    /// The distinct masks of the layers, in the order of first use.
    var masks: [CausalMask] {
        layers.filter { $0.mixer == .attention }.map(mask).reduce(into: []) { known, mask in
            if !known.contains(mask) { known.append(mask) }
        }
    }

    func mask(_ layer: DecoderLayer) -> CausalMask {
        switch spans {
        case .none, .withinWindow: CausalMask(window: layer.window, spans: spans)
        case .withinLocal: CausalMask(window: layer.window, spans: layer.window == nil ? .none : spans)
        case .whole: CausalMask(window: nil, spans: spans)
        }
    }

    /// The heads of a layer.
    func heads(of layer: DecoderLayer) -> AttentionShape { layer.attention ?? attention }
}

/// In what one layer of a decoder differs from the others.
struct DecoderLayer: Hashable {
    /// Index into `rotaries`.
    var rotary = 0
    /// How many tokens back it sees, itself included; nil for all.
    var window: Int?
    /// Its heads, where they are not those of the decoder.
    var attention: AttentionShape?
    /// Its inner width, where it is not that of the decoder.
    var inner: Int?
    /// The layer before it whose keys and values it sees; nil for its own.
    var source: Int?
    /// Whether values come from the layer of the keys, neither weighted nor turned.
    var valuesAreKeys = false
    var mixer = LayerMixer.attention
}

/// A table of rows of `width` elements for each layer, which are added to a projection of the embedded tokens (`Gemma4TextModel`).
struct LayerInputs {
    var width: Int
    /// Rows of the table.
    var vocabulary: Int
}

/// Tokens whose rows come from elsewhere, and the token that is embedded in their place.
struct PaddedTokens {
    var ids: [Int32]
    var pad: Int32
}

/// Where queries, keys and values of a layer come from.
enum QueryProjections {
    /// Three layers.
    case separate
    /// Three layers; each query has beside it what its result is gated by.
    case gated
    /// One layer, its rows those of all queries, then all keys, then all values.
    case rows
    /// One layer, its rows grouped by key-value head: the queries of the group, its key, its value.
    case groups
}

/// Whether tokens see forward inside a span: an image, or a whole prefix.
enum SpanRule {
    case none
    /// Up to the span's end, back as far as the window.
    case withinWindow
    /// The same in layers of a window; the others see no further.
    case withinLocal
    /// The whole span, which is the prompt, whatever the window: `extend` has none, `decode` has it.
    case whole
}

/// What a token sees of the cache of its sequence.
struct CausalMask: Hashable {
    var window: Int?
    var spans: SpanRule

    /// The name of the graph input.
    var name: String { window == nil ? "visible" : "visible_window" }
}
