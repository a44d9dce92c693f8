import Models
import Reference

/// Pictures cut into patches, in the order in which a family wants them.
struct TileRows {
    enum Order {
        case raster
        /// Squares of patches follow each other, row by row.
        case blocks(Int)
    }

    var patchSize: Int
    var order = Order.raster
    /// Whether each tile starts with a row that is no patch.
    var hasClassRow = false
    /// Rows of channels, rows and columns of pixels, as the processor normalized them.
    var pixels: [[Float]] = []
    /// Row and column of each patch in its tile; zeros where a row is none.
    var places: [(row: Int, column: Int)] = []
    var isPatch: [Bool] = []
    /// The tile of each row.
    var tiles: [Int] = []
    /// Rows and columns of patches of each tile.
    var grids: [(rows: Int, columns: Int)] = []

    init(patchSize: Int, order: Order = .raster, hasClassRow: Bool = false) {
        self.patchSize = patchSize
        self.order = order
        self.hasClassRow = hasClassRow
    }

    /// Adds a tile of `values` `[3, height, width]`.
    mutating func add(_ values: ArraySlice<Float>, height: Int, width: Int) {
        let (rows, columns, first) = (height / patchSize, width / patchSize, values.startIndex)
        if hasClassRow { append(Array(repeating: 0, count: 3 * patchSize * patchSize), (0, 0), isPatch: false) }
        for (row, column) in Self.places(rows, columns, order) {
            var patch: [Float] = []
            for channel in 0..<3 {
                for y in 0..<patchSize {
                    let start = first + (channel * height + row * patchSize + y) * width + column * patchSize
                    patch += values[start..<start + patchSize]
                }
            }
            append(patch, (row, column), isPatch: true)
        }
        grids.append((rows, columns))
    }

    mutating func append(_ patch: [Float], _ place: (Int, Int), isPatch: Bool) {
        pixels.append(patch)
        places.append(place)
        self.isPatch.append(isPatch)
        tiles.append(grids.count)
    }

    static func places(_ rows: Int, _ columns: Int, _ order: Order) -> [(row: Int, column: Int)] {
        guard case .blocks(let side) = order else { return (0..<rows).flatMap { row in (0..<columns).map { (row, $0) } } }
        return stride(from: 0, to: rows, by: side).flatMap { row in
            stride(from: 0, to: columns, by: side).flatMap { column in
                (0..<side).flatMap { y in (0..<side).map { (row + y, column + $0) } }
            }
        }
    }

    /// Adds tiles of `values` `[…, 3, height, width]`.
    mutating func add(_ values: Tensor) {
        let (height, width) = (values.shape[values.shape.count - 2], values.shape[values.shape.count - 1])
        let floats = values.floats
        let area = 3 * height * width
        for start in stride(from: 0, to: floats.count, by: area) { add(floats[start..<start + area], height: height, width: width) }
    }

    /// `pixels`, `patch_positions`, `class_rows` and `visible`; as bytes where a normalization is given.
    func inputs(_ bytesOf: (mean: [Double], deviation: [Double])?) -> [String: Tensor] {
        let count = pixels.count
        let area = patchSize * patchSize
        var inputs = [
            "patch_positions": Tensor(ints: places.map { Int32($0.row) } + places.map { Int32($0.column) }, [2, count]),
            "class_rows": Tensor(ints: isPatch.map { $0 ? -1 : 0 }, [count]), "visible": Self.same(tiles, tiles),
        ]
        guard let bytesOf else {
            inputs["pixels"] = Tensor(pixels.flatMap { $0 }, [count, 3 * area])
            return inputs
        }
        let bytes = zip(pixels, isPatch).flatMap { patch, isPatch in
            patch.indices.map { index -> Int32 in
                let channel = index / area
                return isPatch ? Int32(((Double(patch[index]) * bytesOf.deviation[channel] + bytesOf.mean[channel]) * 255).rounded()) : 0
            }
        }
        inputs["pixels"] = Tensor(ints: bytes, [count, 3 * area], .u8)
        return inputs
    }

    /// The mask of segments.
    static func same(_ queries: [Int], _ keys: [Int]) -> Tensor {
        Tensor(ints: queries.flatMap { query in keys.map { $0 == query ? 1 : 0 } }, [queries.count, keys.count], .bool)
    }

    /// Rows of a table of `side · side` places behind `offset` others.
    func tableRows(side: Int, offset: Int) -> Tensor {
        Tensor(ints: zip(places, isPatch).map { $1 ? Int32($0.row * side + $0.column + offset) : 0 }, [places.count])
    }

    /// Rows of such a table for tiles whose grids are not its own, by fractions in f32 (`torch.bucketize`).
    func bucketRows(side: Int, _ bucket: (_ index: Int, _ count: Int) -> Int) -> Tensor {
        let rows = places.indices.map { index in
            let grid = grids[min(tiles[index], grids.count - 1)]
            return Int32(bucket(places[index].row, grid.rows) * side + bucket(places[index].column, grid.columns))
        }
        return Tensor(ints: rows, [rows.count])
    }

    /// Rows and weights of a table of `side · side` places, blended for each patch.
    func blendedRows(side: Int, _ taps: (_ index: Int, _ count: Int) -> [(row: Int, weight: Float)]) -> [String: Tensor] {
        var (rows, weights, count): ([Int32], [Float], Int) = ([], [], 0)
        for index in places.indices {
            let grid = grids[tiles[index]]
            let vertical = taps(places[index].row, grid.rows)
            let horizontal = taps(places[index].column, grid.columns)
            count = vertical.count * horizontal.count
            for y in vertical {
                for x in horizontal {
                    rows.append(Int32(y.row * side + x.row))
                    weights.append(y.weight * x.weight)
                }
            }
        }
        return ["table_rows": Tensor(ints: rows, [places.count, count]), "table_weights": Tensor(weights, [places.count, count])]
    }
}

/// How a place of one axis of a grid lies on a table's.
enum Taps {
    /// Both neighbours, the corners of grid and table upon each other or not (`align_corners`).
    static func linear(_ index: Int, _ count: Int, side: Int, alignsCorners: Bool) -> [(row: Int, weight: Float)] {
        let scale = Float(side) / Float(count)
        let place = alignsCorners
            ? (count == 1 ? 0 : Float(index) * Float(side - 1) / Float(count - 1)) : max((Float(index) + 0.5) * scale - 0.5, 0)
        let low = min(Int(place), side - 1)
        return [(low, 1 - (place - Float(low))), (min(low + 1, side - 1), place - Float(low))]
    }

    /// Four neighbours with Keys' weights, a = −0.75.
    static func cubic(_ index: Int, _ count: Int, side: Int) -> [(row: Int, weight: Float)] {
        let place = (Float(index) + 0.5) * Float(side) / Float(count) - 0.5
        let low = Int(place.rounded(.down))
        return (-1...2).map { step in
            let distance = abs(place - Float(low + step))
            let a: Float = -0.75
            let near = ((a + 2) * distance - (a + 3)) * distance * distance + 1
            let far = ((a * distance - 5 * a) * distance + 8 * a) * distance - 4 * a
            return (min(max(low + step, 0), side - 1), distance <= 1 ? near : distance < 2 ? far : 0)
        }
    }

    /// `torch.arange(start, end, step)` in f32.
    static func range(_ start: Double, _ end: Double, _ step: Double) -> [Float] {
        let count = Int(((end - start) / step).rounded(.up))
        let blocked = count / 16 * 16
        return (0..<count).map { index in
            guard index < blocked else { return Float(start + step * Double(index)) }
            let first = index / 8 * 8
            return Float(Double(Float(start + step * Double(first))) + step * Double(index - first))
        }
    }

    /// How many of the bounds `1/side, 2/side, …` a fraction has reached.
    static func bucket(_ fraction: Float, side: Int) -> Int { range(1 / Double(side), 1, 1 / Double(side)).filter { $0 <= fraction }.count }
}
