import Inputs
import JSON
import Plan
import Testing

@Suite struct PixelBoundsTests {
    private static func spec(_ fit: FitRule) -> ImageSpec {
        ImageSpec(
            views: [ViewSpec(fit, filter: .bicubic, precision: .torchvision)],
            pixels: PixelSpec(patchSize: 14, order: .cells(side: 2, columnsFirst: false), rescaleFactor: 1 / 255, normalization: nil, form: .patches),
            tensors: [VisionTensor("pixels", .pixels)], segments: [VisionSegments("images", .images)], features: .cells(side: 2),
            prompt: ImagePrompt(marker: "\u{1}", token: 257, tokenText: "\u{1}"))
    }

    private static let smart = spec(.smart(minPixels: 3136, maxPixels: 1_003_520, multiple: 28, growsShortSide: false))
    private static let volume = spec(.volume(minPixels: 12544, maxPixels: 9_633_792, multiple: 28, frames: 2))

    /// Sizes as transformers' `smart_resize` of Qwen2-VL and GLM-4.6V gives them for these bounds.
    @Test(arguments: [
        (smart, 800, 1000, PixelBounds(most: 78400), 224, 308), (smart, 800, 1000, PixelBounds(), 812, 1008), (smart, 30, 40, PixelBounds(least: 100_352), 280, 392),
        (smart, 500, 333, PixelBounds(least: 784, most: 784), 28, 28), (smart, 1, 150, PixelBounds(least: 784, most: 12544), 28, 364),
        // A bound beyond the processor's other one.
        (smart, 800, 1000, PixelBounds(most: 1000), 28, 28), (smart, 30, 40, PixelBounds(most: 1000), 56, 84),
        (volume, 800, 1000, PixelBounds(most: 300_000), 336, 420), (volume, 30, 40, PixelBounds(least: 400_000), 392, 532),
    ])
    func sizesAreThoseOfTransformers(spec: ImageSpec, height: Int, width: Int, bounds: PixelBounds, tall: Int, wide: Int) throws {
        let layout = try ImageReader(spec.bounded(by: bounds)).layout(width: width, height: height)
        #expect(layout.frames.first??.resized == ImageSize(width: wide, height: tall))
    }

    @Test func boundsThatCannotHoldAreErrors() {
        #expect(throws: ImageError.pixelBounds(least: 3136, most: 100)) { try Self.smart.bounded(by: PixelBounds(least: 3136, most: 100)) }
        #expect(throws: ImageError.pixelBounds(least: 2, most: 1)) { try Self.volume.bounded(by: PixelBounds(least: 2, most: 1)) }
        #expect(throws: ImageError.noPixelBounds) { try Self.spec(.exact(width: 28, height: 28)).bounded(by: PixelBounds(most: 100)) }
    }

    /// The largest bounds that are taken end in an error of the image, not in a trap.
    @Test func hugeBoundsAreHeld() throws {
        for spec in [Self.smart, Self.volume] {
            let reader = ImageReader(try spec.bounded(by: PixelBounds(least: PixelBounds.range.upperBound, most: PixelBounds.range.upperBound)))
            for (width, height) in [(1, 1), (200, 1), (1, 200), (30000, 30000)] {
                #expect(throws: ImageError.self, "\(width)×\(height)") { try reader.layout(width: width, height: height) }
            }
        }
    }

    @Test(arguments: [
        (#"{"min_pixels": 1, "max_pixels": 2147483648}"#, PixelBounds(least: 1, most: 1 << 31)), (#"{"max_pixels": null}"#, PixelBounds()),
        (#"{"size": {"shortest_edge": 5, "longest_edge": 7}}"#, PixelBounds(least: 5, most: 7)), (#"{"size": {"longest_edge": 7}, "min_pixels": 2}"#, PixelBounds(least: 2, most: 7)),
    ])
    func readsProcessorArguments(_ text: String, _ bounds: PixelBounds) throws {
        #expect(try PixelBounds(processorArguments: #require(JSONValue(parsing: Array(text.utf8)).objectValue)) == bounds)
    }

    @Test(arguments: [
        (#"{"min_pixels": 0}"#, "min_pixels must be"), (#"{"max_pixels": 2147483649}"#, "max_pixels must be"), (#"{"max_pixels": "1"}"#, "max_pixels must be"),
        (#"{"max_pixels": 1.5}"#, "max_pixels must be"), (#"{"size": 3}"#, "size must be an object"), (#"{"size": {"height": 3}}"#, "size.height is not taken"),
        (#"{"size": {"longest_edge": -3}}"#, "size.longest_edge must be"), (#"{"num_crops": 4}"#, "num_crops is not taken"),
    ])
    func refusesOtherArguments(_ text: String, _ words: String) throws {
        let object = try #require(JSONValue(parsing: Array(text.utf8)).objectValue)
        let error = #expect(throws: PixelBoundsError.self) { try PixelBounds(processorArguments: object) }
        #expect(error?.description.hasPrefix(words) == true, "\(error?.description ?? "")")
    }

    @Test func theNearerBoundsCount() {
        #expect(PixelBounds(least: 1).over(PixelBounds(least: 2, most: 3)) == PixelBounds(least: 1, most: 3))
    }
}
