package import Budgets
internal import CImage
package import Plan

/// A picture cut into patch rows, as the vision tower reads them.
package struct Patches: Sendable, Hashable {
    /// Rows of patches; a multiple of the merge size.
    package let gridHeight: Int
    /// Patches per row; a multiple of the merge size.
    package let gridWidth: Int
    /// Bytes of one row: `3 · patchSize²`.
    package let rowBytes: Int
    /// `[gridHeight · gridWidth, 3, patchSize, patchSize]` bytes of one frame, patches in merge-block order.
    package let bytes: [UInt8]

    /// Number of patches.
    package var count: Int { gridHeight * gridWidth }

    /// HF `image_grid_thw` of this picture.
    package var grid: [Int] { [1, gridHeight, gridWidth] }

    package init(gridHeight: Int, gridWidth: Int, rowBytes: Int, bytes: [UInt8]) {
        precondition(bytes.count == gridHeight * gridWidth * rowBytes, "bytes do not match the grid")
        self.gridHeight = gridHeight
        self.gridWidth = gridWidth
        self.rowBytes = rowBytes
        self.bytes = bytes
    }
}

/// Turns pictures into patches by a spec; equal to HF `Qwen2VLImageProcessor` (torchvision backend, `transformers` 5).
package struct ImageProcessor: Sendable {
    package let spec: ImageProcessorSpec
    /// No picture becomes more pixels than this, unless it had them.
    private static let resizedPixelsMax = 1 << 27
    private let resizer: Resizer

    package init(_ spec: ImageProcessorSpec) {
        self.spec = spec
        resizer = Resizer(filter: spec.filter, precision: spec.precision)
    }

    /// The size that a picture of `width` × `height` pixels is resized to, without touching pixels.
    package func targetSize(width: Int, height: Int) throws(ImageError) -> (height: Int, width: Int) {
        let cell = spec.patchSize * spec.mergeSize
        switch spec.sizing {
        case .smart(let minPixels, let maxPixels):
            let size = try smartResize(
                height: height, width: width, factor: cell, minPixels: minPixels, maxPixels: maxPixels)
            let (pixels, overflow) = size.height.multipliedReportingOverflow(by: size.width)
            guard !overflow, pixels <= max(Self.resizedPixelsMax, width * height) else {
                throw .outOfMemory(width: size.width, height: size.height)
            }
            return size
        case .keep:
            guard width % cell == 0, height % cell == 0 else {
                throw .sizeNotMultiple(width: width, height: height, multiple: cell)
            }
            return (height, width)
        }
    }

    /// Number of patches of a picture of `width` × `height` pixels.
    package func patchCount(width: Int, height: Int) throws(ImageError) -> Int {
        let size = try targetSize(width: width, height: height)
        return (size.height / spec.patchSize) * (size.width / spec.patchSize)
    }

    /// Resizes a picture and cuts it; nothing is resized when there would be more than `maxPatches`.
    package func patches(
        from image: Image, maxPatches: Int = 1 << 20, budget: WorkBudget = .generous()
    ) throws(ImageError) -> Patches {
        let size = try targetSize(width: image.width, height: image.height)
        let gridHeight = size.height / spec.patchSize
        let gridWidth = size.width / spec.patchSize
        guard gridHeight * gridWidth <= maxPatches else {
            throw .tooManyPatches(count: gridHeight * gridWidth, limit: maxPatches)
        }
        let resized: Image
        do throws(WorkLimitError) {
            resized = try resizer.resize(image, width: size.width, height: size.height, budget: budget)
        } catch {
            throw .stopped(error)
        }
        let count = resized.pixels.count
        let bytes = [UInt8](unsafeUninitializedCapacity: count) { target, initialized in
            cimage_patchify(
                resized.pixels, Int64(gridHeight), Int64(gridWidth), Int64(spec.patchSize), Int64(spec.mergeSize),
                target.baseAddress)
            initialized = count
        }
        return Patches(gridHeight: gridHeight, gridWidth: gridWidth, rowBytes: spec.patchBytes, bytes: bytes)
    }

    /// HF's `pixel_values` of a picture: `[count, 3 · temporalPatchSize · patchSize²]`, the frame repeated per channel.
    package func pixelValues(of patches: Patches) -> [Float] {
        let plane = spec.patchSize * spec.patchSize
        let table = spec.valueTable
        return [Float](unsafeUninitializedCapacity: patches.count * spec.patchDimension) { target, initialized in
            patches.bytes.withUnsafeBufferPointer { bytes in
                var out = 0
                for start in Swift.stride(from: 0, to: bytes.count, by: plane) {
                    let values = start / plane % 3 * 256
                    for _ in 0..<spec.temporalPatchSize {
                        for i in start..<start + plane {
                            target[out] = table[values + Int(bytes[i])]
                            out += 1
                        }
                    }
                }
            }
            initialized = patches.count * spec.patchDimension
        }
    }
}

extension ImageProcessorSpec {
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
