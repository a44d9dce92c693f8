package import HuggingFace
package import IR
package import Plan
package import Tensors

/// A layer that guesses the tokens of another model from its hidden states: EAGLE (`EagleLlamaForCausalLM` of vLLM) and EAGLE-3
/// (`Eagle3LlamaForCausalLM`).
///
/// Row `i` of `extend` has the hidden states of token `i` of the model that it guesses for, and token `i + 1`; of it token `i + 2` is guessed. Rows of
/// `decode` go on from a guess: they have what the head itself left in the row before, and the guessed token. Both leave logits and those hidden states.
package struct EagleHead: ModelDefinition {
    package static let title = "EAGLE"
    package static let architectures: [String] = []
    package static let modelTypes: [String] = []

    private var text: DecoderConfiguration
    private let quantization: QuantizationConfig?
    /// Whether it is EAGLE-3: hidden states of several layers, embeddings beside them in the queries, and a vocabulary of its own.
    private let isThird: Bool
    private let normsBeforeResidual: Bool
    /// What it reads.
    package let inner: InnerStates
    /// Elements of a row of that.
    private let innerWidth: Int
    private let draftVocabulary: Int
    private let maxPositions: Int
    /// The weights that it has of the model that it guesses for, as it calls them.
    package let borrowed: [String]
    private var rewrites = Self.rewrites

    private static let rewrites = [
        NameRewrite("model.midlayer.", "layers.0."), NameRewrite("midlayer.", "layers.0."), NameRewrite("model.", ""),
    ]

    package init(_ directory: ModelDirectory) throws(CheckpointError) {
        throw CheckpointError(
            .unsupported, file: directory.path, "is a head that guesses tokens of another model; compile it with --head-of and that model's directory")
    }

    /// Throws for a directory whose configuration says that it holds a head.
    package static func refuse(_ directory: ModelDirectory) throws(CheckpointError) {
        let config = try directory.config()
        let isNamed = (config.architectures + [config.modelType].compactMap(\.self)).contains { $0.lowercased().contains("eagle") }
        let hasOwnVocabulary = try config.originalSection().has("draft_vocab_size")
        if isNamed || hasOwnVocabulary { _ = try EagleHead(directory) }
    }

    /// - Parameters:
    ///   - types: of its own tensors.
    ///   - model: the model that it guesses for.
    package init(_ directory: ModelDirectory, _ types: [String: TensorType], of model: ModelGeometry) throws(CheckpointError) {
        let config = try directory.config()
        let section = try config.originalSection()
        var kind = DecoderKind.llama
        if let known = config.modelType.flatMap({ DecoderKind.byModelType[$0] }) { kind.defaults = known.defaults }
        let (current, old) = (try section.section("rope_parameters"), try section.section("rope_scaling"))
        if let rope = current ?? old, rope.has("mrope_section") { kind.axes = try rope.bool("mrope_interleaved") ?? false ? .interleaved : .chunked }
        text = try DecoderConfiguration(section, kind, isTied: false)
        quantization = try config.quantization()
        maxPositions = model.maxPositions
        guard text.layers.count == 1 else { throw section.error("num_hidden_layers", "is \(text.layers.count); heads of one layer are known", .unsupported) }
        guard text.rotaries[0].alternatives.isEmpty else { throw section.error("rope_scaling", "depends on the length of texts, which a head is not told", .unsupported) }
        guard text.vocabulary == model.vocabularySize else {
            throw section.error("vocab_size", "is \(text.vocabulary), that of the model that it guesses for \(model.vocabularySize)", .inconsistent)
        }
        let names = Self.canonical(types)
        guard let fused = names["fc.weight"]?.shape.fixed, fused.count == 2 else {
            throw CheckpointError(.missing, file: directory.path, tensor: "fc.weight", "is missing, so this is no EAGLE head")
        }
        isThird = names["layers.0.hidden_norm.weight"] != nil
        let options = try section.section("eagle_config") ?? section
        let (normed, alsoNormed) = (try section.bool("norm_before_residual"), try options.bool("norm_before_residual"))
        normsBeforeResidual = normed ?? alsoNormed ?? false
        let target = try section.int("target_hidden_size") ?? (isThird ? model.hiddenSize : text.width)
        guard target == model.hiddenSize else {
            let key = section.has("target_hidden_size") ? "target_hidden_size" : "hidden_size"
            throw section.error(key, "is \(target), that of the model that it guesses for \(model.hiddenSize)", .inconsistent)
        }
        innerWidth = isThird ? fused[1] : text.width
        inner = isThird ? .beforeLayers(try Self.layers(section, options, fused[1], model)) : .normed
        let ownVocabulary = try section.int("draft_vocab_size")
        draftVocabulary = isThird && ownVocabulary != nil ? try section.size("draft_vocab_size") : text.vocabulary
        borrowed = ["embed_tokens.weight", "lm_head.weight"].filter { names[$0] == nil }
        guard !borrowed.contains("lm_head.weight") || draftVocabulary == text.vocabulary else {
            throw CheckpointError(.missing, file: directory.path, tensor: "lm_head.weight", "is missing, and draft_vocab_size is not vocab_size")
        }
        if !borrowed.isEmpty, text.width != model.hiddenSize {
            throw section.error("hidden_size", "is \(text.width), so that \(listed(borrowed)) cannot be those of the model, whose hidden_size is \(model.hiddenSize)", .inconsistent)
        }
        text.queryBias = names["layers.0.self_attn.q_proj.bias"] != nil
        text.outputBias = names["layers.0.self_attn.o_proj.bias"] != nil
        text.feedForwardBias = names["layers.0.mlp.up_proj.bias"] != nil
        text.normalizesHeads = names["layers.0.self_attn.q_norm.weight"] != nil
        if isThird { text.attended = 2 * text.width }
    }

    /// The layers before which the hidden states are: those that the configuration names, else vLLM's.
    private static func layers(
        _ section: ConfigSection, _ options: ConfigSection, _ width: Int, _ model: ModelGeometry
    ) throws(CheckpointError) -> [Int] {
        let key = "eagle_aux_hidden_state_layer_ids"
        let (inner, outer) = (try options.ints(key), try section.ints(key))
        let named = inner ?? outer
        let layers = named ?? [2, model.layers / 2, model.layers - 3]
        guard layers.count * model.hiddenSize == width, !layers.isEmpty else {
            throw section.error(
                "hidden_size", "and fc.weight do not fit the model: the head reads \(width) numbers of a token, \(layers.count) layers of it have \(layers.count) · \(model.hiddenSize)",
                .inconsistent)
        }
        guard layers.allSatisfy({ (0...model.layers).contains($0) }) else {
            throw section.error(key, "\(named == nil ? "is missing, so that it is" : "is") \(layers), but the model has \(model.layers) layers", .inconsistent)
        }
        return layers
    }

    private static func canonical(_ types: [String: TensorType]) -> [String: TensorType] {
        Dictionary(types.map { name, type in (rewrites.lazy.compactMap { $0.canonical(name) }.first ?? name, type) }) { first, _ in first }
    }

    /// The head with tensors of the model among its own.
    ///
    /// - Parameter sources: what they are called in the model's checkpoint, by the head's names.
    package func borrowing(_ sources: [String: String]) -> EagleHead {
        var head = self
        head.rewrites = sources.sorted { $0.key < $1.key }.map { NameRewrite($0.value, $0.key) } + rewrites
        return head
    }

    package var geometry: ModelGeometry {
        var geometry = ModelGeometry(text, patchSize: 1, mergeSize: 1)
        (geometry.vocabularySize, geometry.maxPositions) = (draftVocabulary, maxPositions)
        return geometry
    }

    package func inputs(_ tokens: TokenNames) -> InputSpec { InputSpec(positions: text.positions, vocabularySize: draftVocabulary, endTokenIDs: []) }

    package func trace(_ checkpoint: CheckpointTypes, bounds: TraceBounds) throws(CheckpointError) -> Module {
        var entries = TraceEntries(decoder: text, rewrites: rewrites, quantization: quantization)
        entries.ignored = [.suffix("d2t"), .suffix("t2d")]
        let symbols = [("T", bounds.tokens), ("B", bounds.rows), ("S", bounds.slots)]
        return try entries.module(checkpoint, symbols, [("extend", { read($0) }), ("decode", { goOn($0) })])
    }
}

extension EagleHead {
    /// Rows that have the model's hidden states, to the logits of those that are sampled.
    private func read(_ tracer: ModelTracer) -> [Value] {
        let b = tracer.b
        let sampled = b.input(InputRole.sampleRows.rawValue, TensorType(.i32, ["B"]))
        let rows = b.gather(hidden(tracer, tokens: "T", reads: innerWidth), sampled)
        return [logits(tracer, rows), rows]
    }

    /// Rows that have the head's own.
    private func goOn(_ tracer: ModelTracer) -> [Value] {
        let rows = hidden(tracer, tokens: "B", reads: text.width)
        return [logits(tracer, rows), rows]
    }

    private func logits(_ tracer: ModelTracer, _ rows: Value) -> Value {
        let x = isThird ? norm(tracer, "norm", rows) : rows
        // A model that scores tokens by their embeddings has no second table to lend.
        let table = tracer.scope("lm_head") { tracer.has("weight") } ? "lm_head" : "embed_tokens"
        return tracer.linear(table, x, from: text.width, to: draftVocabulary, bias: false)
    }

    private func hidden(_ tracer: ModelTracer, tokens: Dim, reads width: Int) -> Value {
        let b = tracer.b
        let ids = b.input(InputRole.ids.rawValue, TensorType(.i32, [tokens]))
        let inner = b.input(InputRole.innerStates.rawValue, TensorType(.f32, [tokens, .fixed(width)]))
        let positions = b.input(InputRole.positions.rawValue, TensorType(.i32, [.fixed(text.positionAxes), tokens]))
        let context = tracer.cacheContext(text, tokens: tokens)
        let embedding = tracer.scope("embed_tokens") {
            tracer.widened(b.gather(tracer.stored("weight", [.fixed(text.vocabulary), .fixed(text.width)]), ids))
        }
        let rotary = tracer.scope("rotary_emb") { tracer.rotaryTables(positions, text.rotaries[0], tokens: tokens) }
        func fused(_ x: Value, _ inputs: Int) -> Value {
            tracer.linear("fc", x, from: inputs, to: text.width, bias: tracer.scope("fc") { tracer.has("bias") })
        }
        guard isThird else {
            let x = fused(b.concat([embedding, inner], axis: 1), 2 * text.width)
            return tracer.scope("layers.0") { layer(tracer, x, x, rotary, context) }
        }
        let x = tokens == "B" ? inner : fused(inner, width)
        return tracer.scope("layers.0") {
            let normed = norm(tracer, "hidden_norm", x)
            let joined = b.concat([norm(tracer, "input_layernorm", embedding), normed], axis: 1)
            return layer(tracer, normsBeforeResidual ? normed : x, joined, rotary, context)
        }
    }

    /// A layer of a Llama that attends to `attended` instead of a norm of `x`.
    private func layer(_ tracer: ModelTracer, _ x: Value, _ attended: Value, _ rotary: RotaryTables, _ context: CacheContext) -> Value {
        let b = tracer.b
        guard let visible = context.visible[text.mask(text.layers[0])] else { return x }
        let turn = LayerContext(layer: 0, cache: 0, rotary: rotary, visible: visible, slots: context.slots, tokens: context.tokens)
        var caches: [Int: LayerCache] = [:]
        let y = b.add(x, tracer.scope("self_attn") { tracer.cachedAttention(attended, text, turn, &caches) })
        let inner = norm(tracer, "post_attention_layernorm", y)
        return b.add(y, tracer.scope("mlp") { tracer.gatedMLP(inner, width: text.width, inner: text.inner, text.activation, bias: text.feedForwardBias) })
    }

    private func norm(_ tracer: ModelTracer, _ name: String, _ x: Value) -> Value { tracer.rmsNorm(name, x, width: text.width, eps: text.eps) }
}
