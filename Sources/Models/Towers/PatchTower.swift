import HuggingFace
package import IR
package import Tensors

/// A vision tower: patches of images through a stack of pre-norm transformer blocks, with every choice in which the known ones
/// differ.
///
/// Tensors have the names of `SiglipVisionModel`, with those of CLIP for what only that has; a `NameRewrite` brings others to them.
package struct PatchTower: Sendable {
    package var width: Int
    var inner: Int
    /// How many blocks are run; a checkpoint may have more.
    package var depth: Int
    var attention: AttentionShape
    var activation: ActivationFunction
    var norm: TowerNorm
    package var patchSize: Int
    /// Frames that one row of the kernel spans; nil where the kernel has no such axis.
    var frames: Int?
    var hasPatchBias = true
    /// Whether pixels come as bytes, normalized here, or as floats that are normalized already.
    var takesBytes = true
    /// Whether each tile starts with a class token, or whether padding stands for some rows.
    var firstRows = FirstRows.none
    /// Rows of the learned position table; nil where there is none.
    var positions: Int?
    /// How many rows of the table are blended for one patch; nil for one that is taken as it is.
    var blendedRows: Int?
    /// Whether the whole table is resized to a tile's grid, each row weighted.
    var resizesTable = false
    /// Whether the kernel is stored as a linear layer's rows, with the channels last.
    var hasChannelsLast = false
    var rotary: RotaryFrequencies?
    var projections = TowerProjections.separate
    var hasQueryBias = true
    var hasOutputBias = true
    var hasFeedForwardBias = true
    /// Whether the feed-forward layers have a gate.
    var isGated = false
    /// Whether queries and keys are normalized over the whole width.
    var normalizesQueries = false
    /// Whether queries and keys are normalized, head by head.
    var normalizesHeads = false
    /// Whether what attention and feed-forward give is scaled element by element before it is added.
    var scalesResults = false
    var hasFirstNorm = false
    var hasLastNorm = false
    /// The blocks in which a patch sees its whole tile, and not only its window; nil for all.
    var fullBlocks: [Int]?

    enum FirstRows {
        case none
        /// `class_embedding`
        case classToken
        /// The patch of zeros, which the kernel turns into its bias.
        case padding
    }
}

/// How a tower normalizes rows.
struct TowerNorm {
    var isRootMeanSquare = false
    var eps: Double
}

/// Where queries, keys and values of a block come from.
enum TowerProjections {
    case separate
    /// One layer, its rows those of all queries, then all keys, then all values.
    case rows
    /// One layer, its rows grouped by head: its query, key and value.
    case heads
}

extension ModelTracer {
    /// The rows after the last block that is run, f32 `[P, W]`, and the table's blend for others to use; `observe` sees the rows
    /// after each block.
    ///
    /// Makes the inputs `pixels`, `class_rows`, `table_rows`, `table_weights`, `patch_positions`, `visible` and `visible_windows`
    /// as far as the tower needs them.
    package func encode(
        _ tower: PatchTower, _ pixelScale: PixelScale, rows: Dim, observe: (Int, Value) -> Void = { _, _ in }
    ) -> (rows: Value, blend: RowBlend?) {
        var (x, blend) = patchEmbedding(tower, pixelScale, rows: rows)
        var tables: RotaryTables?
        if let rotary = tower.rotary {
            let positions = b.input("patch_positions", TensorType(.i32, [2, rows]))
            tables = scope("rotary_pos_emb") { rotaryTables(positions, rotary, tokens: rows) }
        }
        if tower.hasFirstNorm { x = norm("pre_layrnorm", x, tower) }
        let tiles = segmentInput(.tiles, queries: rows, keys: rows)
        let windows = tower.fullBlocks == nil ? tiles : segmentInput(.windows, queries: rows, keys: rows)
        for index in 0..<tower.depth {
            let visible = tower.fullBlocks?.contains(index) ?? true ? tiles : windows
            x = scope("encoder.layers.\(index)") { block(x, tower, tables, visible: visible, rows: rows) }
            observe(index, x)
        }
        return (tower.hasLastNorm ? norm("post_layernorm", x, tower) : x, blend)
    }

    /// Rows that enter the first block, and the table's blend for others to use.
    func patchEmbedding(_ tower: PatchTower, _ pixelScale: PixelScale, rows: Dim) -> (Value, RowBlend?) {
        scope("embeddings") {
            let element: DType = tower.takesBytes ? .u8 : .f32
            let bytes = Dim.fixed(3 * pixelScale.storedFrames * tower.patchSize * tower.patchSize)
            let pixels = b.input("pixels", TensorType(element, [rows, bytes]))
            let patches = tower.takesBytes
                ? normalizedPatches(pixels, pixelScale, patchSize: tower.patchSize, frames: tower.frames ?? 1, patches: rows) : pixels
            var x = patchProjection(
                "patch_embedding", patches, patchSize: tower.patchSize, frames: tower.frames, width: tower.width, bias: tower.hasPatchBias,
                hasChannelsLast: tower.hasChannelsLast)
            if tower.firstRows != .none {
                let row = Shape([1, .fixed(tower.width)])
                let first = tower.firstRows == .classToken
                    ? b.reshape(padded("class_embedding", [.fixed(tower.width)]), row)
                    : b.reshape(scope("patch_embedding") { parameter("bias", [.fixed(tower.width)]) }, row)
                x = b.selectRows(x, first, b.input("class_rows", TensorType(.i32, [rows])))
            }
            guard let positions = tower.positions else { return (x, nil) }
            let table = scope("position_embedding") { padded("weight", [.fixed(positions), .fixed(tower.width)]) }
            if tower.resizesTable {
                return (b.add(x, b.matmul(b.input("table_weights", TensorType(.f32, [rows, .fixed(positions)])), table)), nil)
            }
            guard let count = tower.blendedRows else {
                return (b.add(x, b.gather(table, b.input("table_rows", TensorType(.i32, [rows])))), nil)
            }
            let blend = rowBlend("table", count: count, rows: rows)
            return (b.add(x, blended(table, blend, width: tower.width)), blend)
        }
    }

    private func norm(_ name: String, _ x: Value, _ tower: PatchTower) -> Value { norm(name, x, tower.norm, width: tower.width) }

    func norm(_ name: String, _ x: Value, _ norm: TowerNorm, width: Int) -> Value {
        norm.isRootMeanSquare ? rmsNorm(name, x, width: width, eps: norm.eps) : layerNorm(name, x, width: width, eps: norm.eps)
    }

    func block(_ x: Value, _ tower: PatchTower, _ tables: RotaryTables?, visible: Value, rows: Dim) -> Value {
        let (width, inner, bias) = (tower.width, tower.inner, tower.hasFeedForwardBias)
        func scaled(_ x: Value, _ leaf: String) -> Value { tower.scalesResults ? b.mul(x, parameter(leaf, [.fixed(width)])) : x }
        let normed = norm("layer_norm1", x, tower)
        let mixed = scope("self_attn") { attention(normed, tower, tables, visible: visible, rows: rows) }
        let y = b.add(x, scaled(mixed, "ls1"))
        let second = norm("layer_norm2", y, tower)
        let fed = scope("mlp") {
            tower.isGated
                ? gatedMLP(second, width: width, inner: inner, tower.activation, bias: bias)
                : mlp(second, "fc1", "fc2", from: width, inner: inner, to: width, tower.activation, bias: bias)
        }
        return b.add(y, scaled(fed, "ls2"))
    }

    /// The attention of a block, by the layers of the current module.
    func attention(_ x: Value, _ tower: PatchTower, _ tables: RotaryTables?, visible: Value, rows: Dim) -> Value {
        let shape = tower.attention
        let heads: Shape = [rows, .fixed(shape.heads), .fixed(shape.headDim)]
        var parts = projections(x, tower, rows: rows)
        if tower.normalizesQueries {
            parts[0] = rmsNorm("q_norm", parts[0], width: shape.queryWidth, eps: tower.norm.eps)
            parts[1] = rmsNorm("k_norm", parts[1], width: shape.queryWidth, eps: tower.norm.eps)
        }
        var (q, k, v) = (b.reshape(parts[0], heads), b.reshape(parts[1], heads), b.reshape(parts[2], heads))
        if tower.normalizesHeads {
            q = norm("q_norm", q, tower.norm, width: shape.headDim)
            k = norm("k_norm", k, tower.norm, width: shape.headDim)
        }
        if let tables { (q, k) = (rotate(q, tables, headDim: shape.headDim), rotate(k, tables, headDim: shape.headDim)) }
        v = attention(q, k, v, visible: visible, shape, tokens: rows)
        return linear("out_proj", v, from: shape.queryWidth, to: tower.width, bias: tower.hasOutputBias)
    }

    /// Queries, keys and values, each `[P, H · D]` or `[P, H, 1, D]`.
    private func projections(_ x: Value, _ tower: PatchTower, rows: Dim) -> [Value] {
        let (shape, width) = (tower.attention, tower.attention.queryWidth)
        switch tower.projections {
        case .separate:
            return ["q_proj", "k_proj", "v_proj"].map { linear($0, x, from: tower.width, to: width, bias: tower.hasQueryBias) }
        case .rows:
            let all = linear("qkv", x, from: tower.width, to: 3 * width, bias: tower.hasQueryBias)
            return (0..<3).map { b.slice(all, axis: 1, $0 * width..<($0 + 1) * width) }
        case .heads:
            let all = linear("qkv", x, from: tower.width, to: 3 * width, bias: tower.hasQueryBias)
            let grouped = b.reshape(all, [rows, .fixed(shape.heads), 3, .fixed(shape.headDim)])
            return (0..<3).map { b.slice(grouped, axis: 2, $0..<$0 + 1) }
        }
    }
}
