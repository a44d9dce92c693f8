package import Budgets

/// A decoded image: 8-bit RGB, upright, without alpha.
package struct Image: Sendable, Hashable {
    /// Pixels per row.
    package let width: Int
    /// Rows.
    package let height: Int
    /// `height · width · 3` bytes, rows top to bottom, red first.
    package let pixels: [UInt8]

    /// An image of the given bytes, whose count must be `height · width · 3`, both sides positive.
    package init(width: Int, height: Int, pixels: [UInt8]) {
        precondition(width > 0 && height > 0 && pixels.count == width * height * 3, "pixels do not match the size")
        self.width = width
        self.height = height
        self.pixels = pixels
    }
}

/// Why an image cannot be used: the fact, the place, and what would help.
package enum ImageError: Error, Hashable, CustomStringConvertible {
    /// The file has no bytes.
    case empty
    /// Of no kind that is decoded; `found` names what the first bytes look like.
    case unknownFormat(found: String)
    /// The header announces more pixels than `limit`; nothing was decoded.
    case tooManyPixels(width: Int, height: Int, limit: Int)
    /// The file ends before the image does.
    case truncated(ImageFormat, detail: String)
    /// The file breaks the rules of its format.
    case corrupt(ImageFormat, detail: String)
    /// A legal file of a kind that is not decoded.
    case unsupported(ImageFormat, detail: String)
    /// The decoder or a resize ran out of memory.
    case outOfMemory(width: Int, height: Int)
    /// Work on the request was given up.
    case stopped(WorkLimitError)
    /// HF's `smart_resize` refuses images more than 200 times as long as they are wide.
    case aspectRatio(width: Int, height: Int)
    /// Of one side nothing would be left.
    case tooThin(width: Int, height: Int)
    /// The processor does not resize and the sides are not multiples of its cell.
    case sizeNotMultiple(width: Int, height: Int, multiple: Int)
    /// The resized image would have more patches than the model accepts.
    case tooManyPatches(count: Int, limit: Int, isVideo: Bool = false)
    /// Bounds of pixels were asked for that the model's processor does not have.
    case noPixelBounds
    /// The bounds of pixels leave none.
    case pixelBounds(least: Int, most: Int)
    /// Embeddings stand for an image of a grid of patches that the processor makes of no image.
    case gridUnknown(height: Int, width: Int)
    /// Embeddings have another number of rows than such an image has features.
    case embeddingsUnlike(rows: Int, features: Int)
    /// The model reads text only.
    case noVision
    /// A video has fewer frames than the model's processor takes.
    case fewFrames(count: Int, least: Int)
    /// A frame of a list has another size than the first.
    case frameUnlike(index: Int, width: Int, height: Int)
    /// A video file cannot be read; the reason follows "the video".
    case video(String)
    /// The model takes no videos; the fault that keeps it from them, if there is one.
    case noVideos(fault: String?)

    package var description: String {
        switch self {
        case .noVision: "the model reads text only"
        case .fewFrames(let count, let least): "the video has \(count) frames, fewer than the \(least) that the model takes at least"
        case .frameUnlike(let index, let width, let height):
            "frame \(index) of the video has \(width)×\(height) pixels, which are not those of the first; send frames of one size"
        case .video(let reason): "the video \(reason)"
        case .noVideos(let fault): "the video cannot be read: the model takes no videos" + (fault.map { " (\($0))" } ?? "")
        case .gridUnknown(let height, let width): "the model's processor makes no grid of \(height) × \(width) patches"
        case .embeddingsUnlike(let rows, let features):
            "\(rows) rows are given, and such an image has \(features); image_grid_thw or image_size says which image they are of"
        case .empty:
            "the image has 0 bytes; send a \(ImageFormat.list) file"
        case .unknownFormat(let found):
            "the image is not a \(ImageFormat.list) file: it looks like \(found); convert it to one of these kinds"
        case .tooManyPixels(let width, let height, let limit):
            "the image's header says \(width)×\(height) pixels, more than the limit of \(limit); "
                + "send a smaller image (vlm-serve --max-image-pixels sets the limit)"
        case .truncated(let format, let detail):
            "the \(format) image is truncated: \(detail); send the whole file"
        case .corrupt(let format, let detail):
            "the \(format) image is corrupt: \(detail); write it again with another program"
        case .unsupported(let format, let detail):
            "this kind of \(format) image is not supported: \(detail); convert it to a baseline JPEG or a PNG"
        case .outOfMemory(let width, let height):
            "no memory for an image of \(width)×\(height) pixels; send a smaller one"
        case .stopped(let reason): reason.description
        case .aspectRatio(let width, let height):
            "the image of \(width)×\(height) pixels is more than 200 times as long as it is wide; crop it"
        case .tooThin(let width, let height):
            "of the image of \(width)×\(height) pixels nothing is left when it is resized to what the model sees; crop it"
        case .sizeNotMultiple(let width, let height, let multiple):
            "the image of \(width)×\(height) pixels is not resized by this model (do_resize is false); "
                + "both sides must be multiples of \(multiple)"
        case .tooManyPatches(let count, let limit, let isVideo):
            "\(isVideo ? "each step of the video" : "the image") becomes \(count) patches, more than the model's limit of \(limit); "
                + "send a smaller one, or lower min_pixels and max_pixels"
        case .noPixelBounds: "the model's image processor has no min_pixels and max_pixels; leave them out"
        case .pixelBounds(let least, let most): "min_pixels \(least) is more than max_pixels \(most)"
        }
    }
}

/// The formats that are decoded: the one list that messages and documents are checked against.
package enum ImageFormat: String, Sendable, Hashable, CaseIterable, CustomStringConvertible {
    case jpeg = "JPEG"
    case png = "PNG"
    case webp = "WebP"
    case gif = "GIF"
    case bmp = "BMP"
    case tiff = "TIFF"

    package var description: String { rawValue }

    /// All of them, as a sentence names them.
    package static let list: String = {
        let names = allCases.map(\.rawValue)
        return names.dropLast().joined(separator: ", ") + " or " + names[names.count - 1]
    }()

    /// The format of a file that starts so.
    init?(start file: [UInt8]) {
        func has(_ bytes: [UInt8], at offset: Int = 0) -> Bool { file.dropFirst(offset).starts(with: bytes) }
        if has([0xFF, 0xD8, 0xFF]) {
            self = .jpeg
        } else if has([0x89, 0x50, 0x4E, 0x47, 0x0D, 0x0A, 0x1A, 0x0A]) {
            self = .png
        } else if has(Array("RIFF".utf8)), has(Array("WEBP".utf8), at: 8) {
            self = .webp
        } else if has(Array("GIF87a".utf8)) || has(Array("GIF89a".utf8)) {
            self = .gif
        } else if has(Array("BM".utf8)) {
            self = .bmp
        } else if TIFFDirectory.marks.contains(where: { has($0.bytes) }) {
            self = .tiff
        } else {
            return nil
        }
    }
}
