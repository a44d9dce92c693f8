package import HuggingFace
import IR
import JSON
import Plan

extension Gemma4 {
    package init(_ directory: ModelDirectory) throws(CheckpointError) {
        let config = try directory.config()
        let top = try config.originalSection()
        let section = try top.section("text_config") ?? top
        text = try .gemma4(section, top)
        quantization = try config.quantization()
        common = try directory.inputs(vocabulary: text.vocabulary, positions: .sequential(start: 0), config)
        guard let vision = try top.section("vision_config") else {
            sight = nil
            return
        }
        let tower = try Tower(vision)
        let token = try top.imageToken(vocabulary: text.vocabulary, or: 258_880)
        sight = Sight(
            tower: tower, image: try Self.images(directory.imageProcessor(), tower, token: token),
            borders: (
                try top.token("boi_token_id", vocabulary: text.vocabulary, or: 255_999),
                try top.token("eoi_token_id", vocabulary: text.vocabulary, or: 258_882)
            ))
    }

    /// `Gemma4ImageProcessor`
    private static func images(_ section: ConfigSection, _ tower: Tower, token: Int32) throws(CheckpointError) -> ImageSpec {
        let none = PixelSpec.Normalization(mean: [0, 0, 0], deviation: [1, 1, 1])
        let isNormalized = try section.bool("do_normalize") ?? false
        let file = try ProcessorFile(section, types: ["Gemma4ImageProcessor"], defaults: none)
        for (key, standard, known) in [("patch_size", 16, tower.patchSize), ("pooling_kernel_size", 3, tower.poolSize)] {
            let given = try section.given(key, in: 1...1024) ?? standard
            guard given == known else { throw section.error(key, "is \(given), but the model's is \(known)", .inconsistent) }
        }
        let tokens = try section.given("max_soft_tokens", in: 1...1 << 16) ?? 280
        let known = [70, 140, 280, 560, 1120]
        guard known.contains(tokens) else { throw section.error("max_soft_tokens", "is \(tokens); the known numbers are \(known)") }
        guard tokens * tower.poolSize <= tower.places else {
            throw section.error("max_soft_tokens", "is \(tokens), too many for the \(tower.places) places of the tower", .inconsistent)
        }
        let multiple = tower.patchSize * tower.poolSize
        return ImageSpec(
            views: [file.view(.fill(maxPixels: tokens * multiple * multiple, multiple: multiple))],
            pixels: PixelSpec(
                patchSize: tower.patchSize, order: .cells(side: tower.poolSize, columnsFirst: false), rescaleFactor: file.rescaleFactor,
                normalization: isNormalized ? file.normalization : nil, form: .filledPatches),
            tensors: [VisionTensor("pixels", .pixels), VisionTensor("patch_positions", .patchPositions)],
            segments: [VisionSegments("tiles", .tiles)], features: .cells(side: tower.poolSize),
            prompt: ImagePrompt(marker: "", token: token, tokenText: ""))
    }
}

extension Gemma4.Tower {
    init(_ config: ConfigSection) throws(CheckpointError) {
        width = try config.size("hidden_size", or: 768, in: 1...1 << 16)
        inner = try config.size("intermediate_size", or: 3072, in: 1...1 << 20)
        depth = try config.size("num_hidden_layers", or: 16, in: 1...1024)
        let heads = try config.size("num_attention_heads", or: 12, in: 1...1 << 12)
        let kvHeads = try config.size("num_key_value_heads", or: 12, in: 1...1 << 12)
        let headDim = try config.size("head_dim", or: 64, in: 4...1 << 12)
        guard heads % kvHeads == 0 else {
            throw config.error("num_key_value_heads", "is \(kvHeads), which does not divide num_attention_heads \(heads)")
        }
        guard headDim % 4 == 0 else { throw config.error("head_dim", "is \(headDim), not a multiple of 4") }
        attention = AttentionShape(heads: heads, kvHeads: kvHeads, headDim: headDim)
        activation = config.has("hidden_activation") ? try ActivationFunction(config, "hidden_activation") : .geluTanh
        eps = config.has("rms_norm_eps") ? try config.positive("rms_norm_eps") : 1e-6
        let rope = try config.section("rope_parameters")
        if let type = try rope?.string("rope_type"), type != "axial", type != "default" {
            throw config.error("rope_parameters", "are of the type \"\(type)\"; the known one is: axial", .unsupported)
        }
        let theta = try rope?.double("rope_theta") == nil ? 100 : rope?.positive("rope_theta") ?? 100
        rotary = RotaryFrequencies(rowsAndColumns: theta, headDim: headDim)
        // Columns come first.
        rotary.axes = rotary.axes.map { 1 - $0 }
        rotary.parts = 2
        patchSize = try config.size("patch_size", or: 16, in: 1...256)
        poolSize = try config.size("pooling_kernel_size", or: 3, in: 1...64)
        places = try config.size("position_embedding_size", or: 10_240, in: 1...1 << 20)
        isClipped = try config.bool("use_clipped_linears") ?? false
        isStandardized = try config.bool("standardize") ?? false
    }
}

extension DecoderConfiguration {
    /// `Gemma4TextConfig`
    static func gemma4(_ config: ConfigSection, _ top: ConfigSection) throws(CheckpointError) -> DecoderConfiguration {
        if try config.bool("enable_moe_block") ?? false {
            throw config.error("enable_moe_block", "is true: mixtures of experts are not supported", .unsupported)
        }
        var text = try DecoderConfiguration(config, assumed: "gemma4_text", isTied: top.bool("tie_word_embeddings") ?? true)
        text.embeddingScale = Double(text.width).squareRoot()
        text.scoreDivisor = 1
        text.normalizesValues = true
        text.scalesLayers = true
        let cap = "final_logit_softcapping"
        text.logitCap = try config.double(cap) == nil ? nil : config.positive(cap)
        switch try config.string("use_bidirectional_attention") {
        case nil: break
        case "vision"?: text.spans = .withinLocal
        case let other?:
            throw config.error("use_bidirectional_attention", "is \"\(other)\"; the known one is: vision", .unsupported)
        }
        try text.readGlobalLayers(config)
        try text.readRotaries(config)
        try text.readSharing(config)
        try text.readEmbeddings(config, top)
        return text
    }

    /// Heads of the layers that see everything; the last is always one.
    private mutating func readGlobalLayers(_ config: ConfigSection) throws(CheckpointError) {
        layers[layers.count - 1].rotary = 0
        layers[layers.count - 1].window = nil
        let sharesKeys = try config.bool("attention_k_eq_v") ?? false
        let global = layers.indices.filter { layers[$0].rotary == 0 }
        for index in global { layers[index].valuesAreKeys = sharesKeys }
        guard let each = try config.section("per_layer_config") else {
            var heads = attention
            heads.headDim = try config.size("global_head_dim", or: 512, in: 2...1 << 12)
            let key = "num_global_key_value_heads"
            if sharesKeys, try config.int(key) != nil { heads.kvHeads = try config.size(key, in: 1...1 << 12) }
            for index in global { layers[index].attention = try checked(heads, config, key) }
            return
        }
        for key in each.members.keys {
            guard let index = Int(key), layers.indices.contains(index), let given = try each.section(key) else {
                throw each.error(key, "names no layer")
            }
            if let other = given.members.keys.first(where: { $0 != "head_dim" && $0 != "num_key_value_heads" }) {
                throw given.error(other, "of one layer is not supported", .unsupported)
            }
            let heads = AttentionShape(
                heads: attention.heads, kvHeads: try given.size("num_key_value_heads", or: attention.kvHeads, in: 1...1 << 12),
                headDim: try given.size("head_dim", or: attention.headDim, in: 2...1 << 12))
            layers[index].attention = try checked(heads, given, "num_key_value_heads")
        }
    }

    private func checked(_ heads: AttentionShape, _ config: ConfigSection, _ key: String) throws(CheckpointError) -> AttentionShape {
        guard heads.heads % heads.kvHeads == 0, heads.headDim % 2 == 0 else {
            throw config.error(key, "makes \(heads.heads) heads of \(heads.headDim) over \(heads.kvHeads) for keys, which cannot be")
        }
        return heads
    }

    private mutating func readRotaries(_ config: ConfigSection) throws(CheckpointError) {
        let each = try config.section("rope_parameters")
        func frequencies(_ type: String, _ theta: Double, rotary: Int) throws(CheckpointError) -> RotaryFrequencies {
            let widths = Set(layers.filter { $0.rotary == rotary }.map { heads(of: $0).headDim })
            guard widths.count <= 1 else {
                throw config.error("per_layer_config", "has \(type) layers with heads of several lengths", .unsupported)
            }
            let headDim = widths.first ?? attention.headDim
            let rope = try each?.section(type)
            guard each == nil || rope != nil || widths.isEmpty else {
                throw config.error("rope_parameters", "say nothing of \(type) layers")
            }
            guard let rope else {
                return rotary == 1
                    ? RotaryFrequencies(inverse: RotaryFrequencies.geometric(theta: theta, dimension: headDim))
                    : RotaryFrequencies(proportional: theta, part: 0.25, factor: 1, headDim: headDim)
            }
            return try RotaryFrequencies(
                RopeSettings(rope, of: config, theta: theta), .one, headDim: headDim, maxPositions: maxPositions)
        }
        rotaries = [try frequencies("full_attention", 1_000_000, rotary: 0), try frequencies("sliding_attention", 10_000, rotary: 1)]
    }

    /// The last layers take keys and values of the last layer of their kind before them.
    private mutating func readSharing(_ config: ConfigSection) throws(CheckpointError) {
        let key = "num_kv_shared_layers"
        let count = try config.int(key) == nil ? 0 : config.size(key, in: 0...layers.count - 1)
        let isWide = try config.bool("use_double_wide_mlp") ?? false
        let first = layers.count - count
        for index in first..<layers.count {
            guard let source = layers[..<first].lastIndex(where: { $0.rotary == layers[index].rotary }) else {
                throw config.error(key, "is \(count), but no layer before them is of the kind of layer \(index)")
            }
            guard heads(of: layers[source]) == heads(of: layers[index]) else {
                throw config.error(key, "is \(count), but layer \(index) has other heads than layer \(source)")
            }
            layers[index].source = source
            if isWide { layers[index].inner = 2 * inner }
        }
    }

    /// Rows that each layer is given of its own, and the tokens that are embedded as the pad.
    private mutating func readEmbeddings(_ config: ConfigSection, _ top: ConfigSection) throws(CheckpointError) {
        let pad = try config.int("pad_token_id") == nil ? 0 : config.size("pad_token_id", in: 0...vocabulary - 1)
        if try top.section("text_config") != nil {
            var ids = [try top.imageToken(vocabulary: vocabulary, or: 258_880)]
            for (key, standard) in [("video_token_id", 258_884), ("audio_token_id", 258_881)] {
                let id = try top.isNull(key) ? nil : top.int(key) ?? standard
                if let id, (0..<vocabulary).contains(id) { ids.append(Int32(id)) }
            }
            padded = PaddedTokens(ids: ids, pad: Int32(pad))
        }
        let key = "hidden_size_per_layer_input"
        let width = try config.int(key) ?? (config.isNull(key) ? 0 : 256)
        guard width != 0 else { return }
        let rows = try config.size("vocab_size_per_layer_input", or: 262_144)
        guard rows >= vocabulary else {
            throw config.error("vocab_size_per_layer_input", "is \(rows), less than vocab_size \(vocabulary)", .unsupported)
        }
        layerInputs = LayerInputs(width: try config.size(key, in: 1...1 << 14), vocabulary: rows)
    }

    /// Tensors of layers that take keys and values of others; some checkpoints have them.
    var unusedCaches: [NamePattern] {
        layers.indices.filter { layers[$0].source != nil }.flatMap { index in
            ["k_proj.", "v_proj.", "k_norm.", "v_norm."].map { .prefix("model.layers.\(index).self_attn.\($0)") }
        }
    }
}
