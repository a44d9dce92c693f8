package import Budgets
internal import CImage
package import Plan

/// A picture as the vision entry reads it, and where everything of it lies.
package struct ReadPicture: Sendable, Hashable {
    package let layout: PictureLayout
    /// Features of the picture and where they come from.
    package let features: FeatureTable
    /// What the vision entry reads.
    package let input: VisionInput
    /// By view, where they were asked for.
    let canvases: [Image?]

    /// HF `image_grid_thw`: frames, and patches in a column and a row of the first tile.
    package var grid: [Int] { [1, layout.tiles[0].gridHeight, layout.tiles[0].gridWidth] }
}

/// Turns pictures into the inputs of the vision entry, by a spec.
package struct PictureReader: Sendable {
    package let spec: PictureSpec

    package init(_ spec: PictureSpec) { self.spec = spec }

    /// Where everything of a picture of `width` × `height` pixels will lie, without touching pixels.
    package func layout(width: Int, height: Int, isAlone: Bool = true) throws(ImageError) -> PictureLayout {
        try PictureLayout(spec, width: width, height: height, isAlone: isAlone)
    }

    /// Resizes a picture and cuts it; nothing is resized when there would be more than `maxPatches` rows.
    ///
    /// - Parameter keepsPixels: whether `pixelValues` will be asked for.
    package func read(
        _ image: Image, isAlone: Bool = true, maxPatches: Int = 1 << 20, keepsPixels: Bool = false, budget: WorkBudget = .generous()
    ) throws(ImageError) -> ReadPicture {
        let layout = try layout(width: image.width, height: image.height, isAlone: isAlone)
        guard layout.rows <= maxPatches else { throw .tooManyPatches(count: layout.rows, limit: maxPatches) }
        let canvases = try canvases(of: image, layout, budget)
        var bytes = [UInt8](repeating: 0, count: layout.rows * spec.pixels.patchBytes)
        var row = 0
        for tile in layout.tiles {
            row += spec.pixels.classRows
            guard let canvas = canvases[tile.view], let frame = layout.frames[tile.view] else { continue }
            let places = PictureLayout.places(spec.pixels.order, height: tile.gridHeight, width: tile.gridWidth)
            let (top, left) = (tile.row * frame.tile.height, tile.column * frame.tile.width)
            cut(canvas, places, top: top, left: left, into: &bytes, from: row)
            row += tile.patches
        }
        let features = FeatureTable(spec, layout)
        return ReadPicture(
            layout: layout, features: features, input: spec.input(layout, features, pixels: bytes), canvases: keepsPixels ? canvases : [])
    }

    /// By view; nil for those that are not there.
    private func canvases(of image: Image, _ layout: PictureLayout, _ budget: WorkBudget) throws(ImageError) -> [Image?] {
        var canvases: [Image?] = []
        for (view, frame) in zip(spec.views, layout.frames) {
            guard let frame, let start = view.source.map({ canvases[$0] }) ?? image else {
                canvases.append(nil)
                continue
            }
            let resizer = Resizer(filter: view.filter, precision: view.precision)
            do throws(WorkLimitError) {
                var start = start
                if let size = frame.padded {
                    let (left, top) = ((size.width - start.width) / 2, (size.height - start.height) / 2)
                    start = start.placed(on: size, left: left, top: top, view.background)
                }
                let resized = try resizer.resize(start, width: frame.resized.width, height: frame.resized.height, budget: budget)
                let isWhole = frame.canvas == frame.resized && frame.left == 0 && frame.top == 0
                canvases.append(isWhole ? resized : resized.placed(on: frame.canvas, left: frame.left, top: frame.top, view.background))
            } catch { throw .stopped(error) }
        }
        return canvases
    }

    private func cut(
        _ canvas: Image, _ places: [(row: Int, column: Int)], top: Int, left: Int, into bytes: inout [UInt8], from row: Int
    ) {
        let (side, rowBytes) = (spec.pixels.patchSize, spec.pixels.patchBytes)
        bytes.withUnsafeMutableBufferPointer { target in
            canvas.pixels.withUnsafeBufferPointer { pixels in
                guard let target = target.baseAddress, let pixels = pixels.baseAddress else { return }
                for (index, place) in places.enumerated() {
                    let corner = (top + place.row * side) * canvas.width + left + place.column * side
                    cimage_cut_patch(pixels + 3 * corner, Int64(3 * canvas.width), Int64(side), target + (row + index) * rowBytes)
                }
            }
        }
    }
}

extension Image {
    /// The picture on a canvas of one colour; what lies beyond the canvas is cropped.
    fileprivate func placed(on canvas: PictureSize, left: Int, top: Int, _ background: [UInt8]) -> Image {
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

extension PictureSpec {
    /// HF's `pixel_values` of pictures that were read to keep their pixels, in the form in which its processor hands them out; for strips
    /// those of all tiles behind each other.
    package func pixelValues(of pictures: [ReadPicture]) -> (shape: [Int], values: [Float]) {
        switch pixels.form {
        case .patches, .rasterPatches:
            let values = pictures.flatMap(patchValues)
            let count = values.count / pixels.patchDimension
            let isRaster = pixels.form == .rasterPatches
            return (isRaster ? [count, 3, pixels.patchSize, pixels.patchSize] : [count, pixels.patchDimension], values)
        case .strips:
            let values = pictures.flatMap { picture in picture.layout.tiles.flatMap { strip($0, of: picture) } }
            return ([values.count], values)
        case .tiles, .pictures, .prompt:
            let planes = pictures.map { picture in picture.layout.tiles.map { plane($0, of: picture) } }
            let sizes = pictures.flatMap { picture in picture.layout.tiles.compactMap { picture.layout.frames[$0.view]?.tile } }
            let (height, width) = (sizes.map(\.height).max() ?? 0, sizes.map(\.width).max() ?? 0)
            let area = 3 * height * width
            func padded(_ plane: (size: PictureSize, values: [Float])) -> [Float] {
                guard plane.size.height != height || plane.size.width != width else { return plane.values }
                var result = [Float](repeating: 0, count: area)
                for line in 0..<3 * plane.size.height {
                    let target = (line / plane.size.height * height + line % plane.size.height) * width
                    let source = line * plane.size.width
                    result.replaceSubrange(target..<target + plane.size.width, with: plane.values[source..<source + plane.size.width])
                }
                return result
            }
            guard pixels.form == .pictures else {
                let values = planes.flatMap { $0.flatMap(padded) }
                let shape = [values.count / max(area, 1), 3, height, width]
                return (pixels.form == .prompt ? [1] + shape : shape, values)
            }
            let most = planes.map(\.count).max() ?? 0
            let values = planes.flatMap { $0.flatMap(padded) + Array(repeating: 0, count: (most - $0.count) * area) }
            return ([pictures.count, most, 3, height, width], values)
        }
    }

    /// A tile as values `[3, H, W]`.
    private func plane(_ tile: PictureLayout.Tile, of picture: ReadPicture) -> (size: PictureSize, values: [Float]) {
        guard let frame = picture.layout.frames[tile.view], picture.canvases.indices.contains(tile.view),
            let canvas = picture.canvases[tile.view]
        else { return (PictureSize(width: 0, height: 0), []) }
        let (size, table) = (frame.tile, pixels.valueTable)
        var values: [Float] = []
        values.reserveCapacity(3 * size.width * size.height)
        for channel in 0..<3 {
            for y in 0..<size.height {
                let start = (tile.row * size.height + y) * canvas.width + tile.column * size.width
                for x in 0..<size.width { values.append(table[256 * channel + Int(canvas.pixels[3 * (start + x) + channel])]) }
            }
        }
        return (size, values)
    }

    /// A tile as `[3, p, p · patches]`: its patches side by side.
    private func strip(_ tile: PictureLayout.Tile, of picture: ReadPicture) -> [Float] {
        let (plane, side) = (plane(tile, of: picture), pixels.patchSize)
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

    private func bytes(of picture: ReadPicture) -> [UInt8] {
        for tensor in tensors where tensor.content == .pixels {
            if case .bytes(let bytes)? = picture.input[tensor.name]?.values { return bytes }
        }
        return []
    }

    /// `[patches, 3 · temporalPatchSize · patchSize²]`, the frame repeated per channel.
    private func patchValues(_ picture: ReadPicture) -> [Float] {
        let plane = pixels.patchSize * pixels.patchSize
        let table = pixels.valueTable
        let source = bytes(of: picture)
        let rows = handedOut(picture.layout)
        let count = source.count * pixels.temporalPatchSize
        return [Float](unsafeUninitializedCapacity: count) { target, initialized in
            source.withUnsafeBufferPointer { bytes in
                var out = 0
                for row in rows {
                    for channel in 0..<3 {
                        let start = (3 * row + channel) * plane
                        for _ in 0..<pixels.temporalPatchSize {
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
    private func handedOut(_ layout: PictureLayout) -> [Int] {
        let order: PatchOrder
        switch (pixels.form, pixels.order) {
        case (.rasterPatches, _): order = .raster
        case (_, .windows(let side, _)): order = .cells(side: side, columnsFirst: false)
        default: return Array(0..<layout.rows)
        }
        var rows: [Int] = []
        for tile in layout.tiles {
            func places(_ order: PatchOrder) -> [Int] {
                PictureLayout.places(order, height: tile.gridHeight, width: tile.gridWidth).map { $0.row * tile.gridWidth + $0.column }
            }
            let start = rows.count
            var rowOfPlace = [Int](repeating: 0, count: tile.patches)
            for (row, place) in places(pixels.order).enumerated() { rowOfPlace[place] = start + row }
            rows += places(order).map { rowOfPlace[$0] }
        }
        return rows
    }
}
