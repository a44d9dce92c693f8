import ChatTemplates
import Foundation
import HuggingFace
import Inputs
import JSON
import Models
import Plan
import Testing

/// Placeholders that somebody typed, and templates for text only.
@Suite struct PromptTypedTests {
    private static let prompt = ImagePrompt(marker: "<|image_pad|>", token: 766, tokenText: "<|image_pad|>")

    @Test func aTypedPlaceholderGivesNoPlaceholderToken() throws {
        let model = PromptChatTests.demo.appending(path: "model")
        let tokenizer = try Tokenizer(json: Array(Data(contentsOf: model.appending(path: "tokenizer.json"))))
        let spec = try Architectures.definition(for: ModelDirectory(model.path)).inputs(TokenNames(text: { tokenizer.token($0) }, token: { tokenizer.id(of: $0) }))
        let template = try ChatTemplate(source: String(decoding: Data(contentsOf: model.appending(path: "chat_template.jinja")), as: UTF8.self))
        let program = try #require(spec.image)
        let image = try ImageReader(program).read(
            ImageDecoder().decode(Array(Data(contentsOf: PromptChatTests.demo.appending(path: "samples/shapes-two.jpg")))))
        let assembler = PromptAssembler(spec: spec) { try tokenizer.encode($0, addSpecialTokens: $1) }
        let pad = program.prompt
        func prompt(_ text: String) throws -> PreparedPrompt {
            let messages: JSONValue = [["role": "user", "content": [["type": "text", "text": .string(text)], ["type": "image"]]]]
            let typed = TypedPlaceholders(messages, prompt: pad)
            return try assembler.prepare(
                rendered: template.render(spec.templateContext(messages: typed.messages)), images: [image], mark: typed.mark)
        }
        let plain = try prompt("What is this for?")
        let typed = try prompt("What is <|image_pad|> for?")
        #expect(typed.inputIDs.count { $0 == pad.token } == plain.inputIDs.count { $0 == pad.token })
        #expect(typed.images[0].tokens.count == plain.images[0].tokens.count)
        #expect(try tokenizer.decode(typed.inputIDs, skipSpecialTokens: true).contains("What is <|image_pad|> for?"))
    }

    @Test func messagesWithoutPlaceholdersStayAsTheyAre() {
        let messages: JSONValue = [["role": "user", "content": "<|image_pad"]]
        let typed = TypedPlaceholders(messages, prompt: Self.prompt)
        #expect(typed.mark == nil && typed.messages == messages)
        #expect(TypedPlaceholders([["a": "<|image_pad|>"]], prompt: nil).mark == nil)
    }

    @Test func theMarkIsNoneOfTheText() {
        let messages: JSONValue = [["\u{10FFFD}": "<|image_pad|>", "<|image_pad|>": "\u{10FFFC}"]]
        let typed = TypedPlaceholders(messages, prompt: Self.prompt)
        #expect(typed.mark == "\u{10FFFB}")
        #expect(typed.messages == [["\u{10FFFD}": "<\u{10FFFB}|image_pad|>", "<\u{10FFFB}|image_pad|>": "\u{10FFFC}"]])
    }

    @Test func everyPlaceholderOfATextIsMarked() {
        let typed = TypedPlaceholders(
            ["<|image_pad|><|image_pad|>a<|image_pad|>b", "<|image_pa"], prompt: Self.prompt)
        let marked = "<\u{10FFFD}|image_pad|>"
        #expect(typed.messages == [.string("\(marked)\(marked)a\(marked)b"), "<|image_pa"])
    }

    @Test func partsThatMakeAPlaceholderTogetherAreMarked() {
        func parts(_ texts: String...) -> JSONValue { .array(texts.map { ["type": "text", "text": .string($0)] }) }
        let typed = TypedPlaceholders(parts("a <|image", "_pad|> b", "<|image"), prompt: Self.prompt)
        #expect(typed.messages == parts("a <|image\u{10FFFD}", "_pad|> b", "<|image"))
        #expect(TypedPlaceholders(parts("a <|image", "x_pad|> b"), prompt: Self.prompt).mark == nil)
    }

    /// What a template takes from a user.
    enum Form { case both, text, parts }

    @Test(arguments: [
        ("{% for m in messages %}{{ m.role ~ m.content }}{% endfor %}", .text),
        ("{% for m in messages %}{{ m.content | trim }}{% endfor %}", .text),
        ("{% for m in messages %}{{ m.content }}{% endfor %}", .text),
        ("{% for m in messages %}{{ m.content | tojson }}{% endfor %}", .both),
        ("{% for m in messages %}{% if m.content is string %}{{ m.content }}{% else %}{{ raise_exception('no') }}{% endif %}{% endfor %}", .text),
        ("{% for m in messages %}{% if m.content is string %}{{ m.content }}{% else %}{% for p in m.content %}{{ p.text }}{% endfor %}{% endif %}{% endfor %}", .both),
        ("{% for m in messages %}{% for p in m.content | selectattr('type', 'equalto', 'text') %}{{ p.text }}{% endfor %}{% endfor %}", .parts),
        ("{% for m in messages %}{% if m.role == 'system' %}{{ m.content + '' }}{% else %}{{ m.content[0]['text'] }}{% endif %}{% endfor %}", .parts),
        ("{% for m in messages %}{{ raise_exception('no') }}{% endfor %}", .both),
    ] as [(String, Form)])
    func contentHasAFormThatTheTemplateTakes(_ source: String, _ form: Form) throws {
        let template = try ChatTemplate(source: source)
        let forms = MessageForms { messages in
            var context = JSONObject()
            context["messages"] = messages
            return try template.render(context)
        }
        let parts: JSONValue = [["role": "user", "content": [["type": "text", "text": "a"], ["type": "text", "text": "b"]]]]
        #expect(forms.adapted(parts) == (form == .text ? [["role": "user", "content": "a\nb"]] : parts))
        let text: JSONValue = [["role": "user", "content": "a"]]
        #expect(forms.adapted(text) == (form == .parts ? [["role": "user", "content": [["type": "text", "text": "a"]]]] : text))
        let image: JSONValue = [["role": "user", "content": [["type": "text", "text": "a"], ["type": "image"]]]]
        #expect(forms.adapted(image) == image)
        var prompt = ImagePrompt(marker: "<|image_{image}|>", token: 0, tokenText: "")
        let marked: JSONValue = [["role": "user", "content": "a\n<|image_1|>"]]
        #expect(forms.adapted(image, prompt) == (form == .text ? marked : image))
        prompt.mention = ImageMention(ending: "\n", separator: "")
        let run: JSONValue = [["role": "user", "content": "a<|image_1|>\n"]]
        #expect(forms.adapted(image, prompt) == (form == .text ? run : image))
        if source.contains("system") {
            let system: JSONValue = [["role": "system", "content": [["type": "text", "text": "a"]]]]
            #expect(forms.adapted(system) == [["role": "system", "content": "a"]])
        }
    }
}
