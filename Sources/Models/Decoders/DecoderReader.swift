package import HuggingFace
import IR

extension DecoderConfiguration {
    /// Reads the section of `config.json` that describes the text model, of either generation.
    ///
    /// What the section leaves out is the default of the class that `model_type` names.
    ///
    /// - Parameters:
    ///   - assumed: the type where the section names none.
    ///   - own: the type of a family that has a decoder class of its own, whatever the section calls it.
    package init(_ config: ConfigSection, assumed: String? = nil, own: String? = nil, isTied: Bool? = nil) throws(CheckpointError) {
        guard let type = try config.string("model_type") ?? assumed ?? own else { throw config.error("model_type", "is missing") }
        guard let kind = DecoderKind.byModelType[type] ?? own.flatMap({ DecoderKind.byModelType[$0] }) else {
            let known = DecoderKind.byModelType.keys.sorted().joined(separator: ", ")
            let near = Relatives.nearest(to: type, among: Array(DecoderKind.byModelType.keys)).joined(separator: ", ")
            let relatives = near.isEmpty ? "" : ". Of the same line: \(near)"
            throw config.error("model_type", "is \"\(type)\", an unknown decoder; the known ones are: \(known)\(relatives)", .unsupported)
        }
        try self.init(config, kind, isTied: isTied)
    }

    init(_ config: ConfigSection, _ kind: DecoderKind, isTied: Bool?) throws(CheckpointError) {
        width = try config.size("hidden_size", or: kind.defaults.width, in: 1...1 << 17)
        inner = try config.size("intermediate_size", or: kind.defaults.inner, in: 1...1 << 20) / (kind.countsGate ? 2 : 1)
        let count = try config.size("num_hidden_layers", or: kind.defaults.layers, in: 1...1024)
        vocabulary = try config.size("vocab_size", or: kind.defaults.vocabulary)
        if config.has(kind.epsKey) {
            eps = try config.double(kind.epsKey) == 0 ? 0 : config.positive(kind.epsKey)
        } else {
            eps = kind.defaults.eps
        }
        maxPositions = try config.size("max_position_embeddings", or: kind.defaults.maxPositions, in: 1...1 << 30)
        let activationKey = config.has(kind.activationKey) ? kind.activationKey : "hidden_act"
        activation = config.has(activationKey) ? try ActivationFunction(config, activationKey) : kind.activation
        attention = try Self.heads(config, kind, width: width)
        let tied = try config.bool("tie_word_embeddings")
        self.isTied = isTied ?? tied ?? kind.defaults.isTied
        scoreDivisor = Double(attention.headDim).squareRoot()
        layers = try Self.layers(config, kind, count, maxPositions: maxPositions)
        rotaries = try Self.rotaries(config, kind, headDim: attention.headDim, maxPositions: maxPositions)
        try readChoices(config, kind)
        try readStates(config, kind)
    }

    private mutating func readChoices(_ config: ConfigSection, _ kind: DecoderKind) throws(CheckpointError) {
        projections = kind.projections
        hasFusedGate = kind.hasFusedGate
        outputBias = try kind.biasKey.map { key throws(CheckpointError) in try config.bool(key) ?? false } ?? false
        queryBias = kind.hasQueryBias || outputBias
        feedForwardBias = try kind.feedForwardBiasKey.map { key throws(CheckpointError) in try config.bool(key) ?? false } ?? false
        normsAddOne = kind.isGemma || kind.normsAddOne
        embeddingScale = kind.isGemma ? Double(width).squareRoot() : nil
        normalizesResults = kind.normalizesResults
        normalizesHeads = kind.normalizesHeads
        if kind.turnsNeighbours {
            for index in rotaries.indices { rotaries[index].parts = rotaries[index].inverse.count }
        }
        if let scalar = kind.queryScalar {
            scoreDivisor = (config.has("query_pre_attn_scalar") ? try config.positive("query_pre_attn_scalar") : scalar).squareRoot()
        }
        if kind.isGemma {
            scoreCap = config.has("attn_logit_softcapping") ? try Self.cap(config, "attn_logit_softcapping") : kind.scoreCap
            logitCap = config.has("final_logit_softcapping") ? try Self.cap(config, "final_logit_softcapping") : kind.logitCap
        }
        if kind.isDynamicNTK {
            guard try config.bool("no_bias") ?? true else { throw config.error("no_bias", "is false, which is not supported", .unsupported) }
            if try config.bool("use_logn_attn") ?? true { logarithmBase = try config.size("seq_length", or: 2048, in: 2...1 << 20) }
        }
    }

    private static func cap(_ config: ConfigSection, _ key: String) throws(CheckpointError) -> Double? {
        try config.double(key) == nil ? nil : config.positive(key)
    }

    private static func heads(_ config: ConfigSection, _ kind: DecoderKind, width: Int) throws(CheckpointError) -> AttentionShape {
        let heads = try config.size("num_attention_heads", or: kind.defaults.heads, in: 1...1 << 12)
        let kvHeads: Int
        if try config.int("num_key_value_heads") == nil {
            kvHeads = config.has("num_key_value_heads") ? heads : kind.defaults.kvHeads ?? heads
        } else {
            kvHeads = try config.size("num_key_value_heads", in: 1...1 << 12)
        }
        guard heads % kvHeads == 0 else {
            throw config.error("num_key_value_heads", "is \(kvHeads), which does not divide num_attention_heads \(heads)")
        }
        let key = kind.isDynamicNTK ? "kv_channels" : "head_dim"
        let given = try config.int(key) == nil ? nil : config.size(key, in: 2...1 << 12)
        let explicit = given ?? (config.has(key) || kind.impliesHeadDim ? nil : kind.defaults.headDim)
        if let explicit, !kind.impliesHeadDim {
            guard explicit % 2 == 0 else { throw config.error(key, "is \(explicit); a head must be of even length") }
            return AttentionShape(heads: heads, kvHeads: kvHeads, headDim: explicit)
        }
        guard width % heads == 0, width / heads % 2 == 0 else {
            throw config.error("num_attention_heads", "is \(heads), which does not divide hidden_size \(width) into heads of even length")
        }
        if let given, given != width / heads {
            throw config.error(
                key, "is \(given), but hidden_size / num_attention_heads is \(width / heads); other heads are not supported", .unsupported)
        }
        return AttentionShape(heads: heads, kvHeads: kvHeads, headDim: width / heads)
    }

    /// The layers, of which some see a window; one that hides nothing in the longest context is none.
    private static func layers(
        _ config: ConfigSection, _ kind: DecoderKind, _ count: Int, maxPositions: Int
    ) throws(CheckpointError) -> [DecoderLayer] {
        if kind.mixer != .attention { return try mixedLayers(config, kind.mixer, count) }
        let all = Array(repeating: DecoderLayer(), count: count)
        var isUsed = true
        switch kind.windows {
        case .none: return all
        case .upperLayers: isUsed = try config.bool("use_sliding_window") ?? false
        case .everyLayer, .allButEach: break
        }
        let given = config.has("sliding_window") ? try config.int("sliding_window") : kind.defaults.window
        if let given, given < 1 { throw config.error("sliding_window", "is \(given), expected a number above zero") }
        let windowed = isUsed
            ? given.map { DecoderLayer(rotary: kind.hasLocalRotary ? 1 : 0, window: $0 < maxPositions || kind.keepsWindows ? $0 : nil) } : nil
        if let types = try config.strings("layer_types") { return try layers(config, types, windowed, count) }
        guard let windowed else { return all }
        switch kind.windows {
        case .none: return all
        case .everyLayer: return all.map { _ in windowed }
        case .upperLayers:
            let first = try config.int("max_window_layers") ?? 0
            return all.indices.map { $0 >= first ? windowed : DecoderLayer() }
        case .allButEach(let standard):
            let each = try config.int("sliding_window_pattern", "_sliding_window_pattern") ?? standard
            guard each >= 1 else { throw config.error("sliding_window_pattern", "is \(each), expected a number above zero") }
            return all.indices.map { ($0 + 1) % each == 0 ? DecoderLayer() : windowed }
        }
    }

    private static func layers(
        _ config: ConfigSection, _ types: [String], _ windowed: DecoderLayer?, _ count: Int
    ) throws(CheckpointError) -> [DecoderLayer] {
        guard types.count == count else {
            throw config.error("layer_types", "has \(types.count) entries, but num_hidden_layers is \(count)")
        }
        var result: [DecoderLayer] = []
        for type in types {
            switch type {
            case "full_attention": result.append(DecoderLayer())
            case "sliding_attention":
                guard let windowed else {
                    throw config.error("layer_types", "holds sliding_attention, but there is no sliding_window or use_sliding_window is false")
                }
                result.append(windowed)
            default:
                throw config.error("layer_types", "holds \"\(type)\"; the known types are: full_attention, sliding_attention", .unsupported)
            }
        }
        return result
    }

    private static func rotaries(
        _ config: ConfigSection, _ kind: DecoderKind, headDim: Int, maxPositions: Int
    ) throws(CheckpointError) -> [RotaryFrequencies] {
        func frequencies(_ rope: RopeSettings) throws(CheckpointError) -> RotaryFrequencies {
            try RotaryFrequencies(rope, kind.axes, headDim: headDim, maxPositions: maxPositions)
        }
        if kind.isDynamicNTK { return [try RotaryFrequencies(dynamicNTK: config, headDim: headDim, maxPositions: maxPositions)] }
        guard kind.hasLocalRotary else {
            return [try frequencies(RopeSettings(config, theta: kind.defaults.theta, partialFactor: kind.partialRotary))]
        }
        if let each = try config.section("rope_parameters"), let full = try each.section("full_attention") {
            let local = try each.required("sliding_attention")
            return [
                try frequencies(RopeSettings(full, of: config, theta: kind.defaults.theta)),
                try frequencies(RopeSettings(local, of: config, theta: 10_000)),
            ]
        }
        let base = config.has("rope_local_base_freq") ? try config.positive("rope_local_base_freq") : 10_000
        let local = RotaryFrequencies(inverse: RotaryFrequencies.geometric(theta: base, dimension: headDim))
        return [try frequencies(RopeSettings(config, theta: kind.defaults.theta)), local]
    }
}

extension ConfigSection {
    /// As `size`, with a default for a key that is absent.
    func size(_ key: String, or standard: Int?, in range: ClosedRange<Int> = 1...1 << 24) throws(CheckpointError) -> Int {
        if let standard, !has(key) { return standard }
        return try size(key, in: range)
    }
}
