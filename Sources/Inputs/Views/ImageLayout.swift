package import Plan

/// Where everything of an image lies, told from its size alone: canvases, tiles, patches, features.
package struct ImageLayout: Sendable, Hashable {
    /// Where the image is on the canvas of a view, and how the canvas is cut.
    package struct Frame: Sendable, Hashable {
        /// What the image, or the canvas that the view begins with, is resized to.
        package var resized: ImageSize
        package var canvas: ImageSize
        /// Left and top of the resized image on the canvas; below zero where it is cropped.
        package var (left, top) = (0, 0)
        /// Whether the image is fitted as if it lay on its side; sizes and places are those of the upright one.
        package var isTurned = false
        /// What the image is padded to before it is resized, in its middle; nil where it is not.
        package var padded: ImageSize?
        /// Rows and columns of tiles.
        package var (tileRows, tileColumns) = (1, 1)

        package init(resized: ImageSize, canvas: ImageSize? = nil) {
            self.resized = resized
            self.canvas = canvas ?? resized
        }

        package var tileCount: Int { tileRows * tileColumns }
        package var tile: ImageSize { ImageSize(width: canvas.width / tileColumns, height: canvas.height / tileRows) }
    }

    /// A tile as it is read.
    package struct Tile: Sendable, Hashable {
        package var view: Int
        package var row: Int
        package var column: Int
        /// Patches in a column, and in a row.
        package var gridHeight: Int
        package var gridWidth: Int
        /// Rows of zeros behind the patches.
        package var padding = 0
        /// Which slice of a video it is of.
        package var slice = 0

        package var patches: Int { gridHeight * gridWidth }
    }

    /// The image's own size.
    package let size: ImageSize
    /// By view; nil for one that this image does not have.
    package let frames: [Frame?]
    /// In the order of the rows.
    package private(set) var tiles: [Tile]
    /// Rows of the vision entry's inputs: patches, and rows of class tokens.
    package private(set) var rows: Int
    /// Slices of a video; 1 for an image.
    package private(set) var slices: Int
    /// Whether it goes on to the end of its video.
    package private(set) var isEnd = true

    /// - Parameter count: frames of a video.
    package init(_ spec: ImageSpec, width: Int, height: Int, among others: ImageCompany = .none, frames count: Int = 1) throws(ImageError) {
        let sliceFrames = spec.pixels.temporalPatchSize
        slices = (count + sliceFrames - 1) / sliceFrames
        size = ImageSize(width: width, height: height)
        var frames: [Frame?] = []
        for view in spec.views {
            let holds =
                switch view.condition {
                case .always: true
                case .split(let index): (frames[index]?.tileCount ?? 1) > 1
                case .alone: others.isAlone
                case .amongOthers: !others.isAlone
                case .without(let index): frames[index] == nil
                case .larger(let pixels, let multiple, let least): size.area(multiple: multiple, least: least) > pixels
                }
            let start = view.source.map { frames[$0]?.canvas } ?? size
            guard holds, let start else {
                frames.append(nil)
                continue
            }
            guard var frame = try view.fit.frame(of: start, count: count) else {
                frames.append(nil)
                continue
            }
            if let side = view.tile { (frame.tileRows, frame.tileColumns) = (frame.canvas.height / side, frame.canvas.width / side) }
            guard frame.tileCount > 0 else {
                throw .sizeNotMultiple(width: frame.canvas.width, height: frame.canvas.height, multiple: view.tile ?? 1)
            }
            frames.append(frame)
        }
        self.frames = frames
        var tiles: [Tile] = []
        for slice in 0..<slices {
            for index in spec.order {
                guard let frame = frames[index] else { continue }
                let (height, width) = (frame.tile.height / spec.pixels.patchSize, frame.tile.width / spec.pixels.patchSize)
                let side = spec.pixels.order.cellSide
                guard height > 0, width > 0, height % side == 0, width % side == 0 else {
                    throw .sizeNotMultiple(width: frame.canvas.width, height: frame.canvas.height, multiple: side * spec.pixels.patchSize)
                }
                for row in 0..<frame.tileRows {
                    for column in 0..<frame.tileColumns {
                        tiles.append(Tile(view: index, row: row, column: column, gridHeight: height, gridWidth: width, slice: slice))
                    }
                }
            }
        }
        if spec.pixels.padsTiles {
            let longest = tiles.reduce(others.longestTile) { max($0, $1.patches) }
            for index in tiles.indices { tiles[index].padding = longest - tiles[index].patches }
        }
        self.tiles = tiles
        rows = tiles.reduce(0) { $0 + $1.patches + $1.padding + spec.pixels.classRows }
    }

    /// Those slices of a video alone.
    func part(_ range: Range<Int>, _ spec: ImageSpec) -> ImageLayout {
        var part = self
        part.tiles = tiles.filter { range.contains($0.slice) }
        part.slices = range.count
        part.isEnd = range.upperBound == slices
        part.rows = part.tiles.reduce(0) { $0 + $1.patches + spec.pixels.classRows }
        return part
    }
}

/// What of a prompt's other images matters to how one of them is read.
package struct ImageCompany: Sendable, Hashable {
    /// Whether there is no other.
    package var isAlone: Bool
    /// Patches of the longest tile of any image, where tiles are filled up to it.
    package var longestTile: Int

    /// That of an image alone.
    package static let none = ImageCompany(isAlone: true, longestTile: 0)

    /// That of the images of one prompt, by their sizes.
    package init(_ spec: ImageSpec, of sizes: [ImageSize]) throws(ImageError) {
        self.init(isAlone: sizes.count == 1, longestTile: 0)
        guard spec.pixels.padsTiles else { return }
        for size in sizes {
            let layout = try ImageLayout(spec, width: size.width, height: size.height, among: self)
            longestTile = max(longestTile, layout.tiles.map(\.patches).max() ?? 0)
        }
    }

    private init(isAlone: Bool, longestTile: Int) {
        self.isAlone = isAlone
        self.longestTile = longestTile
    }
}

extension ImageSize {
    /// The area with each side rounded to a multiple, halves to even, and `least` at least.
    fileprivate func area(multiple: Int, least: Int) -> Int {
        func rounded(_ side: Int) -> Int { max(Int((Double(side) / Double(multiple)).rounded(.toNearestOrEven)) * multiple, least) }
        return rounded(width) * rounded(height)
    }
}

extension ImageLayout {
    /// Row and column of the patches of a tile, in the order in which they are read.
    static func places(_ order: PatchOrder, height: Int, width: Int) -> [(row: Int, column: Int)] {
        var places: [(row: Int, column: Int)] = []
        places.reserveCapacity(height * width)
        func cells(_ rows: Range<Int>, _ columns: Range<Int>, _ side: Int, columnsFirst: Bool) {
            for top in stride(from: rows.lowerBound, to: rows.upperBound, by: side) {
                for left in stride(from: columns.lowerBound, to: columns.upperBound, by: side) {
                    for index in 0..<side * side {
                        let (major, minor) = (index / side, index % side)
                        places.append(columnsFirst ? (top + minor, left + major) : (top + major, left + minor))
                    }
                }
            }
        }
        switch order {
        case .raster: cells(0..<height, 0..<width, 1, columnsFirst: false)
        case .cells(let side, let columnsFirst): cells(0..<height, 0..<width, side, columnsFirst: columnsFirst)
        case .nested:
            for top in stride(from: 0, to: height, by: 4) {
                for left in stride(from: 0, to: width, by: 4) { cells(top..<top + 4, left..<left + 4, 2, columnsFirst: false) }
            }
        case .windows(let side, let window):
            let step = side * window
            for top in stride(from: 0, to: height, by: step) {
                for left in stride(from: 0, to: width, by: step) {
                    cells(top..<min(top + step, height), left..<min(left + step, width), side, columnsFirst: false)
                }
            }
        }
        return places
    }

    /// Patches of each window of a tile, in the order in which they are read.
    static func windowSizes(side: Int, window: Int, height: Int, width: Int) -> [Int] {
        let step = side * window
        var sizes: [Int] = []
        for top in stride(from: 0, to: height, by: step) {
            for left in stride(from: 0, to: width, by: step) { sizes.append((min(top + step, height) - top) * (min(left + step, width) - left)) }
        }
        return sizes
    }
}
