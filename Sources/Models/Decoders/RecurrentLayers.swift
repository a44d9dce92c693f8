import IR
import Plan
import Tensors

/// How a layer of a decoder takes other tokens into account.
enum LayerMixer: Hashable {
    case attention
    /// A short convolution between gates (`Lfm2ShortConv`).
    case convolution
    /// A gated delta net (`Qwen3_5GatedDeltaNet`).
    case deltaNet
}

/// The extents of gated short convolutions.
struct ConvolutionShape: Hashable {
    /// Rows that one result depends on.
    var taps: Int
    var hasBias: Bool
}

/// The extents of gated delta nets; `keyHeads` divides `heads`.
struct DeltaNetShape: Hashable {
    var keyHeads: Int
    var heads: Int
    var keyDim: Int
    var valueDim: Int
    /// Rows that the convolution before it sees.
    var taps: Int

    var keyWidth: Int { keyHeads * keyDim }
    var valueWidth: Int { heads * valueDim }
}

extension DecoderConfiguration {
    /// Layers that keep keys and values.
    var attentionLayers: Int { layers.count { $0.mixer == .attention } }

    /// Whether some layers keep a state of each sequence.
    var keepsStates: Bool { attentionLayers < layers.count }
}

extension ModelTracer {
    /// i32 `[T]` each: where the states of each token's sequence are kept, and the token's place in its sequence.
    func sequencePlaces(tokens: Dim) -> (slots: Value, ordinals: Value) {
        let type = TensorType(.i32, [tokens])
        return (b.input(InputRole.stateSlots.rawValue, type), b.input(InputRole.ordinals.rawValue, type))
    }

    /// `out(C · conv(B · x))` with `B`, `C` and `x` from one layer.
    func gatedConvolution(
        _ x: Value, _ text: DecoderConfiguration, _ shape: ConvolutionShape, layer: Int, _ places: (slots: Value, ordinals: Value)
    ) -> Value {
        let width = text.width
        let all = linear("in_proj", x, from: width, to: 3 * width, bias: shape.hasBias)
        let parts = (0..<3).map { b.slice(all, axis: 1, $0 * width..<($0 + 1) * width) }
        let mixed = scope("conv") {
            let y = convolution(b.mul(parts[0], parts[2]), width: width, taps: shape.taps, layer: layer, places)
            return shape.hasBias ? b.add(y, parameter("bias", [.fixed(width)])) : y
        }
        return linear("out_proj", b.mul(parts[1], mixed), from: width, to: width, bias: shape.hasBias)
    }

    /// The convolution of the current module, whose state is the layer's columns.
    private func convolution(_ x: Value, width: Int, taps: Int, layer: Int, _ places: (slots: Value, ordinals: Value)) -> Value {
        let name = "columns.\(layer)"
        let state = b.state(name, TensorType(.f32, ["R", .fixed(taps - 1), .fixed(width)]), .columns(layer: layer))
        let weight = b.reshape(parameter("weight", [.fixed(width), 1, .fixed(taps)]), [.fixed(width), .fixed(taps)])
        let (y, updated) = b.shortConvolution(state, x, weight, places)
        b.update(name, updated)
        return y
    }

    /// Queries, keys and values through a short convolution, the gated delta rule, and a norm that is gated too.
    func deltaNet(
        _ x: Value, _ text: DecoderConfiguration, _ shape: DeltaNetShape, layer: Int, tokens: Dim, _ places: (slots: Value, ordinals: Value)
    ) -> Value {
        let (width, keys, values) = (text.width, shape.keyWidth, shape.valueWidth)
        let total = 2 * keys + values
        let projected = linear("in_proj_qkv", x, from: width, to: total, bias: false)
        let gate = b.reshape(linear("in_proj_z", x, from: width, to: values, bias: false), [tokens, .fixed(shape.heads), .fixed(shape.valueDim)])
        let gain = b.sigmoid(linear("in_proj_b", x, from: width, to: shape.heads, bias: false))
        let decay = decay(linear("in_proj_a", x, from: width, to: shape.heads, bias: false), heads: shape.heads)
        let mixed = activate(scope("conv1d") { convolution(projected, width: total, taps: shape.taps, layer: layer, places) }, text.activation)
        func part(_ range: Range<Int>, _ heads: Int) -> Value {
            b.reshape(b.slice(mixed, axis: 1, range), [tokens, .fixed(heads), .fixed(range.count / heads)])
        }
        let q = b.mul(unit(part(0..<keys, shape.keyHeads)), b.literal(1 / Double(shape.keyDim).squareRoot()))
        let k = unit(part(keys..<2 * keys, shape.keyHeads))
        let v = part(2 * keys..<total, shape.heads)
        let name = "recurrent.\(layer)"
        let extents: Shape = ["R", .fixed(shape.heads), .fixed(shape.keyDim), .fixed(shape.valueDim)]
        let state = b.state(name, TensorType(.f32, extents), .recurrent(layer: layer))
        let (y, updated) = b.gatedDelta(state, q: q, k: k, v: v, decay: decay, gain: gain, places)
        b.update(name, updated)
        let normed = b.mul(rmsNorm("norm", y, width: shape.valueDim, eps: text.eps), activate(gate, .silu))
        return linear("out_proj", b.reshape(normed, [tokens, .fixed(values)]), from: values, to: width, bias: false)
    }

    /// `exp(−exp(A_log) · softplus(a + dt_bias))`, what is kept of each head's state.
    private func decay(_ a: Value, heads: Int) -> Value {
        let rate = b.neg(b.exp(parameter("A_log", [.fixed(heads)])))
        return b.exp(b.mul(b.softplus(b.add(a, parameter("dt_bias", [.fixed(heads)]))), rate))
    }

    /// Rows of length one: `x / √(Σx² + 10⁻⁶)`.
    private func unit(_ x: Value) -> Value { b.mul(x, b.rsqrt(b.add(b.sum(b.square(x)), b.literal(1e-6)))) }
}
