package import Plan

/// The features of a picture in the order of its prompt, and where each comes from.
package struct FeatureTable: Sendable, Hashable {
    /// For each feature the row of the tower's result, counted in its own rows; 0 for a learned row.
    package private(set) var rows: [Int32] = []
    /// For each feature the learned row that it is; −1 for one of the tower's.
    package private(set) var learned: [Int32] = []
    /// Features of each tile, where features are tile after tile.
    package private(set) var counts: [Int] = []
    /// Columns of the features of each tile.
    package private(set) var columns: [Int] = []

    /// Rows of the tower's result.
    package private(set) var resultCount = 0

    package var count: Int { rows.count }

    package init(_ spec: PictureSpec, _ layout: PictureLayout) {
        switch spec.features {
        case .cells(let side):
            for tile in layout.tiles {
                let count = tile.patches / (side * side)
                appendCells(of: tile, spec, side, from: resultCount + spec.pixels.classRows)
                resultCount += spec.pixels.classRows + count
                counts.append(count)
                columns.append(tile.gridWidth / side)
            }
        case .stitched(let side, let base, let grid): stitch(spec, layout, side, base: base, grid: grid)
        }
    }

    /// The cells of a tile in raster order, whatever order the tower has them in.
    private mutating func appendCells(of tile: PictureLayout.Tile, _ spec: PictureSpec, _ side: Int, from start: Int) {
        let count = tile.patches / (side * side)
        guard case .windows = spec.pixels.order else { return append(start..<start + count) }
        let places = PictureLayout.places(spec.pixels.order, height: tile.gridHeight, width: tile.gridWidth)
        var ordered = [Int32](repeating: 0, count: count)
        for index in 0..<count {
            let place = places[index * side * side]
            ordered[place.row / side * (tile.gridWidth / side) + place.column / side] = Int32(start + index)
        }
        rows += ordered
        learned += Array(repeating: -1, count: count)
    }

    private mutating func append(_ range: Range<Int>) {
        rows += range.map(Int32.init)
        learned += Array(repeating: -1, count: range.count)
    }

    private mutating func appendNewline() {
        rows.append(0)
        learned.append(0)
    }

    /// Features of the tiles of `grid`, joined to one plane of `rows · side` × `columns · side`, without the background.
    private mutating func stitch(_ spec: PictureSpec, _ layout: PictureLayout, _ side: Int, base: Int, grid: Int) {
        /// Where the features of a tile begin in the tower's result.
        var starts: [Int] = []
        var start = 0
        for tile in layout.tiles {
            start += spec.pixels.classRows
            starts.append(start)
            start += tile.patches / (side * side)
        }
        resultCount = start
        for (tile, start) in zip(layout.tiles, starts) where tile.view == base { append(start..<start + tile.patches / (side * side)) }
        guard let frame = layout.frames[grid], let first = layout.tiles.firstIndex(where: { $0.view == grid }) else { return appendNewline() }
        let (tall, wide) = (layout.tiles[first].gridHeight / side, layout.tiles[first].gridWidth / side)
        let plane = Self.covered(layout.size, rows: tall * frame.tileRows, columns: wide * frame.tileColumns)
        for row in plane.rows {
            for column in plane.columns {
                let tile = first + row / tall * frame.tileColumns + column / wide
                rows.append(Int32(starts[tile] + row % tall * wide + column % wide))
                learned.append(-1)
            }
            appendNewline()
        }
    }

    /// What a picture of that size covers of a plane of features (HF `unpad_image`).
    private static func covered(_ size: PictureSize, rows: Int, columns: Int) -> (rows: Range<Int>, columns: Range<Int>) {
        let ratio = Double(size.width) / Double(size.height)
        if ratio > Double(columns) / Double(rows) {
            let scale = Double(columns) / Double(size.width)
            let height = Int(rounded(Double(size.height) * scale))
            let cut = (rows - height) / 2
            return (cut..<rows - cut, 0..<columns)
        }
        let scale = Double(rows) / Double(size.height)
        let width = Int(rounded(Double(size.width) * scale))
        let cut = (columns - width) / 2
        return (0..<rows, cut..<columns - cut)
    }

    /// Python's `round(x, 7)`.
    private static func rounded(_ x: Double) -> Double { (x * 1e7).rounded(.toNearestOrEven) / 1e7 }
}

extension PictureSpec {
    /// What the vision entry reads of a picture.
    func input(_ layout: PictureLayout, _ features: FeatureTable, pixels bytes: [UInt8]) -> VisionInput {
        var tensors: [VisionInput.Tensor] = []
        for tensor in self.tensors {
            switch tensor.content {
            case .pixels: tensors.append(.init(tensor.name, .bytes(bytes), of: .patch))
            case .patchPositions:
                let places = places(layout) { ($0, $1) }
                let values = places.map { Int32($0.0) } + places.map { Int32($0.1) }
                tensors.append(.init(tensor.name, .integers(values), of: .patch, lines: 2))
            case .rasterRows(let columns):
                var values: [Int32] = []
                for tile in layout.tiles {
                    values += (0..<pixels.classRows).map(Int32.init)
                    values += PictureLayout.places(pixels.order, height: tile.gridHeight, width: tile.gridWidth).map {
                        Int32($0.row * columns + $0.column + pixels.classRows)
                    }
                }
                tensors.append(.init(tensor.name, .integers(values), of: .patch))
            case .classRows:
                let values = layout.tiles.flatMap { tile in
                    (0..<pixels.classRows).map(Int32.init) + Array(repeating: -1, count: tile.patches)
                }
                tensors.append(.init(tensor.name, .integers(values), of: .patch))
            case .featureRows: tensors.append(.init(tensor.name, .integers(features.rows), of: .feature, indexes: .result))
            case .learnedRows: tensors.append(.init(tensor.name, .integers(features.learned), of: .feature))
            }
        }
        var bounds: [String: [Int32]] = [:]
        for segments in segments { bounds[segments.name] = self.bounds(segments.content, layout) }
        return VisionInput(patches: layout.rows, results: features.resultCount, features: features.count, tensors: tensors, segments: bounds)
    }

    /// Something of every row's place in its tile; class rows are at row 0, column 0.
    private func places<Place>(_ layout: PictureLayout, _ make: (Int, Int) -> Place) -> [Place] {
        layout.tiles.flatMap { tile in
            (0..<pixels.classRows).map { _ in make(0, 0) }
                + PictureLayout.places(pixels.order, height: tile.gridHeight, width: tile.gridWidth).map { make($0.row, $0.column) }
        }
    }

    private func bounds(_ content: VisionSegments.Content, _ layout: PictureLayout) -> [Int32] {
        var bounds: [Int32] = [0]
        func append(_ rows: Int) { bounds.append(bounds[bounds.count - 1] + Int32(rows)) }
        switch content {
        case .pictures: append(layout.rows)
        case .tiles: for tile in layout.tiles { append(tile.patches + pixels.classRows) }
        case .windows:
            guard case .windows(let side, let window) = pixels.order else { return bounds }
            for tile in layout.tiles {
                for size in PictureLayout.windowSizes(side: side, window: window, height: tile.gridHeight, width: tile.gridWidth) { append(size) }
            }
        }
        return bounds
    }
}
