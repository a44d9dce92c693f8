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
    package func read(
        _ image: Image, isAlone: Bool = true, maxPatches: Int = 1 << 20, budget: WorkBudget = .generous()
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
        return ReadPicture(layout: layout, features: features, input: spec.input(layout, features, pixels: bytes))
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
            if let fused = fusedNormalization {
                return (byte - fused.offset[index / 256]) / fused.divisor[index / 256]
            }
            return byte * (rescaleFactor.map { Float($0) } ?? 1)
        }
    }
}

extension PictureSpec {
    /// HF's `pixel_values` of pictures, in the form in which its processor hands them out.
    package func pixelValues(of pictures: [ReadPicture]) -> (shape: [Int], values: [Float]) {
        switch pixels.form {
        case .patches:
            let values = pictures.flatMap(patchValues)
            return ([values.count / pixels.patchDimension, pixels.patchDimension], values)
        case .tiles, .pictures:
            let planes = pictures.map(planes)
            guard let side = pictures.first?.layout.tiles.first.map({ ($0.gridHeight * pixels.patchSize, $0.gridWidth * pixels.patchSize) })
            else { return ([0], []) }
            let area = 3 * side.0 * side.1
            guard pixels.form == .pictures else {
                let values = planes.flatMap { $0 }
                return ([values.count / area, 3, side.0, side.1], values)
            }
            let most = planes.reduce(0) { max($0, $1.count) }
            let values = planes.flatMap { $0 + Array(repeating: 0, count: most - $0.count) }
            return ([pictures.count, most / area, 3, side.0, side.1], values)
        }
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
        let count = source.count * pixels.temporalPatchSize
        return [Float](unsafeUninitializedCapacity: count) { target, initialized in
            source.withUnsafeBufferPointer { bytes in
                var out = 0
                for start in Swift.stride(from: 0, to: bytes.count, by: plane) {
                    let values = start / plane % 3 * 256
                    for _ in 0..<pixels.temporalPatchSize {
                        for i in start..<start + plane {
                            target[out] = table[values + Int(bytes[i])]
                            out += 1
                        }
                    }
                }
            }
            initialized = count
        }
    }

    /// `[tiles, 3, H, W]`
    private func planes(_ picture: ReadPicture) -> [Float] {
        let (side, table) = (pixels.patchSize, pixels.valueTable)
        let bytes = bytes(of: picture)
        var values: [Float] = []
        var row = 0
        for tile in picture.layout.tiles {
            row += pixels.classRows
            let width = tile.gridWidth * side
            var plane = [Float](repeating: 0, count: 3 * tile.gridHeight * side * width)
            for place in PictureLayout.places(pixels.order, height: tile.gridHeight, width: tile.gridWidth) {
                for channel in 0..<3 {
                    for y in 0..<side {
                        let source = row * pixels.patchBytes + (channel * side + y) * side
                        let target = (channel * tile.gridHeight * side + place.row * side + y) * width + place.column * side
                        for x in 0..<side { plane[target + x] = table[256 * channel + Int(bytes[source + x])] }
                    }
                }
                row += 1
            }
            values += plane
        }
        return values
    }
}
