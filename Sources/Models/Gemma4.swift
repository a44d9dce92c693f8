package import HuggingFace
package import IR
package import Plan
import Tensors

/// Gemma 4: a tower over patches of any image size with learned and rotary places on two axes, squares of patches averaged to one row,
/// one linear layer, and a decoder of two kinds of layers, of which the last may share the keys and values of earlier ones and every one
/// may be given an embedding of its own. What hears is not computed.
package struct Gemma4: ModelDefinition {
    package static let title = "Gemma 4"
    package static let architectures = ["Gemma4ForConditionalGeneration", "Gemma4ForCausalLM"]
    package static let modelTypes = ["gemma4", "gemma4_text"]

    /// `Gemma4VisionConfig`
    struct Tower {
        var width: Int
        var inner: Int
        var depth: Int
        var attention: AttentionShape
        var activation: ActivationFunction
        var eps: Double
        var rotary: RotaryFrequencies
        var patchSize: Int
        /// Side of the square of patches that becomes a row.
        var poolSize: Int
        /// Rows of the table of each axis.
        var places: Int
        /// Whether what enters and leaves a linear layer is kept within bounds that lie beside its weight.
        var isClipped: Bool
        /// Whether rows are moved and scaled by vectors before they are projected.
        var isStandardized: Bool
    }

    /// What a family with images has beside its decoder.
    struct Sight {
        var tower: Tower
        /// Without the tokens' texts.
        var image: ImageSpec
        /// What stands before and behind an image's tokens.
        var borders: (opening: Int32, closing: Int32)
    }

    let text: DecoderConfiguration
    /// nil: the model reads text only.
    let sight: Sight?
    let quantization: QuantizationConfig?
    let common: InputSpec

    package func inputs(_ tokens: TokenNames) -> InputSpec {
        guard let sight else { return common }
        var spec = common
        spec.spans = text.spans == .none ? .none : .images
        var image = sight.image
        let (opening, closing) = (tokens.text(sight.borders.opening) ?? "<|image>", tokens.text(sight.borders.closing) ?? "<image|>")
        image.prompt.pieces = [.text(opening), .features, .text(closing)]
        spec.image = image.named(tokens, fallback: "<|image|>")
        return spec
    }

    package var geometry: ModelGeometry {
        ModelGeometry(text, patchSize: sight?.tower.patchSize ?? 1, mergeSize: sight?.tower.poolSize ?? 1)
    }

    private static let rewrites = [
        NameRewrite("model.vision_tower.", "visual."), NameRewrite("model.embed_vision.", "projector."),
        NameRewrite("model.language_model.", "model."),
    ]

    package func effective(_ checkpoint: Checkpoint) -> Checkpoint { text.effective(checkpoint, Self.rewrites) }

    package func trace(_ checkpoint: CheckpointTypes, bounds: TraceBounds) throws(CheckpointError) -> Module {
        var entries = TraceEntries(decoder: text, rewrites: Self.rewrites, quantization: quantization)
        entries.ignored = [.prefix("model.audio_tower."), .prefix("model.embed_audio.")] + text.unusedCaches
        guard let sight else { return try entries.module(checkpoint, bounds) }
        entries.images = ImageRows()
        let tower = sight.tower
        entries.visionSymbols = [("M", max(bounds.patches / (tower.poolSize * tower.poolSize), 1))]
        return try entries.module(checkpoint, bounds) { tracer in
            let pooled = tracer.scope("visual") { tracer.encode(tower, PixelScale(sight.image.pixels)) }
            return tracer.scope("projector") {
                let normed = tracer.bareNorm(pooled, eps: tower.eps)
                return tracer.linear("embedding_projection", normed, from: tower.width, to: text.width, bias: false)
            }
        }
    }
}

extension ModelTracer {
    /// `Gemma4VisionModel`: patches in squares u8 `[n²·M, 3·p²]` to pooled rows f32 `[M, W]`.
    fileprivate func encode(_ tower: Gemma4.Tower, _ scale: PixelScale) -> Value {
        let count = tower.poolSize * tower.poolSize
        let rows = Dim(count, times: "M")
        let pixels = b.input("pixels", TensorType(.u8, [rows, .fixed(3 * tower.patchSize * tower.patchSize)]))
        let positions = b.input("patch_positions", TensorType(.i32, [2, rows]))
        let visible = segmentInput(.tiles, queries: rows, keys: rows)
        var x = scope("patch_embedder") { patchEmbedding(pixels, positions, tower, scale.centered, rows: rows) }
        let tables = scope("encoder.rotary_emb") { rotaryTables(positions, tower.rotary, tokens: rows) }
        for index in 0..<tower.depth {
            x = scope("encoder.layers.\(index)") { block(x, tower, tables, visible: visible, rows: rows) }
        }
        let means = b.mean(b.reshape(x, ["M", .fixed(count), .fixed(tower.width)]), axis: 1)
        let pooled = b.mul(b.reshape(means, ["M", .fixed(tower.width)]), b.literal(Double(tower.width).squareRoot()))
        guard tower.isStandardized else { return pooled }
        let width: Shape = [.fixed(tower.width)]
        return b.mul(b.sub(pooled, parameter("std_bias", width)), parameter("std_scale", width))
    }

    /// `Gemma4VisionPatchEmbedder`: its weight has the channels of a pixel beside each other, rows of pixels have one after the other.
    private func patchEmbedding(_ pixels: Value, _ positions: Value, _ tower: Gemma4.Tower, _ scale: PixelScale, rows: Dim) -> Value {
        let (area, width) = (Dim.fixed(tower.patchSize * tower.patchSize), Dim.fixed(tower.width))
        let bytes = Dim.fixed(3 * tower.patchSize * tower.patchSize)
        let scaled = normalizedPatches(pixels, scale, patchSize: tower.patchSize, frames: 1, patches: rows)
        let byPixel = b.reshape(b.transpose(b.reshape(scaled, [rows, 3, area]), [0, 2, 1]), [rows, bytes])
        let x = linear("input_proj", byPixel, from: 3 * tower.patchSize * tower.patchSize, to: tower.width, bias: false)
        let tables = parameter("position_embedding_table", [2, .fixed(tower.places), width])
        func places(_ table: Int, _ axis: Int) -> Value {
            let rowsOfAxis = b.reshape(b.slice(positions, axis: 0, axis..<axis + 1), [rows])
            return b.gather(b.reshape(b.slice(tables, axis: 0, table..<table + 1), [.fixed(tower.places), width]), rowsOfAxis)
        }
        return b.add(x, b.add(places(0, 1), places(1, 0)))
    }

    /// `Gemma4VisionEncoderLayer`
    private func block(_ x: Value, _ tower: Gemma4.Tower, _ tables: RotaryTables, visible: Value, rows: Dim) -> Value {
        func norm(_ name: String, _ x: Value) -> Value { rmsNorm(name, x, width: tower.width, eps: tower.eps) }
        let normed = norm("input_layernorm", x)
        let mixed = scope("self_attn") { attention(normed, tower, tables, visible: visible, rows: rows) }
        let y = b.add(x, norm("post_attention_layernorm", mixed))
        let inner = norm("pre_feedforward_layernorm", y)
        let fed = scope("mlp") {
            let gate = activate(clipped("gate_proj", inner, tower, from: tower.width, to: tower.inner), tower.activation)
            let up = clipped("up_proj", inner, tower, from: tower.width, to: tower.inner)
            return clipped("down_proj", b.mul(gate, up), tower, from: tower.inner, to: tower.width)
        }
        return b.add(y, norm("post_feedforward_layernorm", fed))
    }

    private func attention(_ x: Value, _ tower: Gemma4.Tower, _ tables: RotaryTables, visible: Value, rows: Dim) -> Value {
        let shape = tower.attention
        func heads(_ name: String, _ count: Int) -> Value {
            b.reshape(clipped(name, x, tower, from: tower.width, to: count * shape.headDim), [rows, .fixed(count), .fixed(shape.headDim)])
        }
        func turned(_ name: String, _ count: Int) -> Value {
            let normed = rmsNorm("\(name)_norm", heads("\(name)_proj", count), width: shape.headDim, eps: tower.eps)
            return rotate(normed, tables, headDim: shape.headDim)
        }
        let v = bareNorm(heads("v_proj", shape.kvHeads), eps: tower.eps)
        let mixed = attention(
            turned("q", shape.heads), turned("k", shape.kvHeads), v, visible: visible, shape, divisor: 1, tokens: rows)
        return clipped("o_proj", mixed, tower, from: shape.queryWidth, to: tower.width)
    }

    /// `Gemma4ClippableLinear`
    private func clipped(_ name: String, _ x: Value, _ tower: Gemma4.Tower, from inputs: Int, to outputs: Int) -> Value {
        scope(name) {
            func bounded(_ x: Value, _ side: String) -> Value {
                guard tower.isClipped else { return x }
                return b.minimum(b.maximum(x, parameter("\(side)_min", [])), parameter("\(side)_max", []))
            }
            return bounded(linear("linear", bounded(x, "input"), from: inputs, to: outputs, bias: false), "output")
        }
    }
}

extension PixelScale {
    /// Followed by `2 · (x − ½)`.
    fileprivate var centered: PixelScale {
        PixelScale(factor: factor, mean: zip(mean, deviation).map { $0 + $1 / 2 }, deviation: deviation.map { $0 / 2 })
    }
}
