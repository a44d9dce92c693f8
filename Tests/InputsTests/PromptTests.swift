import Foundation
import Inputs
import Plan
import Testing

struct PromptTests {
    struct Fixture: Decodable, Sendable {
        struct Prompt: Decodable, Sendable, CustomTestStringConvertible {
            var name: String
            var mergeSize: Int
            var parts: [[Int]]
            var ids: [Int32]
            var delta: Int32
            var testDescription: String { name }
        }

        struct Batch: Decodable, Sendable {
            var mergeSize: Int
            var grids: [[Int]]
            var rows, columns, bounds: [Int32]
        }

        var prompts: [Prompt]
        var batches: [Batch]

        static func load() throws -> Fixture {
            let file = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
                .appending(path: "Fixtures/prompt/positions.json")
            return try JSONDecoder().decode(Fixture.self, from: Data(contentsOf: file))
        }
    }

    @Test(arguments: try Fixture.load().prompts)
    func positionsEqualHuggingFace(_ expected: Fixture.Prompt) {
        var count = 0
        var pictures: [PictureSpan] = []
        for part in expected.parts {
            let length = part.count == 1 ? part[0] : part[0] * part[1] / (expected.mergeSize * expected.mergeSize)
            if part.count == 2 {
                pictures.append(.init(tokens: count..<count + length, gridHeight: part[0], gridWidth: part[1]))
            }
            count += length
        }
        let positions = PositionScheme.mrope(mergeSize: expected.mergeSize).positions(count: count, pictures: pictures)
        #expect(positions.ids == expected.ids)
        #expect(positions.delta == expected.delta)
    }

    @Test(arguments: try Fixture.load().batches)
    func patchPlacesEqualHuggingFace(_ expected: Fixture.Batch) {
        let layout = VisionLayout(
            grids: expected.grids.map { (height: $0[0], width: $0[1]) }, mergeSize: expected.mergeSize)
        #expect(layout.rows == expected.rows)
        #expect(layout.columns == expected.columns)
        #expect(layout.bounds == expected.bounds)
    }

    @Test func sequentialPositionsStartWhereTheFamilySays() {
        let positions = PositionScheme.sequential(start: 1).positions(count: 3, pictures: [])
        #expect(positions.ids == [1, 2, 3])
        #expect(positions.delta == 1)
    }
}

struct PromptAssemblerTests {
    static let spec = InputSpec(
        imageProcessor: ImageFixture.spec(minPixels: 3136, maxPixels: 12544),
        imagePlaceholder: .init(text: "<pad>", tokenID: 0, expansion: .mergedGrid(mergeSize: 2)),
        positions: .mrope(mergeSize: 2), visionLimits: .init(maxPatchesPerImage: 64, maxImagesPerPrompt: 2),
        vocabularySize: 256, endTokenIDs: [1])

    /// One token per byte; the placeholder is token 0.
    static func assembler(_ spec: InputSpec = spec) -> PromptAssembler {
        PromptAssembler(spec: spec) { text in
            text.replacing("<pad>", with: "\0").utf8.map { Int32($0) }
        }
    }

    static func picture(_ height: Int, _ width: Int) -> Patches {
        Patches(gridHeight: height, gridWidth: width, rowBytes: 1, bytes: .init(repeating: 7, count: height * width))
    }

    @Test func placeholdersTakeAsManyTokensAsTheirPictures() throws {
        let prompt = try Self.assembler().prepare(
            rendered: "a<pad>b<pad><c", pictures: [Self.picture(2, 4), Self.picture(4, 4)])
        #expect(prompt.inputIDs == [97, 0, 0, 98, 0, 0, 0, 0, 60, 99])
        #expect(prompt.pictures.map(\.tokens) == [1..<3, 4..<8])
        #expect(prompt.positions.delta == -2)
    }

    @Test func adjacentPicturesStayApart() throws {
        let prompt = try Self.assembler().prepare(
            rendered: "<pad><pad>", pictures: [Self.picture(2, 2), Self.picture(2, 4)])
        #expect(prompt.pictures.map(\.tokens) == [0..<1, 1..<3])
    }

    @Test func textOnlyHasPlainPositions() throws {
        let prompt = try Self.assembler().prepare(rendered: "née", pictures: [])
        #expect(prompt.inputIDs == [110, 195, 169, 101])
        #expect(prompt.positions.ids == [0, 1, 2, 3, 0, 1, 2, 3, 0, 1, 2, 3])
        #expect(prompt.positions.delta == 0)
    }

    @Test(arguments: [("<pad>", 0), ("text", 1), ("<pad><pad>", 1), ("<pad>", 2)])
    func countsMustAgree(_ rendered: String, _ pictures: Int) {
        let found = rendered.ranges(of: "<pad>").count
        #expect(throws: PromptError.placeholderCount(placeholder: "<pad>", found: found, pictures: pictures)) {
            try Self.assembler().prepare(
                rendered: rendered, pictures: .init(repeating: Self.picture(2, 2), count: pictures))
        }
    }

    @Test func limitsAreKept() {
        #expect(throws: PromptError.tooManyPictures(count: 3, limit: 2)) {
            try Self.assembler().prepare(
                rendered: "<pad><pad><pad>", pictures: .init(repeating: Self.picture(2, 2), count: 3))
        }
        #expect(throws: PromptError.tooManyPatches(index: 0, count: 80, limit: 64)) {
            try Self.assembler().prepare(rendered: "<pad>", pictures: [Self.picture(8, 10)])
        }
        #expect(throws: PromptError.gridNotMultiple(index: 0, height: 3, width: 4, multiple: 2)) {
            try Self.assembler().prepare(rendered: "<pad>", pictures: [Self.picture(3, 4)])
        }
        #expect(throws: PromptError.empty) { try Self.assembler().prepare(rendered: "", pictures: []) }
    }

    @Test func aTokenizerThatDoesNotFitIsFound() {
        var spec = Self.spec
        spec.imagePlaceholder?.tokenID = 5
        #expect(throws: PromptError.placeholderToken(placeholder: "<pad>", token: 5)) {
            try Self.assembler(spec).prepare(rendered: "a<pad>", pictures: [Self.picture(2, 2)])
        }
        spec.vocabularySize = 90
        #expect(throws: PromptError.tokenBeyondVocabulary(token: 97, size: 90)) {
            try Self.assembler(spec).prepare(rendered: "a", pictures: [])
        }
        spec.imagePlaceholder = nil
        #expect(throws: PromptError.noVision(pictures: 1)) {
            try Self.assembler(spec).prepare(rendered: "a", pictures: [Self.picture(2, 2)])
        }
    }

    @Test func theSpecSurvivesJSON() throws {
        let data = try JSONEncoder().encode(Self.spec)
        #expect(try JSONDecoder().decode(InputSpec.self, from: data) == Self.spec)
    }
}
