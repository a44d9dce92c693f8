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
        var images: [ImageSpan] = []
        for part in expected.parts {
            let length = part.count == 1 ? part[0] : part[0] * part[1] / (expected.mergeSize * expected.mergeSize)
            if part.count == 2 {
                images.append(.init(tokens: count..<count + length, gridHeight: part[0], gridWidth: part[1]))
            }
            count += length
        }
        let positions = PositionScheme.mrope(mergeSize: expected.mergeSize).positions(count: count, images: images)
        #expect(positions.ids == expected.ids)
        #expect(positions.delta == expected.delta)
    }

    @Test(arguments: try Fixture.load().batches)
    func patchPlacesEqualHuggingFace(_ expected: Fixture.Batch) throws {
        var spec = ImageFixture.spec(minPixels: 1, maxPixels: 1)
        spec.views[0].fit = .keep(multiple: 14 * expected.mergeSize)
        spec.pixels.order = .cells(side: expected.mergeSize, columnsFirst: false)
        spec.features = .cells(side: expected.mergeSize)
        let inputs = try expected.grids.map { grid in
            let (width, height) = (14 * grid[1], 14 * grid[0])
            return try ImageReader(spec).read(
                Image(width: width, height: height, pixels: Array(repeating: 0, count: 3 * width * height))).input
        }
        let joined = VisionInput.joined(inputs)
        #expect(joined["patch_positions"]?.values == .integers(expected.rows + expected.columns))
        #expect(joined.segments["images"] == expected.bounds)
    }

    @Test func sequentialPositionsStartWhereTheFamilySays() {
        let positions = PositionScheme.sequential(start: 1).positions(count: 3, images: [])
        #expect(positions.ids == [1, 2, 3])
        #expect(positions.delta == 1)
    }
}

struct PromptAssemblerTests {
    static let spec = InputSpec(
        image: ImageFixture.spec(minPixels: 3136, maxPixels: 12544), positions: .mrope(mergeSize: 2), vocabularySize: 256,
        endTokenIDs: [1])

    /// One token per byte; the placeholder is token 0.
    static func assembler(_ spec: InputSpec = spec) -> PromptAssembler {
        PromptAssembler(spec: spec) { text, _ in
            text.replacing("<pad>", with: "\0").utf8.map { Int32($0) }
        }
    }

    /// An image of so many patches.
    static func image(_ height: Int, _ width: Int) throws -> ReadImage {
        var spec = ImageFixture.spec(minPixels: 1, maxPixels: 1)
        spec.views[0].fit = .keep(multiple: 28)
        let (width, height) = (14 * width, 14 * height)
        return try ImageReader(spec).read(Image(width: width, height: height, pixels: Array(repeating: 7, count: 3 * width * height)))
    }

    @Test func placeholdersTakeAsManyTokensAsTheirImages() throws {
        let prompt = try Self.assembler().prepare(
            rendered: "a<pad>b<pad><c", images: [Self.image(2, 4), Self.image(4, 4)])
        #expect(prompt.inputIDs == [97, 0, 0, 98, 0, 0, 0, 0, 60, 99])
        #expect(prompt.images.map(\.tokens.ranges) == [[1..<3], [4..<8]])
        #expect(prompt.positions.delta == -2)
    }

    /// The first Qwen-VL's `make_context` tokenizes contents apart, and `tokenization_qwen.py` writes paths as their bytes.
    @Test func placesAreBytesAndContentsAreTokenizedApart() throws {
        var spec = Self.spec
        spec.positions = .sequential(start: 0)
        spec.image?.prompt = ImagePrompt(
            marker: "<img>", token: 255, tokenText: "", spacing: .located(closing: "</img>", openings: ["user\n", "assistant\n"]))
        let assembler = PromptAssembler(spec: spec) { text, adds in [Int32(text.utf8.count), adds ? 1 : 0] }
        let prompt = try assembler.prepare(
            rendered: "user\n\nHi<img>e\u{301}</img>\nassistant\n", images: [Self.image(2, 8)])
        #expect(prompt.inputIDs == [5, 0, 8, 0, 195, 169, 255, 255, 17, 0])
        #expect(prompt.images.map(\.tokens.ranges) == [[4..<8]])
        for text in ["<img>a", "<img>abcde</img>"] {
            #expect(throws: PromptError.self) { try assembler.prepare(rendered: text, images: [Self.image(2, 8)]) }
        }
    }

    /// Phi-3-vision's `_convert_images_texts_to_inputs`: every text has the special tokens, the ids of images are below zero.
    @Test func textsBetweenNumberedImagesAreTokenizedApart() throws {
        var spec = Self.spec
        spec.positions = .sequential(start: 0)
        spec.image?.prompt = ImagePrompt(marker: "<|image_{image}|>", token: 3, tokenText: "", spacing: .apart)
        let assembler = PromptAssembler(spec: spec) { text, adds in [Int32(text.utf8.count), adds ? 1 : 0] }
        let images = [try Self.image(2, 4), try Self.image(2, 2)]
        let prompt = try assembler.prepare(rendered: "ab<|image_1|><|image_2|>c", images: images)
        #expect(prompt.inputIDs == [2, 1, -1, -1, 0, 1, -2, 1, 1])
        #expect(prompt.tokens == [2, 1, 3, 3, 0, 1, 3, 1, 1])
        #expect(throws: PromptError.self) { try assembler.prepare(rendered: "ab<|image_1|>", images: images) }
        #expect(throws: PromptError.self) { try assembler.prepare(rendered: "<|image_2|><|image_1|>", images: images) }
    }

    /// `PaliGemmaProcessor`: the images, the tokenizer's beginning, the text, a line break.
    @Test func aFramedTextHasItsEndsAroundIt() throws {
        var spec = Self.spec
        spec.positions = .sequential(start: 1)
        spec.spans = .prompt
        spec.image?.prompt.spacing = .framed(behind: "^", end: "$")
        let (images, assembler) = ([try Self.image(2, 4), try Self.image(2, 2)], Self.assembler(spec))
        let prompt = try assembler.prepare(rendered: "<pad><pad>ab", images: images)
        #expect(prompt.inputIDs == [0, 0, 0, 94, 97, 98, 36] && prompt.spans == [0..<7])
        #expect(try assembler.prepare(rendered: "ab", images: []).inputIDs == [94, 97, 98, 36])
    }

    @Test func adjacentImagesStayApart() throws {
        let prompt = try Self.assembler().prepare(
            rendered: "<pad><pad>", images: [Self.image(2, 2), Self.image(2, 4)])
        #expect(prompt.images.map(\.tokens.ranges) == [[0..<1], [1..<3]])
    }

    @Test func textOnlyHasPlainPositions() throws {
        let prompt = try Self.assembler().prepare(rendered: "née", images: [])
        #expect(prompt.inputIDs == [110, 195, 169, 101])
        #expect(prompt.positions.ids == [0, 1, 2, 3, 0, 1, 2, 3, 0, 1, 2, 3])
        #expect(prompt.positions.delta == 0)
    }

    @Test(arguments: [("<pad>", 0), ("text", 1), ("<pad><pad>", 1), ("<pad>", 2)])
    func countsMustAgree(_ rendered: String, _ images: Int) {
        let found = rendered.ranges(of: "<pad>").count
        #expect(throws: PromptError.placeholderCount(placeholder: "<pad>", found: found, images: images)) {
            try Self.assembler().prepare(
                rendered: rendered, images: .init(repeating: Self.image(2, 2), count: images))
        }
    }

    @Test func anEmptyPromptIsNone() {
        #expect(throws: PromptError.empty) { try Self.assembler().prepare(rendered: "", images: []) }
    }

    /// Rows of tiles with marks, then a thumbnail: InternVL's and Idefics' kinds of prompt.
    @Test func piecesStandForTilesAndLines() throws {
        var spec = Self.spec
        var image = ImageFixture.spec(minPixels: 1, maxPixels: 1)
        image.views = [
            ViewSpec(.exact(width: 56, height: 84), filter: .bicubic, precision: .pillow, tile: 28),
            ViewSpec(.exact(width: 28, height: 56), condition: .split(view: 0), filter: .bicubic, precision: .pillow),
        ]
        image.order = [0, 1]
        image.prompt.pieces = [
            .text("{image}"),
            .tiles(view: 0, [.text("<{row}{column}"), .features], between: ",", rowEnd: ";"),
            .view(1, [.text("|"), .tiles(view: 1, [.lines([.features], between: "/")], between: "", rowEnd: "")], otherwise: []),
        ]
        spec.image = image
        let read = try ImageReader(image).read(ImageFixture.draw(width: 5, height: 9))
        let prompt = try Self.assembler(spec).prepare(rendered: "a<pad>", images: [read])
        let text = String(decoding: prompt.inputIDs.map { $0 == 0 ? UInt8(ascii: "#") : UInt8($0) }, as: UTF8.self)
        #expect(text == "a1<11#,<12#;<21#,<22#;<31#,<32#|#/#")
        #expect(prompt.images[0].tokens.count == 8)
        #expect(prompt.images[0].tokens.parts(in: 9..<19).map(\.first) == [1, 2])
    }

    @Test func aTokenizerThatDoesNotFitIsFound() {
        var spec = Self.spec
        spec.image?.prompt.token = 5
        #expect(throws: PromptError.placeholderToken(placeholder: "<pad>", token: 5)) {
            try Self.assembler(spec).prepare(rendered: "a<pad>", images: [Self.image(2, 2)])
        }
        spec.vocabularySize = 90
        #expect(throws: PromptError.tokenBeyondVocabulary(token: 97, size: 90)) {
            try Self.assembler(spec).prepare(rendered: "a", images: [])
        }
        spec.image = nil
        #expect(throws: PromptError.noVision(images: 1)) {
            try Self.assembler(spec).prepare(rendered: "a", images: [Self.image(2, 2)])
        }
    }

    @Test func theSpecSurvivesJSON() throws {
        let data = try JSONEncoder().encode(Self.spec)
        #expect(try JSONDecoder().decode(InputSpec.self, from: data) == Self.spec)
    }
}
