package import Budgets
internal import CImage
package import Plan

/// Turns an image file into an upright RGB image, as `transformers` 5 loads it: Pillow's `open`, the first frame or page,
/// `exif_transpose`, alpha composited on white, CMYK as Adobe stores it. 16-bit samples keep their high byte.
package struct ImageDecoder: Sendable {
    /// More pixels than this are refused by the header alone.
    package var maxPixels: Int
    /// What becomes of alpha.
    package var alpha: AlphaRule

    /// How pixels with alpha become opaque.
    package enum AlphaRule: Sendable, Hashable {
        /// Pillow's `alpha_composite` on white: what `transformers`' processors do with an image that has alpha.
        case onWhite
        /// Pillow's `convert("RGB")`: the colours as they are stored, visible or not.
        case dropped
    }

    /// Pillow's bound for decompression bombs.
    package static let defaultMaxPixels = 178_956_970

    package init(maxPixels: Int = defaultMaxPixels, alpha: AlphaRule = .onWhite) {
        self.maxPixels = maxPixels
        self.alpha = alpha
    }

    /// For the images of a model.
    package init(_ spec: ImageSpec?, maxPixels: Int = defaultMaxPixels) {
        self.init(maxPixels: maxPixels, alpha: spec?.dropsAlpha ?? false ? .dropped : .onWhite)
    }

    /// The header of a file that may be decoded.
    package func header(of file: [UInt8]) throws(ImageError) -> ImageHeader {
        let header = try ImageHeader(file)
        let (count, overflow) = header.width.multipliedReportingOverflow(by: header.height)
        guard !overflow, count <= maxPixels, count <= Int(Int32.max) * 2 else {
            throw .tooManyPixels(width: header.width, height: header.height, limit: maxPixels)
        }
        guard file.count >= header.leastBytes else {
            throw .truncated(
                header.format, detail: "\(file.count) bytes cannot hold \(header.width)×\(header.height) pixels")
        }
        return header
    }

    /// Decodes a whole file; `budget` is charged row by row.
    package func decode(_ file: [UInt8], budget: WorkBudget = .generous()) throws(ImageError) -> Image {
        let header = try header(of: file)
        let stored = try storedPixels(of: file, header, budget)
        return header.orientation.apply(to: Image(width: header.width, height: header.height, pixels: stored))
    }

    private func storedPixels(of file: [UInt8], _ header: ImageHeader, _ budget: WorkBudget) throws(ImageError) -> [UInt8] {
        let count = header.width * header.height * 3
        var status = CIMAGE_OK
        var target = cimage_target()
        target.width = UInt32(header.width)
        target.height = UInt32(header.height)
        target.drops_alpha = alpha == .dropped ? 1 : 0
        target.watch = cimage_watch(
            proceeds: { context, pixels in
                guard let context else { return 1 }
                let budget = Unmanaged<WorkBudget>.fromOpaque(context).takeUnretainedValue()
                // About as many nanoseconds as decoding a pixel takes.
                do throws(WorkLimitError) { try budget.spend(10 * pixels) } catch { return 0 }
                return 1
            }, context: Unmanaged.passUnretained(budget).toOpaque())
        defer { withExtendedLifetime(budget) {} }
        let pixels = [UInt8](unsafeUninitializedCapacity: count) { buffer, initialized in
            target.rgb = buffer.baseAddress
            status = header.format.decoder(file, file.count, &target)
            initialized = status == CIMAGE_OK ? count : 0
        }
        let detail = withUnsafeBytes(of: target.message) { String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self) }
        switch status {
        case CIMAGE_OK: return pixels
        case CIMAGE_TRUNCATED: throw .truncated(header.format, detail: detail)
        case CIMAGE_UNSUPPORTED: throw .unsupported(header.format, detail: detail)
        case CIMAGE_STOPPED:
            do throws(WorkLimitError) { try budget.check() } catch { throw .stopped(error) }
            throw .stopped(.cancelled)
        case CIMAGE_NO_MEMORY: throw .outOfMemory(width: header.width, height: header.height)
        default: throw .corrupt(header.format, detail: detail)
        }
    }
}

extension ImageFormat {
    /// The C function that decodes files of this format.
    fileprivate var decoder: (UnsafePointer<UInt8>?, Int, UnsafeMutablePointer<cimage_target>?) -> cimage_status {
        switch self {
        case .jpeg: cimage_decode_jpeg
        case .png: cimage_decode_png
        case .webp: cimage_decode_webp
        case .gif: cimage_decode_gif
        case .bmp: cimage_decode_bmp
        case .tiff: cimage_decode_tiff
        }
    }
}

extension ImageHeader.Orientation {
    /// The upright image for rows stored in this orientation.
    func apply(to image: Image) -> Image {
        if self == .upright { return image }
        let width = swapsSides ? image.height : image.width
        let height = swapsSides ? image.width : image.height
        let (start, right, down) = walk(width: image.width, height: image.height)
        // Squares keep both the rows that are read and the rows that are written in the cache.
        let side = 32
        let pixels = [UInt8](unsafeUninitializedCapacity: image.pixels.count) { target, initialized in
            image.pixels.withUnsafeBufferPointer { source in
                for top in stride(from: 0, to: height, by: side) {
                    for left in stride(from: 0, to: width, by: side) {
                        for y in top..<min(top + side, height) {
                            var out = (y * width + left) * 3
                            var from = (start + y * down + left * right) * 3
                            for _ in left..<min(left + side, width) {
                                target[out] = source[from]
                                target[out + 1] = source[from + 1]
                                target[out + 2] = source[from + 2]
                                out += 3
                                from += right * 3
                            }
                        }
                    }
                }
            }
            initialized = image.pixels.count
        }
        return Image(width: width, height: height, pixels: pixels)
    }

    /// Which stored pixel is the upright first one, and how far apart neighbours to the right and below are stored.
    private func walk(width: Int, height: Int) -> (start: Int, right: Int, down: Int) {
        let bottom = (height - 1) * width
        return switch self {
        case .upright: (0, 1, width)
        case .mirrored: (width - 1, -1, width)
        case .turned: (bottom + width - 1, -1, -width)
        case .flipped: (bottom, 1, -width)
        case .transposed: (0, width, 1)
        case .turnedRight: (bottom, -width, 1)
        case .transversed: (bottom + width - 1, -width, -1)
        case .turnedLeft: (width - 1, width, -1)
        }
    }
}
