package import Plan

/// The features of an image in the order of its prompt, and where each comes from.
package struct FeatureTable: Sendable, Hashable {
    /// For each feature the row of the tower's result, counted in its own rows; 0 for a learned row.
    package private(set) var rows: [Int32] = []
    /// For each feature the learned row that it is; −1 for one of the tower's.
    package private(set) var learned: [Int32] = []
    /// Where features are blended: four rows of the tower's result for each, and their weights.
    package private(set) var blend: (rows: [Int32], weights: [Float])?
    /// Features of each tile, where features are tile after tile.
    package private(set) var counts: [Int] = []
    /// Columns of the features of each tile.
    package private(set) var columns: [Int] = []
    /// Rows of the tower's result.
    package private(set) var resultCount = 0

    package var count: Int { learned.count }

    package init(_ spec: ImageSpec, _ layout: ImageLayout) {
        switch spec.features {
        case .cells(let side):
            for tile in layout.tiles {
                let count = tile.patches / (side * side)
                appendCells(of: tile, spec, side, from: resultCount + spec.pixels.classRows)
                resultCount += spec.pixels.classRows + count
                counts.append(count)
                columns.append(tile.gridWidth / side)
            }
        case .squares(let side): for tile in layout.tiles { appendSquares(of: tile, side) }
        case .queries(let count):
            for _ in layout.tiles {
                append(resultCount..<resultCount + count)
                resultCount += count
                counts.append(count)
                columns.append(count)
            }
        case .stitched(let bases, let grid, let most): stitch(spec, layout, bases, grid, most)
        case .pooled(let grid, let side):
            for tile in layout.tiles { appendPooled(tile, grid, side, classRows: spec.pixels.classRows) }
            if layout.isEnd { appendEnd() }
        case .lines(let grid, let whole, let side):
            resultCount = layout.tiles.reduce(0) { $0 + $1.patches / (side * side) }
            appendLines(of: grid, layout, side)
            appendLearned(1)
            appendLines(of: whole, layout, side)
        }
        if spec.pixels.padsTiles { resultCount = layout.tiles.reduce(0) { $0 + $1.patches } }
    }

    private mutating func appendLearned(_ row: Int32) {
        rows.append(0)
        learned.append(row)
    }

    /// The cells of all tiles of a view line by line, the learned row 0 behind each line.
    private mutating func appendLines(of view: Int, _ layout: ImageLayout, _ side: Int) {
        var (starts, next): ([Int], Int) = ([], 0)
        for tile in layout.tiles {
            if tile.view == view { starts.append(next) }
            next += tile.patches / (side * side)
        }
        guard let frame = layout.frames[view], let tile = layout.tiles.first(where: { $0.view == view }) else { return }
        let (tall, wide) = (tile.gridHeight / side, tile.gridWidth / side)
        for line in 0..<tall * frame.tileRows {
            for column in 0..<frame.tileColumns {
                let start = starts[line / tall * frame.tileColumns + column] + line % tall * wide
                append(start..<start + wide)
            }
            appendLearned(0)
        }
    }

    /// The cells of a tile in raster order, whatever order the tower has them in.
    private mutating func appendCells(of tile: ImageLayout.Tile, _ spec: ImageSpec, _ side: Int, from start: Int) {
        let count = tile.patches / (side * side)
        guard case .windows = spec.pixels.order else { return append(start..<start + count) }
        let places = ImageLayout.places(spec.pixels.order, height: tile.gridHeight, width: tile.gridWidth)
        var ordered = [Int32](repeating: 0, count: count)
        for index in 0..<count {
            let place = places[index * side * side]
            ordered[place.row / side * (tile.gridWidth / side) + place.column / side] = Int32(start + index)
        }
        rows += ordered
        learned += Array(repeating: -1, count: count)
    }

    /// The whole squares of a tile whose patches are in raster order.
    private mutating func appendSquares(of tile: ImageLayout.Tile, _ side: Int) {
        let (height, width) = (tile.gridHeight / side, tile.gridWidth / side)
        var (all, weights) = blend ?? ([], [])
        for index in 0..<height * width {
            let corner = resultCount + index / width * side * tile.gridWidth + index % width * side
            rows.append(Int32(corner))
            all += (0..<side * side).map { Int32(corner + $0 / side * tile.gridWidth + $0 % side) }
            weights += Array(repeating: 1 / Float(side * side), count: side * side)
        }
        blend = (all, weights)
        learned += Array(repeating: -1, count: height * width)
        resultCount += tile.patches
        counts.append(height * width)
        columns.append(width)
    }

    /// The patches of a tile, `grid` in a line, blended to `side` × `side`; those of tiles that are not such squares are not there.
    private mutating func appendPooled(_ tile: ImageLayout.Tile, _ grid: Int, _ side: Int, classRows: Int) {
        let start = resultCount + classRows
        resultCount = start + tile.patches
        guard tile.gridHeight == grid, tile.gridWidth == grid else { return }
        var (all, weights) = blend ?? ([], [])
        let axis = (0..<side).map { Self.taps($0, of: side, in: 0..<grid) }
        for place in 0..<side * side {
            let parts = axis[place / side].flatMap { y in
                axis[place % side].map { (row: Int32(start + y.row * grid + $0.row), weight: y.weight * $0.weight) }
            }
            rows.append(parts[0].row)
            let four = parts + Array(repeating: (row: 0, weight: 0), count: 4 - parts.count)
            all += four.map(\.row)
            weights += four.map(\.weight)
        }
        blend = (all, weights)
        learned += Array(repeating: -1, count: side * side)
        counts.append(side * side)
        columns.append(side)
    }

    /// The learned row 0 behind features that are blended.
    private mutating func appendEnd() {
        appendLearned(0)
        let (all, weights) = blend ?? ([], [])
        blend = (all + [0, 0, 0, 0], weights + [1, 0, 0, 0])
    }

    private mutating func append(_ range: Range<Int>) {
        rows += range.map(Int32.init)
        learned += Array(repeating: -1, count: range.count)
    }

    /// Patches of the tiles of `grid`, joined to one plane without the background, a learned row behind each line.
    private mutating func stitch(_ spec: ImageSpec, _ layout: ImageLayout, _ bases: [Int], _ grid: Int, _ most: Int?) {
        /// Where the patches of a tile begin in the tower's result.
        var starts: [Int] = []
        for tile in layout.tiles {
            starts.append(resultCount + spec.pixels.classRows)
            resultCount += spec.pixels.classRows + tile.patches
        }
        for (tile, start) in zip(layout.tiles, starts) where bases.contains(tile.view) { append(start..<start + tile.patches) }
        var taps = rows.map { [(row: $0, weight: Float(1))] }
        func appendLearned() {
            rows.append(0)
            learned.append(0)
            taps.append([(0, 1)])
        }
        if let frame = layout.frames[grid], let first = layout.tiles.firstIndex(where: { $0.view == grid }) {
            let (tall, wide) = (layout.tiles[first].gridHeight, layout.tiles[first].gridWidth)
            let plane = Self.covered(layout.size, rows: tall * frame.tileRows, columns: wide * frame.tileColumns)
            let size = Self.shrunk(plane, to: most.map { $0 * tall * wide })
            func row(_ row: Int, _ column: Int) -> Int32 {
                Int32(starts[first + row / tall * frame.tileColumns + column / wide] + row % tall * wide + column % wide)
            }
            for y in 0..<size.height {
                let vertical = Self.taps(y, of: size.height, in: plane.rows)
                for x in 0..<size.width {
                    let parts = vertical.flatMap { v in
                        Self.taps(x, of: size.width, in: plane.columns).map { (row(v.row, $0.row), v.weight * $0.weight) }
                    }
                    rows.append(parts[0].0)
                    learned.append(-1)
                    taps.append(parts.map { (row: $0.0, weight: $0.1) })
                }
                appendLearned()
            }
        } else {
            appendLearned()
        }
        guard most != nil else { return }
        let four = taps.map { $0 + Array(repeating: (row: 0, weight: 0), count: 4 - $0.count) }
        blend = (four.flatMap { $0.map(\.row) }, four.flatMap { $0.map(\.weight) })
    }

    /// The rows of a range that are blended for place `index` of `count`; one where nothing shrinks.
    private static func taps(_ index: Int, of count: Int, in range: Range<Int>) -> [TableRows.Tap] {
        guard count != range.count else { return [TableRows.Tap(row: range.lowerBound + index, weight: 1)] }
        return TableRows.taps(index, of: count, .bilinear(side: range.count, alignsCorners: false)).map {
            TableRows.Tap(row: range.lowerBound + $0.row, weight: $0.weight)
        }
    }

    /// What an image of that size covers of a plane of features (HF `unpad_image`).
    private static func covered(_ size: ImageSize, rows: Int, columns: Int) -> (rows: Range<Int>, columns: Range<Int>) {
        let (width, height) = (Double(size.width), Double(size.height))
        if width / height > Double(columns) / Double(rows) {
            let kept = Int(rounded(height * (Double(columns) / width)))
            let cut = (rows - kept) / 2
            return (cut..<max(rows - cut, cut), 0..<columns)
        }
        let kept = Int(rounded(width * (Double(rows) / height)))
        let cut = (columns - kept) / 2
        return (0..<rows, cut..<max(columns - cut, cut))
    }

    /// Python's `round(x, 7)`.
    private static func rounded(_ x: Double) -> Double { (x * 1e7).rounded(.toNearestOrEven) / 1e7 }

    /// The size of a plane, in its ratio, that has about so many places where it has clearly more (`anyres_max`).
    private static func shrunk(_ plane: (rows: Range<Int>, columns: Range<Int>), to most: Int?) -> (height: Int, width: Int) {
        let (height, width) = (plane.rows.count, plane.columns.count)
        guard let most else { return (height, width) }
        let ratio = (Double(height * width) / Double(most)).squareRoot()
        return ratio > 1.1 ? (Int(Double(height) / ratio), Int(Double(width) / ratio)) : (height, width)
    }

    package static func == (left: FeatureTable, right: FeatureTable) -> Bool {
        left.rows == right.rows && left.learned == right.learned && left.blend?.rows == right.blend?.rows
            && left.blend?.weights == right.blend?.weights && left.counts == right.counts && left.columns == right.columns
    }

    package func hash(into hasher: inout Hasher) { hasher.combine(rows) }
}

extension ImageSpec {
    /// What the vision entry reads of an image.
    func input(_ layout: ImageLayout, _ features: FeatureTable, pixels: VisionInput.Values) -> VisionInput {
        var bounds: [String: [Int32]] = [:]
        for segments in segments { bounds[segments.name] = self.bounds(segments.content, layout) }
        return VisionInput(
            patches: layout.rows, results: features.resultCount, features: features.count,
            tensors: tensors.map { input($0, layout, features, pixels) }, segments: bounds)
    }

    private func input(
        _ tensor: VisionTensor, _ layout: ImageLayout, _ features: FeatureTable, _ values: VisionInput.Values
    ) -> VisionInput.Tensor {
        func patches(_ values: VisionInput.Values, lines: Int = 1) -> VisionInput.Tensor { .init(tensor.name, values, of: .patch, lines: lines) }
        switch tensor.content {
        case .pixels, .values: return patches(values)
        case .patchPositions:
            let places = rows(layout, classRow: { _ in (0, 0) }, isKept: true) { _, row, column in (row, column) }
            let integers = places.map { Int32($0.0) } + places.map { Int32($0.1) }
            return .init(tensor.name, .integers(integers), of: pixels.padsTiles ? .result : .patch, lines: 2)
        case .keptRows:
            let isKept = rows(layout, classRow: { _ in false }) { _, _, _ in true }
            return .init(tensor.name, .integers(isKept.indices.filter { isKept[$0] }.map(Int32.init)), of: .result, indexes: .patch)
        case .tableRows(let rule): return patches(.integers(tableRows(rule, layout)))
        case .blendRows(let rule): return patches(.integers(blend(rule, layout).flatMap { $0.map { Int32($0.row) } }))
        case .blendWeights(let rule): return patches(.floats(blend(rule, layout).flatMap { $0.map(\.weight) }))
        case .classRows: return patches(.integers(rows(layout, classRow: Int32.init) { _, _, _ in -1 }))
        case .featureRows: return .init(tensor.name, .integers(features.rows), of: .feature, indexes: .result)
        case .featureBlendRows: return .init(tensor.name, .integers(features.blend?.rows ?? []), of: .feature, indexes: .result)
        case .featureBlendWeights: return .init(tensor.name, .floats(features.blend?.weights ?? []), of: .feature)
        case .queryRows(let count):
            return .init(tensor.name, .integers((0..<features.count).map { Int32($0 % count) }), of: .feature)
        case .learnedRows: return .init(tensor.name, .integers(features.learned), of: .feature)
        }
    }

    /// Something of every row: of class rows by their number, of patches by their place in their tile; rows that fill a tile up are as
    /// class row 0, and left out of those that are kept.
    private func rows<Value>(
        _ layout: ImageLayout, classRow: (Int) -> Value, isKept: Bool = false,
        patch: (ImageLayout.Tile, _ row: Int, _ column: Int) -> Value
    ) -> [Value] {
        layout.tiles.flatMap { tile in
            (0..<pixels.classRows).map(classRow)
                + ImageLayout.places(pixels.order, height: tile.gridHeight, width: tile.gridWidth).map { patch(tile, $0.row, $0.column) }
                + (0..<(isKept ? 0 : tile.padding)).map { _ in classRow(0) }
        }
    }

    private func tableRows(_ rule: TableRule, _ layout: ImageLayout) -> [Int32] {
        switch rule {
        case .raster(let columns):
            return rows(layout, classRow: Int32.init) { _, row, column in Int32(row * columns + column + pixels.classRows) }
        case .lineBuckets(let side, let fraction):
            return layout.tiles.flatMap { tile in
                let count = tile.patches + tile.padding
                return (0..<count).map { Int32(TableRows.bucket($0, of: count, side: side, fraction)) }
            }
        case .buckets(let side, let fraction):
            var known: [Int: [Int]] = [:]
            func bucket(_ index: Int, of count: Int) -> Int {
                if known[count] == nil { known[count] = (0..<count).map { TableRows.bucket($0, of: count, side: side, fraction) } }
                return known[count]?[index] ?? 0
            }
            return rows(layout, classRow: Int32.init) { tile, row, column in
                Int32(bucket(row, of: tile.gridHeight) * side + bucket(column, of: tile.gridWidth) + pixels.classRows)
            }
        }
    }

    /// The rows of the table that are blended for each row; class rows are the first alone.
    private func blend(_ rule: BlendRule, _ layout: ImageLayout) -> [[TableRows.Tap]] {
        let side =
            switch rule {
            case .bilinear(let side, _), .bicubic(let side), .antialiased(let side): side
            }
        func first(_: Int) -> [TableRows.Tap] { (0..<rule.count).map { TableRows.Tap(row: 0, weight: $0 == 0 ? 1 : 0) } }
        return rows(layout, classRow: first) { tile, row, column in
            TableRows.taps(row, of: tile.gridHeight, rule).flatMap { y in
                TableRows.taps(column, of: tile.gridWidth, rule).map {
                    TableRows.Tap(row: y.row * side + $0.row + pixels.classRows, weight: y.weight * $0.weight)
                }
            }
        }
    }

    private func bounds(_ content: VisionSegments.Content, _ layout: ImageLayout) -> [Int32] {
        var bounds: [Int32] = [0]
        func append(_ rows: Int) { bounds.append(bounds[bounds.count - 1] + Int32(rows)) }
        switch content {
        case .images: append(layout.rows)
        case .tiles: for tile in layout.tiles { append(tile.patches + tile.padding + pixels.classRows) }
        case .kept: for tile in layout.tiles { append(tile.patches) }
        case .queries(let count): for _ in layout.tiles { append(count) }
        case .runs(let count):
            for tile in layout.tiles { for first in stride(from: 0, to: tile.patches, by: count) { append(min(count, tile.patches - first)) } }
        case .cells(let side): for tile in layout.tiles { append(tile.patches / (side * side)) }
        case .windows:
            guard case .windows(let side, let window) = pixels.order else { return bounds }
            for tile in layout.tiles {
                for size in ImageLayout.windowSizes(side: side, window: window, height: tile.gridHeight, width: tile.gridWidth) { append(size) }
            }
        }
        return bounds
    }
}
