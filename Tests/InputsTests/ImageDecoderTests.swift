import Foundation
import Inputs
import Testing

struct ImageDecoderTests {
    struct FileCase: Decodable, Sendable, CustomTestStringConvertible {
        var name: String
        var width, height: Int
        var bytes: String
        var testDescription: String { name }
    }

    @Test(arguments: try ImageFixture.load("files.json", as: [FileCase].self))
    func filesDecodeAsTransformersLoadsThem(_ expected: FileCase) throws {
        let image = try ImageDecoder().decode(try ImageFixture.file(expected.name))
        #expect(image.width == expected.width)
        #expect(image.height == expected.height)
        #expect(ImageFixture.checksum(image.pixels) == expected.bytes)
    }

    struct KindCase: Decodable, Sendable, CustomTestStringConvertible {
        var name: String
        var width, height: Int
        var bytes, dropped: String
        var testDescription: String { name }
    }

    @Test(arguments: try ImageFixture.load("kinds.json", as: [KindCase].self))
    func otherKindsDecodeAsPillowReadsThem(_ expected: KindCase) throws {
        let file = try ImageFixture.file(expected.name)
        let image = try ImageDecoder().decode(file)
        #expect(image.width == expected.width)
        #expect(image.height == expected.height)
        #expect(ImageFixture.checksum(image.pixels) == expected.bytes)
        #expect(try ImageFixture.checksum(ImageDecoder(alpha: .dropped).decode(file).pixels) == expected.dropped)
    }

    /// Colours that are stored under full transparency show where alpha is dropped.
    @Test(arguments: ["rgba8.png", "grayalpha16.png", "palette4-trns.png", "gray8-trns-interlaced.png"])
    func droppedAlphaLeavesTheColours(_ name: String) throws {
        let file = try ImageFixture.file(name)
        let shown = try ImageDecoder().decode(file)
        let stored = try ImageDecoder(alpha: .dropped).decode(file)
        #expect(shown.pixels != stored.pixels)
        #expect(zip(shown.pixels, stored.pixels).allSatisfy { $0 >= $1 })
    }

    @Test func theReadmeListsTheKinds() throws {
        let root = ImageFixture.folder.appending(path: "../../../..").standardized
        #expect(try String(contentsOf: root.appending(path: "README.md"), encoding: .utf8).contains(ImageFormat.list))
    }
}
