import Inputs
import Plan
import Testing

struct ImageErrorTests {
    /// A processor that has every image grow may not make it grow without bound.
    @Test func imagesDoNotGrowWithoutBound() throws {
        let spec = ImageFixture.spec(minPixels: 1 << 30, maxPixels: 1 << 31 - 1)
        let error = try #require(throws: ImageError.self) { _ = try ImageReader(spec).layout(width: 100, height: 100) }
        #expect("\(error)".contains("no memory for an image"))
    }

    static let decoder = ImageDecoder()

    /// A PNG header that announces a size, with nothing behind it.
    static func pngHeader(_ width: UInt32, _ height: UInt32) -> [UInt8] {
        func bigEndian(_ value: UInt32) -> [UInt8] { (0..<4).reversed().map { UInt8(truncatingIfNeeded: value >> ($0 * 8)) } }
        return [0x89, 0x50, 0x4E, 0x47, 0x0D, 0x0A, 0x1A, 0x0A, 0, 0, 0, 13] + Array("IHDR".utf8)
            + bigEndian(width) + bigEndian(height) + [8, 2, 0, 0, 0, 0, 0, 0, 0]
    }

    /// A JPEG frame header that announces a size, with nothing behind it.
    static func jpegHeader(_ width: UInt16, _ height: UInt16) -> [UInt8] {
        [0xFF, 0xD8, 0xFF, 0xC0, 0, 17, 8, UInt8(height >> 8), UInt8(height & 255), UInt8(width >> 8), UInt8(width & 255)]
            + [3, 1, 0x11, 0, 2, 0x11, 0, 3, 0x11, 0]
    }

    @Test func nothingIsAnError() {
        #expect(throws: ImageError.empty) { try Self.decoder.decode([]) }
    }

    @Test(arguments: [
        ("\0\0\0 ftypavif", "AVIF, whose decoders"), ("\0\0\0 ftypheic", "HEIC, whose decoders"), ("\0\0\0 ftypmif1", "AVIF"), ("%PDF-1.7", "PDF"), ("<svg xmlns=\"…\"/>", "SVG"),
        ("<!DOCTYPE html><title>Not found</title>", "HTML"), ("hello", "text"), ("\u{1}\u{2}", "01 02"), ("\0", "00"),
    ])
    func otherFormatsAreNamed(_ start: String, _ name: String) {
        do {
            _ = try Self.decoder.decode(Array(start.utf8))
            Issue.record("accepted")
        } catch {
            if case .unknownFormat(let found) = error { #expect(found.contains(name)) } else { Issue.record("\(error)") }
            #expect(error.description.contains("not a \(ImageFormat.list) file"))
        }
    }

    @Test(arguments: [
        ("GIF89a\u{1}\0\u{1}\0", ImageFormat.gif), ("RIFF\0\0\0\0WEBPVP8 ", .webp), ("BM\0\0\0\0", .bmp), ("II*\0\u{8}\0\0\0", .tiff),
        ("MM\0+\0\u{8}\0\0", .tiff), ("RIFF\u{1}\0\0\0WEBPVP9 \u{1}\0\0\0 0123456789", .webp), ("GIF87a\u{1}\0\u{1}\0\0\0\0;", .gif),
    ])
    func startsOfKnownKindsNameTheKind(_ start: String, _ format: ImageFormat) {
        let error = #expect(throws: ImageError.self) { try Self.decoder.decode(Array(start.utf8)) }
        switch error {
        case .truncated(format, _), .corrupt(format, _): break
        default: Issue.record("\(String(describing: error))")
        }
    }

    static func little(_ value: Int, _ count: Int) -> [UInt8] { (0..<count).map { UInt8(truncatingIfNeeded: value >> ($0 * 8)) } }

    /// Headers that announce a size with nothing behind them, one of each kind that counts bytes from the lowest.
    static func littleHeaders(_ width: Int, _ height: Int) -> [[UInt8]] {
        let sides = little(width, 2) + little(height, 2)
        let entries = [(256, width), (257, height), (258, 8), (277, 3), (262, 2)]
        return [
            Array("GIF89a".utf8) + sides + [0, 0, 0, 0x2C, 0, 0, 0, 0] + sides + [0, 8],
            Array("BM".utf8) + little(0, 8) + little(54, 4) + little(40, 4) + little(width, 4) + little(height, 4) + little(1, 2)
                + little(24, 2) + little(0, 24),
            [0x49, 0x49, 42, 0, 8, 0, 0, 0] + little(entries.count, 2)
                + entries.flatMap { little($0.0, 2) + little(4, 2) + little(1, 4) + little($0.1, 4) } + little(0, 4),
        ]
    }

    static func webpHeader(_ width: Int, _ height: Int) -> [UInt8] {
        Array("RIFF".utf8) + little(22, 4) + Array("WEBPVP8X".utf8) + little(10, 4) + little(0, 4) + little(width - 1, 3) + little(height - 1, 3)
    }

    /// A TIFF directory may give sizes as signed numbers, in eight bytes, or too many of them.
    @Test(arguments: [(9, 4, -5), (16, 8, -1), (16, 8, 1 << 62), (4, 4, 0), (13, 4, 0xFFFF_FFFF)])
    func strangeSizesAreErrors(_ type: Int, _ count: Int, _ value: Int) {
        let entry = Self.little(type, 2) + Self.little(1, 8) + Self.little(value, count) + Self.little(0, 8 - count)
        let file: [UInt8] = [0x49, 0x49, 43, 0, 8, 0, 0, 0] + Self.little(16, 8) + Self.little(2, 8) + Self.little(256, 2) + entry
            + Self.little(257, 2) + entry
        #expect(throws: ImageError.self) { try ImageDecoder(maxPixels: .max).decode(file) }
        #expect(throws: ImageError.self) { try ImageDecoder(maxPixels: .max).decode(file + Self.little(0, 8)) }
    }

    @Test(arguments: [pngHeader(60000, 60000), jpegHeader(60000, 60000), webpHeader(60000, 60000)] + littleHeaders(60000, 60000))
    func hugeHeadersAreRefusedUnread(_ file: [UInt8]) {
        #expect(throws: ImageError.tooManyPixels(width: 60000, height: 60000, limit: ImageDecoder.defaultMaxPixels)) {
            try Self.decoder.decode(file)
        }
    }

    @Test(arguments: [pngHeader(12000, 12000), jpegHeader(12000, 12000)] + littleHeaders(12000, 12000))
    func aFewBytesDoNotTakeTheMemoryOfAHugeImage(_ file: [UInt8]) {
        do {
            _ = try Self.decoder.decode(file + [UInt8](repeating: 0, count: 1000))
            Issue.record("accepted")
        } catch {
            #expect(error.description.contains("cannot hold 12000×12000 pixels"))
        }
    }

    @Test func theLimitIsInclusive() throws {
        let file = try ImageFixture.file("rgb8.png")
        #expect(throws: ImageError.tooManyPixels(width: 37, height: 29, limit: 1072)) {
            try ImageDecoder(maxPixels: 1072).decode(file)
        }
        #expect(try ImageDecoder(maxPixels: 1073).decode(file).width == 37)
    }

    @Test func overflowingSizesAreRefused() {
        #expect(throws: ImageError.self) { try ImageDecoder(maxPixels: .max).decode(Self.pngHeader(.max, .max)) }
        #expect(throws: ImageError.self) { try Self.decoder.decode(Self.pngHeader(0, 5)) }
        #expect(throws: ImageError.self) { try Self.decoder.decode(Self.jpegHeader(5, 0)) }
    }

    @Test(arguments: [
        "rgb-420.jpg", "rgb-420-progressive.jpg", "gray.jpg", "cmyk.jpg", "rgb8.png", "rgba8-interlaced.png", "palette4-trns.png",
        "lossy.webp", "lossless-alpha.webp", "film.webp", "palette64.gif", "local.gif", "palette4.bmp", "rgb24.bmp", "runs4.bmp",
        "rgb-jpeg.tif", "two-group4.tif", "gray-packbits.tif", "big.tif",
    ])
    func aCutFileIsAnErrorWhereverItIsCut(_ name: String) throws {
        let file = try ImageFixture.file(name)
        // The last chunk of a PNG says only that nothing follows; twelve bytes without a pixel, and the check of the one before.
        // GIF and BMP end with a mark or padding, TIFF with the place of a next page.
        let spare = name.hasSuffix("png") ? 16 : name.hasSuffix("jpg") || name.hasSuffix("webp") ? 0 : 4
        let needed = file.count - spare
        for count in 1..<needed {
            #expect(throws: ImageError.self, "cut to \(count) of \(file.count) bytes") {
                try Self.decoder.decode(Array(file[..<count]))
            }
        }
    }

    @Test func aTruncatedFileSaysSo() throws {
        for name in ["rgb-420.jpg", "rgb8.png", "lossy.webp", "palette64.gif", "rgb24.bmp", "big.tif"] {
            let file = try ImageFixture.file(name)
            do {
                _ = try Self.decoder.decode(Array(file[..<(file.count / 2)]))
                Issue.record("accepted")
            } catch {
                if case .truncated = error {} else { Issue.record("\(error)") }
            }
        }
    }

    @Test func aTruncatedJPEGWithAnEndMarkerIsNotFilledWithGray() throws {
        let file = try ImageFixture.file("rgb-420.jpg")
        #expect(throws: ImageError.self) {
            try Self.decoder.decode(Array(file[..<(file.count - 300)]) + [0xFF, 0xD9])
        }
    }

    @Test func randomDamageNeverTraps() throws {
        var state: UInt64 = 0x9E37_79B9_7F4A_7C15
        func next(_ bound: Int) -> Int {
            state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
            return Int(state >> 33) % bound
        }
        let names = ["rgb-420.jpg", "rgb-420-progressive.jpg", "ycck.jpg", "exif6.jpg", "rgba16-interlaced.png", "palette8-trns.png"]
            + ["lossy-alpha.webp", "film.webp", "interlaced.gif", "runs8.bmp", "rgba32-v4.bmp", "tiles.tif", "rgb-jpeg.tif", "two-group3.tif"]
        let files = try names.map(ImageFixture.file)
        let limited = ImageDecoder(maxPixels: 1 << 18)
        var refused = 0
        for _ in 0..<4000 {
            var file = files[next(files.count)]
            for _ in 0...next(6) { file[next(file.count)] = UInt8(next(256)) }
            if next(4) == 0 { file.removeLast(next(file.count - 1)) }
            do {
                let image = try limited.decode(file)
                #expect(image.pixels.count == image.width * image.height * 3)
            } catch {
                refused += 1
                #expect(!error.description.isEmpty)
            }
        }
        #expect(refused > 500)
    }
}
