/// What the first segments of an image file say, read without decoding anything.
package struct ImageHeader: Sendable, Hashable {
    package var format: ImageFormat
    /// Size as stored, before the orientation is applied.
    package var width: Int
    package var height: Int
    /// How the stored rows lie relative to the upright image.
    package var orientation: Orientation
    /// Size of the upright image.
    package var uprightSize: (width: Int, height: Int) { orientation.swapsSides ? (height, width) : (width, height) }
    /// A whole file of this size cannot have fewer bytes, however well it is packed.
    package var leastBytes: Int

    /// The EXIF orientation: where the stored first row and column belong in the upright image.
    package enum Orientation: Int, Sendable, Hashable, CaseIterable {
        case upright = 1, mirrored, turned, flipped, transposed, turnedRight, transversed, turnedLeft

        /// Whether width and height change places.
        var swapsSides: Bool { rawValue >= 5 }
    }

    /// Reads the header of a file of a known format; every other is an error that names it.
    package init(_ file: [UInt8]) throws(ImageError) {
        if file.isEmpty { throw .empty }
        guard let format = ImageFormat(start: file) else { throw .unknownFormat(found: Self.guess(file)) }
        switch format {
        case .jpeg: self = try Self.jpeg(file)
        case .png: self = try Self.png(file)
        case .webp: self = try Self.webp(file)
        case .gif: self = try Self.gif(file)
        case .bmp: self = try Self.bmp(file)
        case .tiff: self = try Self.tiff(file)
        }
        if width <= 0 || height <= 0 {
            throw .corrupt(format, detail: "the header says \(width)×\(height) pixels")
        }
    }

    init(format: ImageFormat, width: Int, height: Int, orientation: Int?, leastBytes: Int) {
        self.format = format
        self.width = width
        self.height = height
        self.orientation = Orientation(code: orientation)
        self.leastBytes = leastBytes
    }

    /// Walks the segments up to the first scan.
    private static func jpeg(_ file: [UInt8]) throws(ImageError) -> ImageHeader {
        var reader = ByteReader(file, at: 2)
        var size: (width: Int, height: Int)?
        var isHuffmanCoded = true
        var exif: [UInt8] = []
        var xmp: ArraySlice<UInt8>?
        while let marker = reader.nextMarker() {
            if marker == 0xDA || marker == 0xD9 { break }
            if marker == 0x01 || (0xD0...0xD8).contains(marker) { continue }
            guard let length = reader.uint16(), length >= 2, let body = reader.take(length - 2) else {
                throw .truncated(.jpeg, detail: "a header segment is cut off")
            }
            var fields = ByteReader(body)
            switch marker {
            case 0xC0...0xC3, 0xC5...0xC7, 0xC9...0xCB, 0xCD...0xCF:
                fields.skip(1)
                guard let height = fields.uint16(), let width = fields.uint16() else {
                    throw .corrupt(.jpeg, detail: "the frame header is too short")
                }
                size = size ?? (width, height)
                isHuffmanCoded = marker < 0xC8
            case 0xE1 where body.starts(with: Exif.prefix):
                exif.append(contentsOf: exif.isEmpty ? body : body.dropFirst(Exif.prefix.count))
            case 0xE1 where body.starts(with: Exif.xmpPrefix):
                xmp = body.dropFirst(Exif.xmpPrefix.count)
            default: break
            }
        }
        guard let size else { throw .truncated(.jpeg, detail: "there is no frame header") }
        let orientation = (exif.isEmpty ? nil : Exif.orientation(exif: exif)) ?? xmp.flatMap { Exif.orientation(xmp: $0) }
        // Each block of 8×8 pixels takes at least one bit of Huffman code.
        let blocks = ((size.width + 7) / 8) * ((size.height + 7) / 8)
        return .init(
            format: .jpeg, width: size.width, height: size.height, orientation: orientation,
            leastBytes: isHuffmanCoded ? blocks / 8 : 0)
    }

    /// Reads IHDR, then looks through the other chunks for an orientation.
    private static func png(_ file: [UInt8]) throws(ImageError) -> ImageHeader {
        var reader = ByteReader(file, at: 8)
        guard let length = reader.uint32(), let name = reader.take(4) else {
            throw .truncated(.png, detail: "there is no header chunk")
        }
        guard length == 13, name.elementsEqual(Array("IHDR".utf8)) else {
            throw .corrupt(.png, detail: "the first chunk is not a header")
        }
        guard let width = reader.uint32(), let height = reader.uint32(), let depth = reader.byte(), reader.skip(8) else {
            throw .truncated(.png, detail: "the header chunk is cut off")
        }
        var metadata = PNGMetadata()
        while let length = reader.uint32(), let name = reader.take(4), let body = reader.take(length), reader.skip(4) {
            metadata.read(name, body)
        }
        // Deflate packs at most 1032 bytes into one; width, height and depth are at most 2³², 2³² and 2⁸ here.
        let rowBytes = width / 8 * Int(min(depth, 16)) + 1
        let raw = rowBytes.multipliedReportingOverflow(by: height)
        return .init(
            format: .png, width: width, height: height, orientation: metadata.orientation,
            leastBytes: raw.overflow ? .max : raw.partialValue / 1032)
    }

    /// A name for what the bytes look like, for the error message.
    private static func guess(_ file: [UInt8]) -> String {
        let head = Array(file.prefix(512))
        func has(_ text: String, at offset: Int = 0) -> Bool { head.dropFirst(offset).starts(with: text.utf8) }
        if has("ftyp", at: 4) {
            let brand = String(decoding: head.dropFirst(8).prefix(4), as: UTF8.self)
            let reason = ", whose decoders can be neither stopped nor bounded in memory"
            if brand.hasPrefix("avi") { return "AVIF" + reason }
            if brand.hasPrefix("hei") || brand.hasPrefix("hev") { return "HEIC" + reason }
            if brand == "mif1" || brand == "msf1" { return "HEIC or AVIF" + reason }
            return "a film (MP4)"
        }
        if head.starts(with: [0xFF, 0x0A]) || has("JXL ", at: 4) { return "JPEG XL" }
        if head.starts(with: [0xFF, 0x4F, 0xFF, 0x51]) || has("jP  ", at: 4) { return "JPEG 2000" }
        if has("%PDF") { return "PDF" }
        if has("8BPS") { return "Photoshop" }
        if head.starts(with: [0, 0, 1, 0]) { return "ICO" }
        if has("P"), head.count > 2, (0x31...0x37).contains(head[1]), head[2] <= 0x20 { return "PNM" }
        let text = String(decoding: head, as: UTF8.self).lowercased()
        if text.contains("<svg") { return "SVG" }
        if text.contains("<html") || text.contains("<!doctype html") { return "an HTML page" }
        if head.allSatisfy({ $0 == 9 || $0 == 10 || $0 == 13 || $0 >= 32 }) { return "text" }
        return "unknown data starting with " + head.prefix(4).map(hexadecimal).joined(separator: " ")
    }

    private static func hexadecimal(_ byte: UInt8) -> String {
        (byte < 16 ? "0" : "") + String(byte, radix: 16)
    }
}

extension ImageHeader.Orientation {
    /// A missing or unknown code means upright.
    init(code: Int?) { self = code.flatMap(Self.init(rawValue:)) ?? .upright }
}
