import Foundation
import HuggingFace
import Inputs
import JSON
import Models
import Plan
import Testing

struct ImageConfigTests {
    static func read(_ text: String) throws -> ImageSpec {
        try read(JSONValue(parsing: text))
    }

    static func read(_ config: JSONValue) throws -> ImageSpec {
        try Qwen2VLImages(ConfigSection(config, file: "preprocessor_config.json")).spec(token: 0, text: "<pad>")
    }

    struct ValueCase: Sendable, CustomTestStringConvertible {
        var name: String
        var config: JSONValue
        var shape: [Int]
        var values: String
        var testDescription: String { name }

        static func load() throws -> [ValueCase] {
            let data = try Data(contentsOf: ImageFixture.folder.appending(path: "values.json"))
            return try (JSONValue(parsing: Array(data)).arrayValue ?? []).map {
                ValueCase(
                    name: $0["name"]?.stringValue ?? "", config: $0["config"] ?? .null,
                    shape: $0["shape"]?.arrayValue?.compactMap(\.intValue) ?? [],
                    values: $0["values"]?.stringValue ?? "")
            }
        }
    }

    @Test(arguments: try ValueCase.load())
    func savedProcessorsGiveTheirValues(_ expected: ValueCase) throws {
        let spec = try Self.read(expected.config)
        let image = try ImageReader(spec).read(ImageFixture.draw(width: 56, height: 84))
        let pixels = spec.pixelValues(of: [image])
        #expect(pixels.shape == expected.shape)
        #expect(ImageFixture.checksum(pixels.values) == expected.values)
    }

    @Test func bothGenerationsOfKeysMeanTheSame() throws {
        let old = try Self.read(
            #"{"image_processor_type": "Qwen2VLImageProcessor", "min_pixels": 3136, "max_pixels": 12845056, "size": {"max_pixels": 1, "min_pixels": 1}}"#)
        let fresh = try Self.read(
            #"{"image_processor_type": "Qwen2VLImageProcessorFast", "size": {"shortest_edge": 3136, "longest_edge": 12845056}}"#)
        #expect(old == fresh)
        #expect(old == ImageFixture.spec(minPixels: 3136, maxPixels: 12_845_056))
    }

    @Test func absentEntriesAndNullBoundsTakeTheDefaults() throws {
        let spec = try Self.read(#"{"processor_class": "Qwen2VLProcessor", "size": null, "min_pixels": null, "max_pixels": null}"#)
        #expect(spec == ImageFixture.spec(minPixels: 3136, maxPixels: 1_003_520))
    }

    @Test(arguments: ["max_pixels", "size"])
    func boundsAboveAllImagesAreEqual(_ key: String) throws {
        for bound in ["2147483648", "1000000000000", "100000000000000000000"] {
            let entry = key == "size" ? #"{"shortest_edge": 3136, "longest_edge": \#(bound)}"# : bound
            let spec = try Self.read(#"{"image_processor_type": "Qwen2VLImageProcessor", "\#(key)": \#(entry)}"#)
            #expect(spec == ImageFixture.spec(minPixels: 3136, maxPixels: 2_147_483_647))
        }
    }

    @Test func oneNumberIsThatOfAllChannels() throws {
        let spec = try Self.read(#"{"image_processor_type": "Qwen2VLImageProcessor", "image_mean": 0.5, "image_std": 0.25}"#)
        #expect(spec.pixels.normalization == .init(mean: [0.5, 0.5, 0.5], deviation: [0.25, 0.25, 0.25]))
    }

    @Test(arguments: [
        (#"{"image_processor_type": "CLIPImageProcessor"}"#, "image_processor_type", "Qwen2VLImageProcessor"),
        (#"{"image_processor_type": 3}"#, "image_processor_type", "is an integer, expected a string"),
        (#"{"image_processor_type": "Qwen2VLImageProcessor", "resample": 4}"#, "resample", "bicubic"),
        (#"{"image_processor_type": "Qwen2VLImageProcessor", "resample": 3.0}"#, "resample", "bicubic"),
        (#"{"image_processor_type": "Qwen2VLImageProcessor", "resample": "BICUBIC"}"#, "resample", "bicubic"),
        (#"{"image_processor_type": "Qwen2VLImageProcessor", "resample": null}"#, "resample", "is null"),
        (#"{"image_processor_type": "Qwen2VLImageProcessor", "image_mean": null}"#, "image_mean", "is null"),
        (#"{"image_processor_type": "Qwen2VLImageProcessor", "image_std": null}"#, "image_std", "is null"),
        (#"{"image_processor_type": "Qwen2VLImageProcessor", "rescale_factor": null}"#, "rescale_factor", "is null"),
        (#"{"image_processor_type": "Qwen2VLImageProcessor", "patch_size": null}"#, "patch_size", "is null"),
        (#"{"image_processor_type": "Qwen2VLImageProcessor", "merge_size": null}"#, "merge_size", "is null"),
        (#"{"image_processor_type": "Qwen2VLImageProcessor", "temporal_patch_size": null}"#, "temporal_patch_size", "is null"),
        (#"{"image_processor_type": "Qwen2VLImageProcessor", "min_pixels": 100000000000000000000}"#, "min_pixels", "expected"),
        (#"{"image_processor_type": "Qwen2VLImageProcessor", "max_pixels": -100000000000000000000}"#, "max_pixels", "expected"),
        (#"{"image_processor_type": "Qwen2VLImageProcessor", "min_pixels": 0}"#, "min_pixels", "expected"),
        (#"{"image_processor_type": "Qwen2VLImageProcessor", "size": {"height": 3}}"#, "size", "shortest_edge"),
        (#"{"image_processor_type": "Qwen2VLImageProcessor", "size": 3}"#, "size", "expected an object"),
        (#"{"image_processor_type": "Qwen2VLImageProcessor", "patch_size": 1e9}"#, "patch_size", "1024"),
        (#"{"image_processor_type": "Qwen2VLImageProcessor", "image_std": [1, 0, 1]}"#, "image_std", "zero"),
        (#"{"image_processor_type": "Qwen2VLImageProcessor", "image_mean": [1, 2]}"#, "image_mean", "three"),
        (#"{"image_processor_type": "Qwen2VLImageProcessor", "rescale_factor": 0}"#, "rescale_factor", "zero"),
        (#"{"image_processor_type": "Qwen2VLImageProcessor", "rescale_factor": 1e308}"#, "rescale_factor", "f32"),
        (#"{"image_processor_type": "Qwen2VLImageProcessor", "rescale_factor": 1e-320, "do_normalize": false}"#, "rescale_factor", "f32"),
        (#"{"image_processor_type": "Qwen2VLImageProcessor", "rescale_factor": 1e-30, "image_std": [1e20, 1, 1]}"#, "image_std", "f32"),
        (#"{"image_processor_type": "Qwen2VLImageProcessor", "rescale_factor": 1e-30, "image_mean": [1e20, 1, 1]}"#, "image_mean", "f32"),
        (#"{"image_processor_type": "Qwen2VLImageProcessor", "do_resize": "yes"}"#, "do_resize", "expected a boolean"),
    ])
    func errorsNameTheEntry(_ text: String, _ key: String, _ words: String) {
        do {
            _ = try Self.read(text)
            Issue.record("accepted \(text)")
        } catch {
            #expect("\(error)".hasPrefix("preprocessor_config.json: \(key)"))
            #expect("\(error)".contains(words), "\(error)")
        }
    }

    @Test func noImageHasMorePatchesThanTheBound() throws {
        for bounds in [(12544, 28224), (3136, 1_003_520), (784, 784), (1, 1), (50000, 60000)] {
            let spec = ImageFixture.spec(minPixels: bounds.0, maxPixels: bounds.1)
            let reader = ImageReader(spec)
            let limit = try #require(spec.maxRows)
            for width in [1, 2, 13, 14, 15, 27, 28, 41, 43, 100, 199, 200, 333, 1000, 2800, 5601, 40000] {
                for height in [1, 2, 14, 28, 29, 71, 200, 997, 4000] where max(width, height) <= 200 * min(width, height) {
                    #expect(try reader.layout(width: width, height: height).rows <= limit)
                }
            }
        }
    }
}
