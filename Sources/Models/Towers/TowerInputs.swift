package import IR
package import Plan
import Tensors

/// A mask of a vision entry, and its name among the inputs.
struct SegmentMask {
    var name: String
    var queries: String
    var keys: String

    /// Patches of one tile, or of one image where images are not tiled.
    static let tiles = SegmentMask(name: "visible", queries: "tiles", keys: "tiles")
    /// Patches of one window.
    static let windows = SegmentMask(name: "visible_windows", queries: "windows", keys: "windows")
    /// Rows that squares of patches of one tile have become.
    static let squares = SegmentMask(name: "visible_squares", queries: "squares", keys: "squares")
    /// Learned queries and the patches of the tile that they sum up.
    static let queries = SegmentMask(name: "visible_keys", queries: "queries", keys: "tiles")
    /// As `queries`, without the rows that fill tiles up.
    static let keptQueries = SegmentMask(name: "visible_keys", queries: "queries", keys: "kept")
}

/// How bytes become what a network takes: `(byte · factor − mean) / deviation`.
package struct PixelScale {
    var factor: Double?
    var mean: [Double]
    var deviation: [Double]
    /// Frames of a row of bytes.
    var storedFrames = 1

    init(factor: Double?, mean: [Double], deviation: [Double]) {
        self.factor = factor
        self.mean = mean
        self.deviation = deviation
    }

    package init(_ pixels: PixelSpec) {
        factor = pixels.rescaleFactor
        mean = pixels.normalization?.mean ?? [0, 0, 0]
        deviation = pixels.normalization?.deviation ?? [1, 1, 1]
        storedFrames = pixels.storedFrames
    }
}

/// Rows that are weighted sums of a table's rows.
package struct RowBlend {
    /// i32 `[R, k]`
    var index: Value
    /// f32 `[R, k]`
    var weights: Value
    var count: Int
    var rows: Dim
}

extension ModelTracer {
    /// The inputs `NAME_rows` and `NAME_weights`.
    func rowBlend(_ name: String, count: Int, rows: Dim) -> RowBlend {
        let shape: Shape = [rows, .fixed(count)]
        let index = b.input(name + "_rows", TensorType(.i32, shape))
        return RowBlend(index: index, weights: b.input(name + "_weights", TensorType(.f32, shape)), count: count, rows: rows)
    }

    /// `y[r] = Σ_j weights[r, j] · table[index[r, j]]`
    func blended(_ table: Value, _ blend: RowBlend, width: Int) -> Value {
        let (rows, count) = (blend.rows, blend.count)
        let all = b.gather(table, b.reshape(blend.index, [Dim(rows.factor * count, times: rows.symbol)]))
        let parts = b.reshape(all, [rows, .fixed(count), .fixed(width)])
        let sums = b.matmul(b.reshape(blend.weights, [rows, 1, .fixed(count)]), parts)
        return b.reshape(sums, [rows, .fixed(width)])
    }

    func segmentInput(_ mask: SegmentMask, queries: Dim, keys: Dim) -> Value {
        b.mask(mask.name, .segments(queries: mask.queries, keys: mask.keys), queries: queries, keys: keys)
    }

    /// The rows of `x` that `feature_rows` i32 `[M]` names.
    func featureRows(_ x: Value, _ rows: Dim = "M") -> Value { b.gather(x, b.input("feature_rows", TensorType(.i32, [rows]))) }

    /// `x` with a row of `table` for those rows where `extra_rows` i32 `[M]` is not negative.
    func extraRows(_ x: Value, _ table: Value, _ rows: Dim = "M") -> Value {
        b.selectRows(x, table, b.input("extra_rows", TensorType(.i32, [rows])))
    }

    /// `[N · (1 + count), W]` without the first row of each tile, `[N · count, W]`.
    package func droppingClassRows(_ x: Value, count: Int, width: Int) -> Value {
        let tiles = b.reshape(x, ["N", .fixed(count + 1), .fixed(width)])
        return b.reshape(b.slice(tiles, axis: 1, 1..<count + 1), [Dim(count, times: "N"), .fixed(width)])
    }
}
