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
        let picture = try ImageDecoder().decode(try ImageFixture.file(expected.name))
        #expect(picture.width == expected.width)
        #expect(picture.height == expected.height)
        #expect(ImageFixture.checksum(picture.pixels) == expected.bytes)
    }
}
