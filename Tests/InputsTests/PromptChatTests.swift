import ChatTemplates
import Foundation
import HuggingFace
import Inputs
import JSON
import Models
import Plan
import Testing

/// Whole conversations with the demo model's files: the same ids, positions and pixel values as HF's processor.
struct PromptChatTests {
    static let demo = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
        .appending(path: "../../Artifacts/Demo").standardizedFileURL

    struct Chat: Decodable, Sendable, CustomTestStringConvertible {
        var name, rendered, pixelValues: String
        var files: [String]
        var inputIDs: [Int32]
        var grids: [[Int]]
        var positions: [Int32]
        var delta: Int32
        var testDescription: String { name }

        static func data() throws -> Data {
            try Data(
                contentsOf: URL(fileURLWithPath: #filePath).deletingLastPathComponent()
                    .appending(path: "Fixtures/prompt/chats.json"))
        }

        static func load() throws -> [Chat] { try JSONDecoder().decode([Chat].self, from: data()) }
    }

    @Test func renderedChatsEqualHuggingFace() throws {
        let source = try Data(contentsOf: Self.demo.appending(path: "model/chat_template.jinja"))
        let template = try ChatTemplate(source: String(decoding: source, as: UTF8.self))
        let chats = try #require(JSONValue(parsing: Array(Chat.data())).arrayValue)
        for chat in chats {
            var context = JSONObject()
            context["messages"] = chat["messages"]
            context["add_generation_prompt"] = true
            #expect(try template.render(context) == chat["rendered"]?.stringValue)
        }
    }

    @Test(arguments: try Chat.load())
    func preparedPromptsEqualHuggingFace(_ expected: Chat) throws {
        let model = Self.demo.appending(path: "model")
        let tokenizer = try Tokenizer(json: Array(Data(contentsOf: model.appending(path: "tokenizer.json"))))
        let spec = try Architectures.definition(for: ModelDirectory(model.path)).inputs(TokenNames(text: { tokenizer.token($0) }, token: { tokenizer.id(of: $0) }))
        let image = try #require(spec.image)
        let images = try expected.files.map { name in
            let file = try Data(contentsOf: Self.demo.appending(path: "samples/\(name)"))
            return try ImageReader(image).read(ImageDecoder().decode(Array(file)))
        }
        let assembler = PromptAssembler(spec: spec) { try tokenizer.encode($0, addSpecialTokens: $1) }
        let prompt = try assembler.prepare(rendered: expected.rendered, images: images)
        #expect(prompt.inputIDs == expected.inputIDs)
        #expect(prompt.positions.ids == expected.positions)
        #expect(prompt.positions.delta == expected.delta)
        #expect(images.map(\.grid) == expected.grids)
        #expect(ImageFixture.checksum(image.pixelValues(of: images).values) == expected.pixelValues)
    }
}
