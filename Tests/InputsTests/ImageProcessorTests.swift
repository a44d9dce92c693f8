import Inputs
import Plan
import Testing

struct ImageReaderTests {
    struct SizeCase: Decodable, Sendable, CustomTestStringConvertible {
        var width, height, minPixels, maxPixels: Int
        var grid: [Int]?
        var bytes, values: String?
        var row: Int?
        var rowStart: [Double]?
        var testDescription: String { "\(width)×\(height) within \(minPixels)…\(maxPixels)" }
    }

    @Test(arguments: try ImageFixture.load("sizes.json", as: [SizeCase].self))
    func pixelValuesEqualHuggingFace(_ expected: SizeCase) throws {
        let spec = ImageFixture.spec(minPixels: expected.minPixels, maxPixels: expected.maxPixels)
        let image = ImageFixture.draw(width: expected.width, height: expected.height)
        let reader = ImageReader(spec)
        guard let grid = expected.grid else {
            #expect(throws: ImageError.aspectRatio(width: expected.width, height: expected.height)) {
                try reader.read(image)
            }
            return
        }
        let read = try reader.read(image)
        #expect(read.grid == grid)
        #expect(ImageFixture.checksum(ImageFixture.bytes(read)) == expected.bytes)
        // Every byte of the largest images is checked above; their floats would take a gigabyte.
        if let checksum = expected.values {
            let values = spec.pixelValues(of: [read]).values
            #expect(ImageFixture.checksum(values) == checksum)
            let start = (expected.row ?? 0) * spec.pixels.patchDimension
            #expect(values[start..<start + 12].map(Double.init) == expected.rowStart)
        }
    }

    struct PillowCase: Decodable, Sendable {
        var width, height, toWidth, toHeight: Int
        var filter: ResampleFilter
        var bytes: String
    }

    @Test(arguments: try ImageFixture.load("pillow.json", as: [PillowCase].self), [false, true])
    func pillowPrecisionEqualsPillow(_ expected: PillowCase, portable: Bool) throws {
        let resizer = Resizer(filter: expected.filter, precision: .pillow, portable: portable)
        let out = try resizer.resize(
            ImageFixture.draw(width: expected.width, height: expected.height), width: expected.toWidth,
            height: expected.toHeight)
        #expect(ImageFixture.checksum(out.pixels) == expected.bytes)
    }

    @Test(arguments: ResampleFilter.allCases, [(1, 1, 300, 2), (310, 200, 57, 33), (33, 7, 34, 90), (640, 3, 5, 3)])
    func portableCodeEqualsFastCode(_ filter: ResampleFilter, _ sizes: (Int, Int, Int, Int)) throws {
        let image = ImageFixture.draw(width: sizes.0, height: sizes.1)
        let fast = Resizer(filter: filter, precision: .torchvision)
        let portable = Resizer(filter: filter, precision: .torchvision, portable: true)
        #expect(
            try fast.resize(image, width: sizes.2, height: sizes.3)
                == portable.resize(image, width: sizes.2, height: sizes.3))
    }

    @Test func aImageOfTheRightSizeIsNotTouched() throws {
        let image = ImageFixture.draw(width: 28, height: 28)
        let spec = ImageFixture.spec(minPixels: 784, maxPixels: 784)
        let read = try ImageReader(spec).read(image)
        #expect(read.grid == [1, 2, 2])
        #expect(Array(ImageFixture.bytes(read)[..<3]) == [image.pixels[0], image.pixels[3], image.pixels[6]])
    }

    @Test func moreThanTheLimitOfPatchesIsRefusedBeforeResizing() {
        let reader = ImageReader(ImageFixture.spec(minPixels: 3136, maxPixels: 1_003_520))
        let image = ImageFixture.draw(width: 280, height: 280)
        #expect(throws: ImageError.tooManyPatches(count: 400, limit: 399)) {
            try reader.read(image, maxPatches: 399)
        }
    }
}
