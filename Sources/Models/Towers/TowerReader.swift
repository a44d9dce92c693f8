package import HuggingFace
import IR
package import Tensors

/// Class defaults of a vision tower's configuration.
package struct TowerDefaults {
    var width = 768
    var inner = 3072
    var blocks = 12
    var heads = 12
    var activation: Activation
    var eps: Double
    var imageSize = 224
    var patchSize = 16
}

extension PatchTower {
    /// `CLIPVisionConfig`
    package static func clip(_ config: ConfigSection, _ defaults: TowerDefaults? = nil) throws(CheckpointError) -> PatchTower {
        var tower = try PatchTower(config, defaults ?? TowerDefaults(activation: .quickGelu, eps: 1e-5, patchSize: 32))
        tower.hasPatchBias = false
        tower.firstRows = .classToken
        tower.positions = tower.positions.map { $0 + 1 }
        tower.hasFirstNorm = true
        return tower
    }

    /// `SiglipVisionConfig`
    static func siglip(_ config: ConfigSection) throws(CheckpointError) -> PatchTower {
        try PatchTower(config, TowerDefaults(activation: .geluTanh, eps: 1e-6))
    }

    /// `Idefics3VisionConfig` and `SmolVLMVisionConfig`, a SigLIP
    static func idefics3(_ config: ConfigSection) throws(CheckpointError) -> PatchTower {
        try PatchTower(config, TowerDefaults(width: 1152, heads: 16, activation: .geluTanh, eps: 1e-6, patchSize: 32))
    }

    /// `InternVLVisionConfig`, and with `isRemote` that of the checkpoints before it
    static func intern(_ config: ConfigSection, isRemote: Bool) throws(CheckpointError) -> PatchTower {
        let defaults = TowerDefaults(
            width: isRemote ? 3200 : 1024, inner: isRemote ? 12_800 : 4096, blocks: isRemote ? 48 : 24, heads: isRemote ? 25 : 16,
            activation: .gelu, eps: 1e-6, imageSize: isRemote ? 224 : 448, patchSize: 14)
        var tower = try PatchTower(config, defaults)
        let norm = try config.string("norm_type") ?? (isRemote ? "rms_norm" : "layer_norm")
        guard ["rms_norm", "layer_norm"].contains(norm) else {
            throw config.error("norm_type", "is \"\(norm)\"; the known ones are: layer_norm, rms_norm", .unsupported)
        }
        if !isRemote, try config.bool("use_mean_pooling") == false {
            throw config.error("use_mean_pooling", "is false, which is not supported", .unsupported)
        }
        if try config.bool("use_absolute_position_embeddings") == false {
            throw config.error("use_absolute_position_embeddings", "is false, which is not supported", .unsupported)
        }
        tower.norm.isRootMeanSquare = norm == "rms_norm"
        tower.normalizesQueries = try config.bool(isRemote ? "qk_normalization" : "use_qk_norm") ?? isRemote
        tower.hasQueryBias = try config.bool(isRemote ? "qkv_bias" : "attention_bias") ?? false
        tower.projections = isRemote ? .rows : .separate
        tower.scalesResults = true
        tower.firstRows = .classToken
        tower.positions = tower.positions.map { $0 + 1 }
        return tower
    }

    /// `PixtralVisionConfig`
    static func pixtral(_ config: ConfigSection) throws(CheckpointError) -> PatchTower {
        var tower = try PatchTower(
            config, TowerDefaults(width: 1024, inner: 4096, blocks: 24, heads: 16, activation: .gelu, eps: 1e-5, imageSize: 1024))
        tower.norm = TowerNorm(isRootMeanSquare: true, eps: 1e-5)
        tower.positions = nil
        tower.hasPatchBias = false
        tower.hasQueryBias = false
        tower.hasOutputBias = false
        tower.hasFeedForwardBias = false
        tower.isGated = true
        tower.hasFirstNorm = true
        if try config.int("head_dim") != nil { tower.attention.headDim = try config.size("head_dim", in: 4...1 << 12) }
        guard tower.attention.headDim % 4 == 0 else { throw config.error("head_dim", "is \(tower.attention.headDim), not a multiple of 4") }
        tower.rotary = try RotaryFrequencies(alternating: Self.theta(config), headDim: tower.attention.headDim)
        return tower
    }

    /// `PaddleOCRVisionConfig`
    static func paddle(_ config: ConfigSection) throws(CheckpointError) -> PatchTower {
        var tower = try PatchTower(
            config,
            TowerDefaults(
                width: 1152, inner: 4304, blocks: 27, heads: 16, activation: .geluTanh, eps: 1e-6, imageSize: 384, patchSize: 14))
        guard tower.attention.headDim % 4 == 0 else {
            throw config.error("num_attention_heads", "makes heads of \(tower.attention.headDim), not a multiple of 4")
        }
        tower.blendedRows = 4
        tower.rotary = try RotaryFrequencies(rowsAndColumns: Self.theta(config), headDim: tower.attention.headDim)
        tower.hasLastNorm = true
        return tower
    }

    /// The base of a tower's rotary embedding.
    static func theta(_ config: ConfigSection) throws(CheckpointError) -> Double {
        for holder in [try config.section("rope_parameters"), config] {
            if let holder, try holder.double("rope_theta") != nil { return try holder.positive("rope_theta") }
        }
        return 10_000
    }

    /// A SigLIP of the extents that the section gives.
    init(_ config: ConfigSection, _ defaults: TowerDefaults) throws(CheckpointError) {
        width = try config.size("hidden_size", or: defaults.width, in: 1...1 << 16)
        inner = try config.size("intermediate_size", or: defaults.inner, in: 1...1 << 20)
        depth = try config.size("num_hidden_layers", or: defaults.blocks, in: 1...1024)
        activation = config.has("hidden_act") ? try ActivationFunction(config, "hidden_act") : defaults.activation
        norm = TowerNorm(eps: config.has("layer_norm_eps") ? try config.positive("layer_norm_eps") : defaults.eps)
        let heads = try config.size("num_attention_heads", or: defaults.heads, in: 1...1 << 12)
        guard width % heads == 0 else {
            throw config.error("num_attention_heads", "is \(heads), which does not divide hidden_size \(width)")
        }
        attention = AttentionShape(heads: heads, kvHeads: heads, headDim: width / heads)
        let channels = try config.int("num_channels") ?? 3
        guard channels == 3 else { throw config.error("num_channels", "is \(channels); only 3 is supported", .unsupported) }
        patchSize = try Self.side(config, "patch_size", or: defaults.patchSize, in: 1...256)
        let imageSize = try Self.side(config, "image_size", or: defaults.imageSize, in: patchSize...1 << 14)
        let grid = imageSize / patchSize
        positions = grid * grid
    }

    /// A number, or a list of equal ones.
    private static func side(
        _ config: ConfigSection, _ key: String, or standard: Int, in range: ClosedRange<Int>
    ) throws(CheckpointError) -> Int {
        let sides = try config.ints(key) ?? [standard]
        guard let side = sides.first, sides.allSatisfy({ $0 == side }), range.contains(side) else {
            throw config.error(key, "is \(sides), expected one number of \(range.lowerBound) to \(range.upperBound)")
        }
        return side
    }

    /// Rows of one tile that are patches; a tile has one more where there is a class token.
    package var tilePatches: Int { (positions ?? 0) - (firstRows == .classToken ? 1 : 0) }

    /// Rows of one tile.
    package var tileRows: Dim { Dim(positions ?? 0, times: "N") }

    /// How many blocks must run for `hidden_states[layer]`, where 0 is what enters the first and negative ones count from the end.
    func blocks(for layer: Int, _ config: ConfigSection, _ key: String) throws(CheckpointError) -> Int {
        let index = layer < 0 ? depth + 1 + layer : layer
        guard (0...depth).contains(index) else { throw config.error(key, "is \(layer), but the tower has \(depth) layers") }
        return index
    }

    /// The tensors of blocks from `count` on, which are not run.
    package static func unused(from count: Int, of blocks: Int) -> [NamePattern] {
        (min(count, blocks)..<blocks).map { .prefix("visual.encoder.layers.\($0).") }
    }
}

/// Class defaults of the towers of Qwen2.5-VL and Qwen3-VL.
struct QwenTowerDefaults {
    var width: Int
    var inner: Int
    var activation: Activation
    var depth: Int
    var patchSize: Int
}

extension PatchTower {
    /// `Qwen2_5_VLVisionConfig` and `Qwen3VLVisionConfig`: patches of any image size, places by rotation.
    init(qwen config: ConfigSection, _ defaults: QwenTowerDefaults) throws(CheckpointError) {
        let width = try config.size("hidden_size", or: defaults.width, in: 1...1 << 16)
        let heads = try config.size("num_heads", or: 16, in: 1...1 << 12)
        guard width % heads == 0, width / heads % 4 == 0 else {
            throw config.error("num_heads", "is \(heads), which does not divide hidden_size \(width) into heads of a multiple of 4")
        }
        let channels = try config.int("in_channels", "in_chans") ?? 3
        guard channels == 3 else { throw config.error("in_channels", "is \(channels); only 3 is supported", .unsupported) }
        self.init(
            width: width, inner: try config.size("intermediate_size", or: defaults.inner, in: 1...1 << 20),
            depth: try config.size("depth", or: defaults.depth, in: 1...1024),
            attention: AttentionShape(heads: heads, kvHeads: heads, headDim: width / heads),
            activation: config.has("hidden_act") ? try ActivationFunction(config, "hidden_act") : defaults.activation,
            norm: TowerNorm(eps: 1e-6), patchSize: try config.size("patch_size", or: defaults.patchSize, in: 1...256),
            frames: try config.size("temporal_patch_size", or: 2, in: 1...16),
            rotary: RotaryFrequencies(rowsAndColumns: try Self.theta(config), headDim: width / heads), projections: .rows)
    }
}
