/// Headers of the kinds beside JPEG and PNG.
extension ImageHeader {
    /// Reads the first chunk, and the metadata of a file that announces some.
    static func webp(_ file: [UInt8]) throws(ImageError) -> ImageHeader {
        var reader = ByteReader(file, at: 4)
        guard let length = reader.little(4), reader.skip(4), let name = reader.take(4), let bodyLength = reader.little(4),
            let body = reader.take(10)
        else { throw .truncated(.webp, detail: "there is no header chunk") }
        guard length + 8 <= file.count else {
            throw .truncated(.webp, detail: "the header says \(length + 8) bytes and there are \(file.count)")
        }
        var fields = ByteReader(body)
        var orientation: Int?
        var size: (width: Int, height: Int)?
        switch String(decoding: name, as: UTF8.self) {
        case "VP8 ":
            fields.skip(6)
            if let width = fields.little(2), let height = fields.little(2) { size = (width & 0x3FFF, height & 0x3FFF) }
        case "VP8L":
            fields.skip(1)
            if let bits = fields.little(4) { size = (bits & 0x3FFF + 1, bits >> 14 & 0x3FFF + 1) }
        case "VP8X":
            guard let flags = fields.byte(), fields.skip(3) else { break }
            if let width = fields.little(3), let height = fields.little(3) { size = (width + 1, height + 1) }
            let chunks = file[min(20 + bodyLength + bodyLength % 2, length + 8)..<length + 8]
            orientation = webpOrientation(chunks, hasExif: flags & 8 != 0, hasXMP: flags & 4 != 0)
        default: break
        }
        guard let size else { throw .corrupt(.webp, detail: "the first chunk is not a header") }
        return .init(format: .webp, width: size.width, height: size.height, orientation: orientation, leastBytes: 0)
    }

    /// The orientation in the first EXIF chunk, else in the first XMP packet.
    private static func webpOrientation(_ chunks: ArraySlice<UInt8>, hasExif: Bool, hasXMP: Bool) -> Int? {
        var reader = ByteReader(chunks)
        var exif: ArraySlice<UInt8>?
        var xmp: ArraySlice<UInt8>?
        while let name = reader.take(4), let length = reader.little(4), let body = reader.take(length) {
            reader.skip(length % 2)
            if name.elementsEqual("EXIF".utf8), hasExif { exif = exif ?? body }
            if name.elementsEqual("XMP ".utf8), hasXMP { xmp = xmp ?? body }
        }
        return exif.flatMap { Exif.orientation(exif: Array($0)) } ?? xmp.flatMap { Exif.orientation(xmp: $0) }
    }

    /// Walks the blocks up to the first frame: the canvas grows where the frame is larger.
    static func gif(_ file: [UInt8]) throws(ImageError) -> ImageHeader {
        let cut = ImageError.truncated(.gif, detail: "the file ends before the first image")
        var reader = ByteReader(file, at: 6)
        guard let width = reader.little(2), let height = reader.little(2), let flags = reader.byte(), reader.skip(2),
            flags & 0x80 == 0 || reader.skip(3 << (Int(flags & 7) + 1))
        else { throw cut }
        while let kind = reader.byte() {
            if kind == 0x21, reader.skip(1) {
                while let length = reader.byte(), length > 0, reader.skip(Int(length)) {}
            } else if kind == 0x2C {
                guard let left = reader.little(2), let top = reader.little(2), let columns = reader.little(2),
                    let rows = reader.little(2)
                else { throw cut }
                // A code of at least three bits, twelve where they are long, stands for less than 4096 pixels.
                return .init(
                    format: .gif, width: max(width, left + columns), height: max(height, top + rows), orientation: nil,
                    leastBytes: columns * rows / 4096)
            } else {
                throw .corrupt(.gif, detail: "there is no image in the file")
            }
        }
        throw cut
    }

    /// Reads the sizes of all generations of the header.
    static func bmp(_ file: [UInt8]) throws(ImageError) -> ImageHeader {
        var reader = ByteReader(file, at: 14)
        guard let length = reader.little(4), let fields = reader.take(length == 12 ? 8 : 16) else {
            throw .truncated(.bmp, detail: "the header is cut off")
        }
        var reading = ByteReader(fields)
        let sideBytes = length == 12 ? 2 : 4
        guard let width = reading.little(sideBytes), let stored = reading.little(sideBytes), reading.skip(2),
            let bits = reading.little(2)
        else { throw .truncated(.bmp, detail: "the header is cut off") }
        // A negative height means rows from top to bottom.
        let height = length != 12 && stored >> 24 == 0xFF ? 1 << 32 - stored : stored
        let coding = length == 12 ? 0 : reading.little(4) ?? 0
        let isInRuns = coding == 1 || coding == 2
        return .init(
            format: .bmp, width: width, height: height, orientation: nil,
            leastBytes: isInRuns ? height / 128 : bytes(width: width, height: height, bitsPerPixel: bits))
    }

    /// Reads the first directory.
    static func tiff(_ file: [UInt8]) throws(ImageError) -> ImageHeader {
        guard let directory = TIFFDirectory(file), let width = directory.value(of: 256), let height = directory.value(of: 257)
        else { throw .truncated(.tiff, detail: "its first directory with the size is not in the file") }
        let orientation = directory.value(of: 274) ?? directory.data(of: 700).flatMap { Exif.orientation(xmp: $0) }
        let bits = (directory.value(of: 258) ?? 1).multipliedReportingOverflow(by: directory.value(of: 277) ?? 1)
        let raw = bytes(width: width, height: height, bitsPerPixel: bits.overflow ? .max : bits.partialValue)
        // What one byte becomes at most in each of the codings; colours of less resolution than light take a third.
        let least = switch directory.value(of: 259) ?? 1 {
        case 1: directory.value(of: 262) == 6 ? raw / 3 : raw
        case 5: raw / 2600
        case 8, 32946: raw / 1032
        case 32773: raw / 64
        case 7: bytes(width: width / 8, height: height / 8, bitsPerPixel: 1)
        default: height / 8
        }
        return .init(format: .tiff, width: width, height: height, orientation: orientation, leastBytes: max(least, 0))
    }

    /// Bytes of rows without padding; the largest number where they are more.
    private static func bytes(width: Int, height: Int, bitsPerPixel: Int) -> Int {
        let row = width.multipliedReportingOverflow(by: bitsPerPixel)
        let all = (row.partialValue / 8).multipliedReportingOverflow(by: height)
        return row.overflow || all.overflow ? .max : all.partialValue
    }
}
