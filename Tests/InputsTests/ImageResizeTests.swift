import Budgets
import Inputs
import Plan
import Testing

/// Resizes next to torchvision, Pillow and torch.
struct ImageResizeTests {
    struct ResizeCase: Decodable, Sendable, CustomTestStringConvertible {
        var width, height, toWidth, toHeight: Int
        /// Checksums by library and filter.
        var sums: [String: String]
        var testDescription: String { "\(width)×\(height) → \(toWidth)×\(toHeight)" }
    }

    @Test(arguments: try ImageFixture.load("resize.json", as: [ResizeCase].self))
    func everyFilterEqualsItsLibrary(_ expected: ResizeCase) throws {
        let image = ImageFixture.draw(width: expected.width, height: expected.height)
        for (name, sum) in expected.sums {
            let words = name.split(separator: " ").map(String.init)
            let precision = try #require(ResizePrecision(rawValue: words[0]))
            let filter = try #require(ResampleFilter(rawValue: words[1]))
            for portable in [false, true] {
                let out = try Resizer(filter: filter, precision: precision, portable: portable)
                    .resize(image, width: expected.toWidth, height: expected.toHeight)
                #expect(ImageFixture.checksum(out.pixels) == sum, "\(name), portable: \(portable)")
            }
        }
    }

    struct FloatCase: Decodable, Sendable, CustomTestStringConvertible {
        var width, height, toWidth, toHeight: Int
        var mode: String
        var values: [Float]
        var testDescription: String { "\(mode) \(width)×\(height) → \(toWidth)×\(toHeight)" }
    }

    @Test(arguments: try ImageFixture.load("interpolate.json", as: [FloatCase].self))
    func floatsEqualTorch(_ expected: FloatCase) throws {
        let filter = try #require(FloatResizer.Filter(rawValue: expected.mode))
        let values = ImageFixture.draw(width: expected.width, height: expected.height).pixels.map { Float($0) / 127.5 - 1 }
        let out = try FloatResizer(filter: filter).resize(
            values, height: expected.height, width: expected.width, channels: 3, toHeight: expected.toHeight,
            toWidth: expected.toWidth)
        #expect(out.count == expected.values.count)
        #expect(zip(out, expected.values).allSatisfy { abs($0 - $1) <= 1e-6 })
    }

    @Test func floatsStopWhenTheirRequestIsCancelled() {
        let budget = WorkBudget(cpuLimit: .seconds(10))
        budget.cancel()
        #expect(throws: WorkLimitError.cancelled) {
            try FloatResizer(filter: .bicubic).resize(
                [Float](repeating: 0, count: 12), height: 2, width: 2, channels: 3, toHeight: 4, toWidth: 4, budget: budget)
        }
    }
}
