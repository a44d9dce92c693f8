import IR
import Plan
import Tensors

extension ModelTracer {
    /// The entry `extend`: tokens of several sequences to logits f32 `[B, V]` of the sampled rows, and what they are made of, f32 `[B, H]`.
    ///
    /// With `images`, tokens may be rows of images: f32 `[I, W · (1 + layers)]`, of which the first `W` elements stand for the
    /// token and those that follow are added after the first layers (deepstack).
    ///
    /// - Parameter inner: which hidden states are a third result, f32 `[T, W]`; nil for none.
    func extend(_ text: DecoderConfiguration, images: ImageRows?, showing inner: InnerStates? = nil) -> [Value] {
        let ids = b.input(InputRole.ids.rawValue, TensorType(.i32, ["T"]))
        var features: (index: Value, embeds: Value)?
        if let images {
            let index = b.input(InputRole.imageRows.rawValue, TensorType(.i32, ["T"]))
            features = (index, b.input(InputRole.imageEmbeds.rawValue, TensorType(.f32, ["I", .fixed(images.width(text))])))
        }
        let positions = b.input(InputRole.positions.rawValue, TensorType(.i32, [.fixed(text.positionAxes), "T"]))
        let context = cacheContext(text, tokens: "T")
        let sampled = b.input(InputRole.sampleRows.rawValue, TensorType(.i32, ["B"]))
        let tables = tokenTables(text)
        let known = embedded(ids, text)
        var x = embedding(known, text, tables)
        var added: [Value] = []
        if let images, let features {
            func part(_ index: Int) -> Value {
                guard images.addedLayers > 0 else { return features.embeds }
                return b.slice(features.embeds, axis: 1, index * text.width..<(index + 1) * text.width)
            }
            x = b.selectRows(x, part(0), features.index)
            let nothing = b.mul(x, b.literal(0))
            added = (0..<images.addedLayers).map { b.selectRows(nothing, part($0 + 1), features.index) }
        }
        let own = layerInputs(known, x, text, tokens: "T")
        let rows = decoder(x, positions, text, context, added: added, own: own, showing: inner)
        let hidden = b.gather(rows.hidden, sampled)
        return [logits(hidden, text, tables), hidden] + [rows.inner].compactMap(\.self)
    }

    /// The entry `decode`: one token for each of `B` sequences to logits f32 `[B, V]`.
    ///
    /// - Parameter inner: which hidden states are a second result, f32 `[B, W]`; nil for none.
    func decode(_ text: DecoderConfiguration, showing inner: InnerStates? = nil) -> [Value] {
        let ids = b.input(InputRole.ids.rawValue, TensorType(.i32, ["B"]))
        let positions = b.input(InputRole.positions.rawValue, TensorType(.i32, [.fixed(text.positionAxes), "B"]))
        var alone = text
        alone.spans = .none
        let context = cacheContext(alone, tokens: "B")
        let tables = tokenTables(text)
        let known = embedded(ids, text)
        let x = embedding(known, text, tables)
        let own = layerInputs(known, x, text, tokens: "B")
        let rows = decoder(x, positions, alone, context, added: [], own: own, showing: inner)
        return [logits(rows.hidden, text, tables)] + [rows.inner].compactMap(\.self)
    }

    /// The modules whose weights embed tokens and score them: tied ones are one, whichever of the two the checkpoint has.
    private func tokenTables(_ text: DecoderConfiguration) -> TokenTables {
        let tables = TokenTables(embedding: "model.embed_tokens", head: "lm_head")
        guard text.isTied else { return tables }
        if !has("lm_head.weight") { return TokenTables(embedding: tables.embedding, head: tables.embedding) }
        return has("model.embed_tokens.weight") ? tables : TokenTables(embedding: tables.head, head: tables.head)
    }

    private func embedding(_ ids: Value, _ text: DecoderConfiguration, _ tables: TokenTables) -> Value {
        let x = scope(tables.embedding) { widened(b.gather(stored("weight", [.fixed(text.vocabulary), .fixed(text.width)]), ids)) }
        return text.embeddingScale.map { b.mul(x, b.literal($0)) } ?? x
    }

    private func logits(_ x: Value, _ text: DecoderConfiguration, _ tables: TokenTables) -> Value {
        capped(linear(tables.head, x, from: text.width, to: text.vocabulary, bias: false), text.logitCap)
    }

    /// Embedded tokens to hidden states after the last norm; `added` holds what the first layers' results grow by, `own` the rows that
    /// are each layer's own. Those that `inner` names are `inner`.
    private func decoder(
        _ embedded: Value, _ positions: Value, _ text: DecoderConfiguration, _ context: CacheContext, added: [Value], own: [Value],
        showing inner: InnerStates?
    ) -> (hidden: Value, inner: Value?) {
        scope("model") {
            let tables = text.rotaries.enumerated().map { index, frequencies in
                let isUsed = text.layers.contains { $0.mixer == .attention && $0.rotary == index }
                return isUsed ? scope("rotary_emb") { rotaryTables(positions, frequencies, tokens: context.tokens) } : nil
            }
            let growth = queryGrowth(positions, text, tokens: context.tokens)
            var x = embedded
            var before = [x]
            var caches: [Int: LayerCache] = [:]
            for (index, layer) in text.layers.enumerated() {
                x = scope("layers.\(index)") {
                    let normed = norm("input_layernorm", x, text)
                    let mixed = mixed(normed, text, index, context, tables, growth, &caches)
                    let y = b.add(x, text.normalizesResults ? norm("post_attention_layernorm", mixed, text) : mixed)
                    let inner = norm(text.normalizesResults ? "pre_feedforward_layernorm" : "post_attention_layernorm", y, text)
                    let fed = scope("mlp") { feedForward(inner, text, layer.inner ?? text.inner) }
                    let result = b.add(y, text.normalizesResults ? norm("post_feedforward_layernorm", fed, text) : fed)
                    return scaledLayer(index < own.count ? joined(result, own[index], text) : result, text)
                }
                if index < added.count { x = b.add(x, added[index]) }
                before.append(x)
            }
            let hidden = norm("norm", x, text)
            switch inner {
            case nil: return (hidden, nil)
            case .normed?: return (hidden, hidden)
            case .beforeLayers(let layers)?: return (hidden, b.concat(layers.map { before[$0] }, axis: 1))
            }
        }
    }

    /// What a layer makes of its tokens, each with those before it.
    private func mixed(
        _ x: Value, _ text: DecoderConfiguration, _ index: Int, _ context: CacheContext, _ tables: [RotaryTables?], _ growth: Value?,
        _ caches: inout [Int: LayerCache]
    ) -> Value {
        let layer = text.layers[index]
        if layer.mixer == .attention, let rotary = tables[layer.rotary], let visible = context.visible[text.mask(layer)] {
            let cache = text.layers[..<index].count { $0.mixer == .attention }
            let turn = LayerContext(
                layer: index, cache: cache, rotary: rotary, visible: visible, slots: context.slots, tokens: context.tokens, growth: growth)
            return scope("self_attn") { cachedAttention(x, text, turn, &caches) }
        }
        guard let places = context.places else { return x }
        if layer.mixer == .convolution, let shape = text.convolution {
            return scope("conv") { gatedConvolution(x, text, shape, layer: index, places) }
        }
        guard let shape = text.deltaNet else { return x }
        return scope("linear_attn") { deltaNet(x, text, shape, layer: index, tokens: context.tokens, places) }
    }

    private func norm(_ name: String, _ x: Value, _ text: DecoderConfiguration) -> Value {
        rmsNorm(name, x, width: text.width, eps: text.eps, addsOne: text.normsAddOne)
    }

    private func feedForward(_ x: Value, _ text: DecoderConfiguration, _ inner: Int) -> Value {
        let bias = text.feedForwardBias
        if text.hasFusedGate { return fusedGateMLP(x, width: text.width, inner: inner, text.activation, bias: bias) }
        return gatedMLP(x, width: text.width, inner: inner, text.activation, bias: bias)
    }
}

extension ModelTracer {
    /// The ids with which tokens are embedded.
    private func embedded(_ ids: Value, _ text: DecoderConfiguration) -> Value {
        guard let padded = text.padded else { return ids }
        func literal(_ id: Int32) -> Value { b.literal(Double(id), TensorType(.i32, [])) }
        return padded.ids.reduce(ids) { b.where(b.cast(b.sub(ids, literal($1)), to: .bool), $0, literal(padded.pad)) }
    }

    /// For each layer rows `[T, w]` of the tokens and of what they are embedded as (`project_per_layer_inputs`).
    private func layerInputs(_ ids: Value, _ x: Value, _ text: DecoderConfiguration, tokens: Dim) -> [Value] {
        guard let own = text.layerInputs else { return [] }
        let count = text.layers.count
        let (width, packed, layers) = (Dim.fixed(own.width), count * own.width, Shape([tokens, .fixed(count), .fixed(own.width)]))
        return scope("model") {
            let table = scope("embed_tokens_per_layer") { stored("weight", [.fixed(own.vocabulary), .fixed(packed)]) }
            let rows = b.mul(widened(b.gather(table, ids)), b.literal(Double(own.width).squareRoot()))
            let projected = linear("per_layer_model_projection", x, from: text.width, to: packed, bias: false)
            let scaled = b.reshape(b.mul(projected, b.literal(1 / Double(text.width).squareRoot())), layers)
            let normed = rmsNorm("per_layer_projection_norm", scaled, width: own.width, eps: text.eps)
            let sums = b.mul(b.add(normed, b.reshape(rows, layers)), b.literal(0.5.squareRoot()))
            return (0..<count).map { b.reshape(b.slice(sums, axis: 1, $0..<$0 + 1), [tokens, width]) }
        }
    }

    /// What a layer gives with its own rows, gated by it.
    private func joined(_ x: Value, _ own: Value, _ text: DecoderConfiguration) -> Value {
        guard let width = text.layerInputs?.width else { return x }
        let gate = activate(linear("per_layer_input_gate", x, from: text.width, to: width, bias: false), text.activation)
        let added = linear("per_layer_projection", b.mul(gate, own), from: width, to: text.width, bias: false)
        return b.add(x, rmsNorm("post_per_layer_input_norm", added, width: text.width, eps: text.eps))
    }

    private func scaledLayer(_ x: Value, _ text: DecoderConfiguration) -> Value {
        text.scalesLayers ? b.mul(x, parameter("layer_scalar", [1])) : x
    }
}

/// What an `extend` entry takes of images.
package struct ImageRows {
    /// How many layers' results the rows are added to as well.
    var addedLayers: Int

    package init(addedLayers: Int = 0) { self.addedLayers = addedLayers }

    func width(_ text: DecoderConfiguration) -> Int { text.width * (1 + addedLayers) }
}

/// The modules whose weights turn tokens into vectors, and vectors into scores of tokens.
private struct TokenTables {
    var embedding: String
    var head: String
}
