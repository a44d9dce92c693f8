import Foundation
import Inputs
import Plan

/// The committed images and what the oracle made of them.
enum ImageFixture {
    static let folder = URL(fileURLWithPath: #filePath).deletingLastPathComponent().appending(path: "Fixtures/image")

    static func load<Value: Decodable>(_ name: String, as type: Value.Type = Value.self) throws -> Value {
        try JSONDecoder().decode(type, from: Data(contentsOf: folder.appending(path: name)))
    }

    static func file(_ name: String) throws -> [UInt8] {
        try Array(Data(contentsOf: folder.appending(path: "files/\(name)")))
    }

    /// The drawn image that `make_image_fixtures.py` draws by the same formula.
    static func draw(width: Int, height: Int) -> Image {
        var pixels: [UInt8] = []
        pixels.reserveCapacity(width * height * 3)
        for y in 0..<height {
            for x in 0..<width {
                for c in 0..<3 {
                    let value = (x * 7 + y * 13 + c * 29) ^ ((x * y) >> 3) ^ ((x * x + y * 3 * c) >> 5)
                    pixels.append(UInt8(truncatingIfNeeded: value))
                }
            }
        }
        return Image(width: width, height: height, pixels: pixels)
    }

    /// Sum of (i + 1) · value[i] modulo 2⁶⁴, in decimal.
    static func checksum(_ bytes: [UInt8]) -> String {
        var sum: UInt64 = 0
        for i in bytes.indices { sum &+= UInt64(i + 1) &* UInt64(bytes[i]) }
        return String(sum)
    }

    /// The same over the bits of float32 values.
    static func checksum(_ values: [Float]) -> String {
        var sum: UInt64 = 0
        for i in values.indices { sum &+= UInt64(i + 1) &* UInt64(values[i].bitPattern) }
        return String(sum)
    }

    /// An image program of the Qwen2-VL line.
    static func spec(minPixels: Int, maxPixels: Int) -> ImageSpec {
        let fit = FitRule.smart(minPixels: minPixels, maxPixels: maxPixels, multiple: 28, growsShortSide: false)
        return ImageSpec(
            views: [ViewSpec(fit, filter: .bicubic, precision: .torchvision)],
            pixels: PixelSpec(
                patchSize: 14, temporalPatchSize: 2, order: .cells(side: 2, columnsFirst: false), rescaleFactor: 1.0 / 255,
                normalization: .init(mean: [0.48145466, 0.4578275, 0.40821073], deviation: [0.26862954, 0.26130258, 0.27577711]),
                form: .patches),
            tensors: [VisionTensor("pixels", .pixels), VisionTensor("patch_positions", .patchPositions)],
            segments: [VisionSegments("images", .tiles)], features: .cells(side: 2),
            prompt: ImagePrompt(marker: "<pad>", token: 0, tokenText: "<pad>"))
    }

    /// The bytes of an image's patches.
    static func bytes(_ image: ReadImage) -> [UInt8] {
        if case .bytes(let bytes)? = image.input["pixels"]?.values { bytes } else { [] }
    }
}
