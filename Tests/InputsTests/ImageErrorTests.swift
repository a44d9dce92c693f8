import Inputs
import Plan
import Testing

struct ImageErrorTests {
    /// A processor that has every picture grow may not make it grow without bound.
    @Test func picturesDoNotGrowWithoutBound() throws {
        let spec = ImageFixture.spec(minPixels: 1 << 30, maxPixels: 1 << 31 - 1)
        let error = try #require(throws: ImageError.self) { _ = try PictureReader(spec).layout(width: 100, height: 100) }
        #expect("\(error)".contains("no memory for a picture"))
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
        ("GIF89a\u{1}\0\u{1}\0", "GIF"), ("RIFF\0\0\0\0WEBPVP8 ", "WebP"), ("BM\0\0\0\0", "BMP"), ("II*\0\u{8}\0\0\0", "TIFF"),
        ("\0\0\0 ftypavif", "AVIF"), ("\0\0\0 ftypheic", "HEIC"), ("%PDF-1.7", "PDF"), ("<svg xmlns=\"…\"/>", "SVG"),
        ("<!DOCTYPE html><title>Not found</title>", "HTML"), ("hello", "text"), ("\u{1}\u{2}", "01 02"), ("\0", "00"),
    ])
    func otherFormatsAreNamed(_ start: String, _ name: String) {
        do {
            _ = try Self.decoder.decode(Array(start.utf8))
            Issue.record("accepted")
        } catch {
            if case .unknownFormat(let found) = error { #expect(found.contains(name)) } else { Issue.record("\(error)") }
            #expect(error.description.contains("neither JPEG nor PNG"))
        }
    }

    @Test(arguments: [pngHeader(60000, 60000), jpegHeader(60000, 60000)])
    func hugeHeadersAreRefusedUnread(_ file: [UInt8]) {
        #expect(throws: ImageError.tooManyPixels(width: 60000, height: 60000, limit: ImageDecoder.defaultMaxPixels)) {
            try Self.decoder.decode(file)
        }
    }

    @Test(arguments: [pngHeader(12000, 12000), jpegHeader(12000, 12000)])
    func aFewBytesDoNotTakeTheMemoryOfAHugePicture(_ file: [UInt8]) {
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

    @Test(arguments: ["rgb-420.jpg", "rgb-420-progressive.jpg", "gray.jpg", "cmyk.jpg", "rgb8.png", "rgba8-interlaced.png", "palette4-trns.png"])
    func aCutFileIsAnErrorWhereverItIsCut(_ name: String) throws {
        let file = try ImageFixture.file(name)
        // The last chunk of a PNG says only that nothing follows; twelve bytes without a pixel, and the check of the one before.
        let needed = name.hasSuffix("png") ? file.count - 16 : file.count
        for count in 1..<needed {
            #expect(throws: ImageError.self, "cut to \(count) of \(file.count) bytes") {
                try Self.decoder.decode(Array(file[..<count]))
            }
        }
    }

    @Test func aTruncatedFileSaysSo() throws {
        for name in ["rgb-420.jpg", "rgb8.png"] {
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
        let files = try names.map(ImageFixture.file)
        let limited = ImageDecoder(maxPixels: 1 << 18)
        var refused = 0
        for _ in 0..<1500 {
            var file = files[next(files.count)]
            for _ in 0...next(6) { file[next(file.count)] = UInt8(next(256)) }
            if next(4) == 0 { file.removeLast(next(file.count - 1)) }
            do {
                let picture = try limited.decode(file)
                #expect(picture.pixels.count == picture.width * picture.height * 3)
            } catch {
                refused += 1
                #expect(!error.description.isEmpty)
            }
        }
        #expect(refused > 500)
    }
}
