package import Budgets
internal import CImage
package import Plan

/// An image or a video as the vision entry reads it, and where everything of it lies.
package struct ReadImage: Sendable, Hashable {
    package let layout: ImageLayout
    /// Features of the image and where they come from.
    package let features: FeatureTable
    /// What the vision entry reads: one call for an image, one or more for a video, each for the features that follow.
    package let inputs: [VisionInput]
    /// By view, those of a video slice by slice, where they were asked for.
    let canvases: [Canvas?]
    /// f32[features, image width]: what the vision entry would have made, where a request gives that; then `inputs` are of nothing.
    package private(set) var embeddings: [Float]?
    /// What an image does not have.
    package private(set) var video: ReadVideo?

    init(
        layout: ImageLayout, features: FeatureTable, inputs: [VisionInput], canvases: [Canvas?], embeddings: [Float]? = nil, video: ReadVideo? = nil
    ) {
        (self.layout, self.features, self.inputs, self.canvases) = (layout, features, inputs, canvases)
        (self.embeddings, self.video) = (embeddings, video)
    }

    /// HF `image_grid_thw` or `video_grid_thw`: slices, and patches in a column and a row of the first tile.
    package var grid: [Int] { [layout.slices, layout.tiles[0].gridHeight, layout.tiles[0].gridWidth] }
}

/// Embeddings that a request gives in place of an image.
package struct GivenEmbeddings: Sendable, Hashable {
    /// What tells how many tokens the image has and where they stand.
    package enum Origin: Sendable, Hashable {
        /// HF `image_grid_thw`: patches in a column and in a row.
        case grid(height: Int, width: Int)
        /// The image's own pixels.
        case size(ImageSize)
        /// For models that read every image at one size.
        case any
    }

    /// f32[rows, width].
    package let values: [Float]
    package let rows: Int
    package let origin: Origin

    package init(values: [Float], rows: Int, origin: Origin) { (self.values, self.rows, self.origin) = (values, rows, origin) }

    /// The size of an image that becomes such embeddings.
    package func size(_ spec: ImageSpec) throws(ImageError) -> ImageSize {
        switch origin {
        case .size(let size): return size
        case .any: return ImageSize(width: Self.anySide, height: Self.anySide)
        case .grid(let height, let width):
            let side = spec.pixels.patchSize
            guard (1...Self.patchesMax).contains(height), (1...Self.patchesMax).contains(width) else { throw .gridUnknown(height: height, width: width) }
            return ImageSize(width: width * side, height: height * side)
        }
    }

    /// Patches of a side, far above what a context has tokens for.
    private static let patchesMax = 1 << 14
    private static let anySide = 224
}

/// Turns images into the inputs of the vision entry, by a spec.
package struct ImageReader: Sendable {
    package let spec: ImageSpec

    package init(_ spec: ImageSpec) { self.spec = spec }

    /// Where everything of an image of `width` × `height` pixels will lie, without touching pixels.
    package func layout(width: Int, height: Int, among others: ImageCompany = .none) throws(ImageError) -> ImageLayout {
        try ImageLayout(spec, width: width, height: height, among: others)
    }

    /// Resizes an image and cuts it; nothing is resized when there would be more than `maxPatches` rows.
    ///
    /// - Parameters:
    ///   - others: the prompt's other images.
    ///   - keepsPixels: whether `pixelValues` will be asked for.
    package func read(
        _ image: Image, among others: ImageCompany = .none, maxPatches: Int = 1 << 20, keepsPixels: Bool = false,
        budget: WorkBudget = .generous()
    ) throws(ImageError) -> ReadImage {
        let layout = try layout(width: image.width, height: image.height, among: others)
        guard layout.rows <= maxPatches else { throw .tooManyPatches(count: layout.rows, limit: maxPatches) }
        let canvases: [Canvas?]
        do throws(WorkLimitError) { canvases = try self.canvases(of: image, layout, budget) } catch { throw .stopped(error) }
        let features = FeatureTable(spec, layout)
        let takesValues = spec.tensors.contains { $0.content == .values }
        let pixels: VisionInput.Values = takesValues ? .floats(values(canvases, layout)) : .bytes(bytes(canvases, layout))
        return ReadImage(
            layout: layout, features: features, inputs: [spec.input(layout, features, pixels: pixels)], canvases: keepsPixels ? canvases : [])
    }

    /// An image that embeddings stand for; it may have no more rows than one of pixels.
    package func read(_ given: GivenEmbeddings, among others: ImageCompany = .none, maxPatches: Int = 1 << 20) throws(ImageError) -> ReadImage {
        let size = try given.size(spec)
        let layout = try layout(width: size.width, height: size.height, among: others)
        if case .grid(let height, let width) = given.origin, layout.tiles.count != 1 || layout.tiles[0].gridHeight != height || layout.tiles[0].gridWidth != width {
            throw .gridUnknown(height: height, width: width)
        }
        guard layout.rows <= maxPatches else { throw .tooManyPatches(count: layout.rows, limit: maxPatches) }
        let features = FeatureTable(spec, layout)
        guard features.count == given.rows else { throw .embeddingsUnlike(rows: given.rows, features: features.count) }
        let nothing = VisionInput(patches: 0, results: 0, features: 0, tensors: [], segments: [:])
        return ReadImage(layout: layout, features: features, inputs: [nothing], canvases: [], embeddings: given.values)
    }

    /// By view; nil for those that are not there.
    private func canvases(of image: Image, _ layout: ImageLayout, _ budget: WorkBudget) throws(WorkLimitError) -> [Canvas?] {
        var canvases: [Canvas?] = []
        for (view, frame) in zip(spec.views, layout.frames) {
            let start: Canvas? = if let source = view.source { canvases[source] } else { .bytes(image) }
            guard let frame, let start else {
                canvases.append(nil)
                continue
            }
            if case .interpolated(let width, let height) = view.fit {
                let filter: FloatResizer.Filter = view.filter == .bilinear ? .bilinear : .bicubic
                let values = try FloatResizer(filter: filter).resize(
                    start.values(spec.pixels), height: start.height, width: start.width, channels: 3, toHeight: height, toWidth: width,
                    budget: budget)
                canvases.append(.values(values, width: width, height: height))
            } else if case .bytes(let start) = start {
                canvases.append(.bytes(try canvas(of: start, view, frame, budget)))
            } else {
                canvases.append(nil)
            }
        }
        return canvases
    }

    func canvas(
        of start: Image, _ view: ViewSpec, _ frame: ImageLayout.Frame, _ budget: WorkBudget
    ) throws(WorkLimitError) -> Image {
        let resizer = Resizer(filter: view.filter, precision: view.precision)
        var start = start
        if let size = frame.padded {
            let (left, top) = ((size.width - start.width) / 2, (size.height - start.height) / 2)
            start = start.placed(on: size, left: left, top: top, view.background)
        }
        let size = frame.resized
        let resized =
            frame.isTurned
            ? try resizer.resize(start.transposed, width: size.height, height: size.width, budget: budget).transposed
            : try resizer.resize(start, width: size.width, height: size.height, budget: budget)
        let isWhole = frame.canvas == frame.resized && frame.left == 0 && frame.top == 0
        return isWhole ? resized : resized.placed(on: frame.canvas, left: frame.left, top: frame.top, view.background)
    }

    /// Calls `body` with the canvas, the corner and the row of each patch.
    private func forEachPatch(
        _ canvases: [Canvas?], _ layout: ImageLayout, _ body: (Canvas, _ top: Int, _ left: Int, _ row: Int) -> Void
    ) {
        var row = 0
        let side = spec.pixels.patchSize
        for tile in layout.tiles {
            row += spec.pixels.classRows
            guard let canvas = canvases[tile.view], let frame = layout.frames[tile.view] else { continue }
            let (top, left) = (tile.row * frame.tile.height, tile.column * frame.tile.width)
            let places = ImageLayout.places(spec.pixels.order, height: tile.gridHeight, width: tile.gridWidth)
            for (index, place) in places.enumerated() { body(canvas, top + place.row * side, left + place.column * side, row + index) }
            row += tile.patches + tile.padding
        }
    }

    private func bytes(_ canvases: [Canvas?], _ layout: ImageLayout) -> [UInt8] {
        var bytes = [UInt8](repeating: 0, count: layout.rows * spec.pixels.patchBytes)
        forEachPatch(canvases, layout) { canvas, top, left, row in
            guard case .bytes(let image) = canvas else { return }
            cut(image, top: top, left: left, row: row, frames: 0..<spec.pixels.storedFrames, into: &bytes)
        }
        return bytes
    }

    /// Writes a patch to its row, in the places of those frames.
    func cut(_ image: Image, top: Int, left: Int, row: Int, frames: Range<Int>, into bytes: inout [UInt8]) {
        let (side, area, start) = (spec.pixels.patchSize, spec.pixels.patchArea, row * spec.pixels.patchBytes)
        let corner = 3 * (top * image.width + left)
        bytes.withUnsafeMutableBufferPointer { target in
            image.pixels.withUnsafeBufferPointer { pixels in
                guard let target = target.baseAddress, let pixels = pixels.baseAddress else { return }
                for frame in frames {
                    cimage_cut_patch(
                        pixels + corner, Int64(3 * image.width), Int64(side), Int64(area * spec.pixels.storedFrames), target + start + frame * area)
                }
            }
        }
    }

    private func values(_ canvases: [Canvas?], _ layout: ImageLayout) -> [Float] {
        let side = spec.pixels.patchSize
        var values = [Float](repeating: 0, count: layout.rows * spec.pixels.patchBytes)
        let table = spec.pixels.valueTable
        forEachPatch(canvases, layout) { canvas, top, left, row in
            var target = row * spec.pixels.patchBytes
            for channel in 0..<3 {
                for y in top..<top + side {
                    for x in left..<left + side {
                        values[target] = canvas.value(x, y, channel, table)
                        target += 1
                    }
                }
            }
        }
        return values
    }
}

/// What a view makes of an image.
enum Canvas: Sendable, Hashable {
    case bytes(Image)
    /// `[height, width, 3]`, rescaled and normalized.
    case values([Float], width: Int, height: Int)

    var width: Int {
        switch self {
        case .bytes(let image): image.width
        case .values(_, let width, _): width
        }
    }

    var height: Int {
        switch self {
        case .bytes(let image): image.height
        case .values(_, _, let height): height
        }
    }

    /// One value as the network takes it; `table` is that of the bytes.
    func value(_ x: Int, _ y: Int, _ channel: Int, _ table: [Float]) -> Float {
        switch self {
        case .bytes(let image): table[256 * channel + Int(image.pixels[3 * (y * image.width + x) + channel])]
        case .values(let values, let width, _): values[3 * (y * width + x) + channel]
        }
    }

    /// `[height, width, 3]`, rescaled and normalized.
    func values(_ spec: PixelSpec) -> [Float] {
        guard case .bytes(let image) = self else {
            if case .values(let values, _, _) = self { return values }
            return []
        }
        let table = spec.valueTable
        return image.pixels.enumerated().map { table[256 * ($0.offset % 3) + Int($0.element)] }
    }
}

extension Image {
    /// Rows for columns.
    fileprivate var transposed: Image {
        var pixels: [UInt8] = []
        pixels.reserveCapacity(self.pixels.count)
        for x in 0..<width {
            for y in 0..<height {
                let place = 3 * (y * width + x)
                pixels += self.pixels[place..<place + 3]
            }
        }
        return Image(width: height, height: width, pixels: pixels)
    }

    /// The image on a canvas of one colour; what lies beyond the canvas is cropped.
    fileprivate func placed(on canvas: ImageSize, left: Int, top: Int, _ background: [UInt8]) -> Image {
        var pixels = [UInt8](repeating: background[0], count: 3 * canvas.width * canvas.height)
        if background != [background[0], background[0], background[0]] {
            for index in pixels.indices { pixels[index] = background[index % 3] }
        }
        let columns = max(0, -left)..<min(width, canvas.width - left)
        for row in max(0, -top)..<min(height, canvas.height - top) where !columns.isEmpty {
            let source = 3 * (row * width + columns.lowerBound)
            let target = 3 * ((row + top) * canvas.width + columns.lowerBound + left)
            pixels.replaceSubrange(target..<target + 3 * columns.count, with: self.pixels[source..<source + 3 * columns.count])
        }
        return Image(width: canvas.width, height: canvas.height, pixels: pixels)
    }
}

extension PixelSpec {
    /// Subtrahend and divisor per channel that normalise a raw byte in one step, in HF's float32 arithmetic:
    /// `value = (Float(byte) - offset) / divisor`; nil when the spec does not normalise.
    package var fusedNormalization: (offset: [Float], divisor: [Float])? {
        guard let normalization else { return nil }
        let factor = rescaleFactor.map { Float(1 / $0) } ?? 1
        return (normalization.mean.map { Float($0) * factor }, normalization.deviation.map { Float($0) * factor })
    }

    /// The float32 value of every byte: 256 for red, 256 for green, 256 for blue.
    package var valueTable: [Float] {
        (0..<3 * 256).map { index in
            let byte = Float(index % 256)
            if isStepwise, let normalization {
                let scaled = rescaleFactor.map { byte / Float(1 / $0) } ?? byte
                return (scaled - Float(normalization.mean[index / 256])) / Float(normalization.deviation[index / 256])
            }
            if let fused = fusedNormalization {
                return (byte - fused.offset[index / 256]) / fused.divisor[index / 256]
            }
            return byte * (rescaleFactor.map { Float($0) } ?? 1)
        }
    }
}

extension ImageSpec {
    /// HF's `pixel_values` of images that were read to keep their pixels, in the form in which its processor hands them out; for strips
    /// those of all tiles behind each other.
    package func pixelValues(of images: [ReadImage]) -> (shape: [Int], values: [Float]) {
        switch pixels.form {
        case .patches, .rasterPatches:
            let values = images.flatMap(patchValues)
            let count = values.count / pixels.patchDimension
            let isRaster = pixels.form == .rasterPatches
            return (isRaster ? [count, 3, pixels.patchSize, pixels.patchSize] : [count, pixels.patchDimension], values)
        case .strips:
            let values = images.flatMap { image in image.layout.tiles.flatMap { strip($0, of: image) } }
            return ([values.count], values)
        case .filledPatches:
            let most = maxRows ?? 0
            let values = images.flatMap { image in
                let rows = image.layout.tiles.flatMap { interleaved($0, of: image) }
                return rows + Array(repeating: 0, count: max(most * pixels.patchBytes - rows.count, 0))
            }
            return ([images.count, most, pixels.patchBytes], values)
        case .strip:
            let strips = images.flatMap { image in image.layout.tiles.map { strip($0, of: image) } }
            let lines = 3 * pixels.patchSize
            var values: [Float] = []
            for line in 0..<lines {
                for strip in strips { values += strip[line * strip.count / lines..<(line + 1) * strip.count / lines] }
            }
            return ([1, 3, pixels.patchSize, values.count / max(lines, 1)], values)
        case .padded(let rows):
            let tiles = images.flatMap { image in image.layout.tiles.map { channelsLast($0, of: image) } }
            let count = tiles.reduce(rows * pixels.patchBytes) { max($0, $1.count) }
            let values = tiles.flatMap { $0 + Array(repeating: 0, count: count - $0.count) }
            return ([tiles.count, count / max(pixels.patchBytes, 1), pixels.patchBytes], values)
        case .tiles, .images, .filledImages, .prompt:
            let planes = images.map { image in image.layout.tiles.map { plane($0, of: image) } }
            let sizes = images.flatMap { image in image.layout.tiles.compactMap { image.layout.frames[$0.view]?.tile } }
            let (height, width) = (sizes.map(\.height).max() ?? 0, sizes.map(\.width).max() ?? 0)
            let area = 3 * height * width
            func padded(_ plane: (size: ImageSize, values: [Float])) -> [Float] {
                guard plane.size.height != height || plane.size.width != width else { return plane.values }
                var result = [Float](repeating: 0, count: area)
                for line in 0..<3 * plane.size.height {
                    let target = (line / plane.size.height * height + line % plane.size.height) * width
                    let source = line * plane.size.width
                    result.replaceSubrange(target..<target + plane.size.width, with: plane.values[source..<source + plane.size.width])
                }
                return result
            }
            guard [.images, .filledImages].contains(pixels.form) else {
                let values = planes.flatMap { $0.flatMap(padded) }
                let shape = [values.count / max(area, 1), 3, height, width]
                return (pixels.form == .prompt ? [1] + shape : shape, values)
            }
            let most = pixels.form == .images ? planes.map(\.count).max() ?? 0 : tilesMax
            let values = planes.flatMap { $0.flatMap(padded) + Array(repeating: 0, count: (most - $0.count) * area) }
            return ([images.count, most, 3, height, width], values)
        }
    }

    /// A tile as values `[3, H, W]`.
    private func plane(_ tile: ImageLayout.Tile, of image: ReadImage) -> (size: ImageSize, values: [Float]) {
        let index = tile.slice * views.count + tile.view
        guard let frame = image.layout.frames[tile.view], image.canvases.indices.contains(index), let canvas = image.canvases[index]
        else { return (ImageSize(width: 0, height: 0), []) }
        let (size, table) = (frame.tile, pixels.valueTable)
        let (top, left) = (tile.row * size.height, tile.column * size.width)
        var values: [Float] = []
        values.reserveCapacity(3 * size.width * size.height)
        for channel in 0..<3 {
            for y in 0..<size.height {
                for x in 0..<size.width { values.append(canvas.value(left + x, top + y, channel, table)) }
            }
        }
        return (size, values)
    }

    /// The patches of a tile in raster order as `[patches, p, p, 3]`.
    private func channelsLast(_ tile: ImageLayout.Tile, of image: ReadImage) -> [Float] {
        let (plane, side) = (plane(tile, of: image), pixels.patchSize)
        let area = plane.size.width * plane.size.height
        var values: [Float] = []
        values.reserveCapacity(3 * area)
        for index in 0..<tile.patches {
            let corner = index / tile.gridWidth * side * plane.size.width + index % tile.gridWidth * side
            for pixel in 0..<side * side {
                let place = corner + pixel / side * plane.size.width + pixel % side
                for channel in 0..<3 { values.append(plane.values[channel * area + place]) }
            }
        }
        return values
    }

    /// A tile as `[3, p, p · patches]`: its patches side by side.
    private func strip(_ tile: ImageLayout.Tile, of image: ReadImage) -> [Float] {
        let (plane, side) = (plane(tile, of: image), pixels.patchSize)
        var values: [Float] = []
        for channel in 0..<3 {
            for y in 0..<side {
                for row in 0..<tile.gridHeight {
                    let start = (channel * plane.size.height + row * side + y) * plane.size.width
                    values += plane.values[start..<start + tile.gridWidth * side]
                }
            }
        }
        return values
    }

    /// A tile as `[P, p · p · 3]`: its patches in raster order, channel after channel of each pixel.
    private func interleaved(_ tile: ImageLayout.Tile, of image: ReadImage) -> [Float] {
        let (plane, side) = (plane(tile, of: image), pixels.patchSize)
        var values: [Float] = []
        for patch in 0..<tile.patches {
            for pixel in 0..<side * side {
                let (y, x) = (patch / tile.gridWidth * side + pixel / side, patch % tile.gridWidth * side + pixel % side)
                for channel in 0..<3 { values.append(plane.values[(channel * plane.size.height + y) * plane.size.width + x]) }
            }
        }
        return values
    }

    private func bytes(of image: ReadImage) -> [UInt8] {
        guard let tensor = tensors.first(where: { $0.content == .pixels }) else { return [] }
        return image.inputs.flatMap { input in
            if case .bytes(let bytes)? = input[tensor.name]?.values { bytes } else { [UInt8]() }
        }
    }

    /// `[patches, 3 · temporalPatchSize · patchSize²]`, the stored frames repeated per channel.
    private func patchValues(_ image: ReadImage) -> [Float] {
        let plane = pixels.storedFrames * pixels.patchArea
        let repeats = pixels.temporalPatchSize / pixels.storedFrames
        let table = pixels.valueTable
        let source = bytes(of: image)
        let rows = handedOut(image.layout)
        let count = source.count * repeats
        return [Float](unsafeUninitializedCapacity: count) { target, initialized in
            source.withUnsafeBufferPointer { bytes in
                var out = 0
                for row in rows {
                    for channel in 0..<3 {
                        let start = (3 * row + channel) * plane
                        for _ in 0..<repeats {
                            for i in start..<start + plane {
                                target[out] = table[256 * channel + Int(bytes[i])]
                                out += 1
                            }
                        }
                    }
                }
            }
            initialized = count
        }
    }

    /// The rows of the patches in the order in which HuggingFace's processor hands them out.
    private func handedOut(_ layout: ImageLayout) -> [Int] {
        let order: PatchOrder
        switch (pixels.form, pixels.order) {
        case (.rasterPatches, _): order = .raster
        case (_, .windows(let side, _)): order = .cells(side: side, columnsFirst: false)
        default: return Array(0..<layout.rows)
        }
        var rows: [Int] = []
        for tile in layout.tiles {
            func places(_ order: PatchOrder) -> [Int] {
                ImageLayout.places(order, height: tile.gridHeight, width: tile.gridWidth).map { $0.row * tile.gridWidth + $0.column }
            }
            let start = rows.count
            var rowOfPlace = [Int](repeating: 0, count: tile.patches)
            for (row, place) in places(pixels.order).enumerated() { rowOfPlace[place] = start + row }
            rows += places(order).map { rowOfPlace[$0] }
        }
        return rows
    }
}
