import Foundation
import Inputs
import JSON
import Plan
import Testing

/// Which frames of a video are read, how large they are and where their tokens stand, beside what transformers' processors say.
@Suite struct VideoTests {
    private static let table: JSONValue = {
        let path = URL(fileURLWithPath: #filePath).deletingLastPathComponent().appending(path: "Fixtures/video.json")
        return (try? JSONValue(parsing: Array(Data(contentsOf: path)))) ?? .null
    }()

    private static func sampling(_ rule: FrameSampling.Rule) -> FrameSampling {
        switch rule {
        case .steps: FrameSampling(rule: rule, rate: 2, least: 4, most: 768, multiple: 2)
        case .ends: FrameSampling(rule: rule, rate: 2, least: 4, most: 768)
        case .shares: FrameSampling(rule: rule, rate: nil, count: 32, most: 1 << 16)
        }
    }

    @Test func framesAreChosenAsTransformersDoes() throws {
        let samples = try #require(Self.table["samples"]?.arrayValue)
        #expect(samples.count == 150)
        for sample in samples {
            let rule = try #require(sample["rule"]?.stringValue.flatMap(FrameSampling.Rule.init))
            let total = try #require(sample["total"]?.intValue)
            let request = FrameSampling.Request(rate: sample["fps"]?.doubleValue, count: sample["num_frames"]?.intValue)
            let found = try? Self.sampling(rule).indices(total: total, videoRate: sample["rate"]?.doubleValue ?? 0, request)
            if let expected = sample["indices"]?.arrayValue?.compactMap(\.intValue) {
                #expect(found == expected, "\(sample.serializedText): \(found ?? [])")
            } else if request.count != nil {
                #expect(found == nil, "\(sample.serializedText): \(found ?? [])")
            } else if let found {
                #expect(found == Array(0..<total), "\(sample.serializedText): \(found)")
            }
        }
    }

    @Test func framesThatAreNotThereAreRefusedOrRepeated() throws {
        func asked(_ rule: FrameSampling.Rule, _ total: Int, count: Int) throws -> [Int] {
            try Self.sampling(rule).indices(total: total, videoRate: 10, FrameSampling.Request(count: count))
        }
        for rule in [FrameSampling.Rule.steps, .shares] {
            #expect(throws: ImageError.video("has 3 frames, and 8 are asked for (num_frames)")) { try asked(rule, 3, count: 8) }
        }
        #expect(try asked(.ends, 3, count: 8) == [0, 0, 1, 1, 1, 1, 2, 2])
        #expect(throws: ImageError.video("cannot be read as 1 frame; ask for at least 2 (num_frames)")) { try asked(.steps, 3, count: 1) }
        #expect(try asked(.shares, 3, count: 1) == [0] && asked(.ends, 3, count: 1) == [0])
    }

    @Test func framesGetTheSizesThatTransformersGivesThem() throws {
        let sizes = try #require(Self.table["sizes"]?.arrayValue)
        #expect(sizes.count == 84)
        for entry in sizes {
            let numbers = { (key: String) in entry[key]?.arrayValue?.compactMap(\.intValue) ?? [] }
            let isShared = entry["kind"] == "qwen3"
            let cell = isShared ? 32 : 28
            let fit = ClipFit(
                minPixels: 128 * cell * cell, maxPixels: 768 * cell * cell, multiple: cell, sliceFrames: 2, isShared: isShared,
                tokensMax: entry["cap"]?.intValue)
            var spec = ImageFixture.spec(minPixels: 784, maxPixels: 1 << 20)
            spec.views = [ViewSpec(.clip(fit), filter: .bicubic, precision: .torchvision)]
            spec.pixels.patchSize = cell / 2
            spec.pixels.temporalPatchSize = 2
            let layout = try ImageReader(spec).layout(width: numbers("from")[0], height: numbers("from")[1], frames: entry["frames"]?.intValue ?? 0)
            let size = layout.frames[0]?.resized
            #expect([size?.width, size?.height] == numbers("to"), "\(entry.serializedText)")
        }
    }

    @Test func slicesStandLaterByWholeSteps() {
        let span = ImageSpan(tokens: 2..<8, gridHeight: 2, gridWidth: 4, sliceStep: 1.5)
        let positions = PositionScheme.mrope(mergeSize: 2).positions(count: 9, images: [span])
        #expect(positions.ids == [0, 1, 2, 2, 3, 3, 5, 5, 4] + [0, 1, 2, 2, 2, 2, 2, 2, 4] + [0, 1, 2, 3, 2, 3, 2, 3, 4])
        #expect(positions.delta == -3)
    }

    @Test func aVideoIsCutIntoCallsOfWholeSlices() throws {
        var spec = ImageFixture.spec(minPixels: 784, maxPixels: 1 << 20)
        spec.pixels.temporalPatchSize = 2
        spec.pixels.storedFrames = 2
        let reader = ImageReader(spec)
        let images = (0..<5).map { Image(width: 56, height: 28, pixels: Array(repeating: UInt8(10 * $0), count: 3 * 56 * 28)) }
        func read(_ maxPatches: Int) throws -> ReadImage {
            var index = 0
            return try reader.read(video: VideoTiming(frames: 5), size: ImageSize(width: 56, height: 28), maxPatches: maxPatches) {
                defer { index += 1 }
                return images[index]
            }
        }
        let whole = try read(1 << 20)
        let rows = whole.layout.rows / 3
        #expect(whole.grid[0] == 3 && whole.inputs.count == 1)
        let parts = try read(2 * rows)
        #expect(parts.inputs.map(\.patches) == [2 * rows, rows])
        #expect(parts.input == whole.input)
        #expect(throws: ImageError.tooManyPatches(count: rows, limit: rows - 1, isVideo: true)) { try read(rows - 1) }
        guard case .bytes(let bytes)? = whole.input["pixels"]?.values else { return }
        // A row has both frames of a channel; the last frame stands for the one that is missing.
        let area = spec.pixels.patchArea
        #expect(bytes[0] == 0 && bytes[area] == 10 && bytes[6 * area * rows] == 20)
        #expect(bytes[12 * area * rows] == 40 && bytes[12 * area * rows + area] == 40)
    }
}
