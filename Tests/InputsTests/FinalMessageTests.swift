import ChatTemplates
import Inputs
import JSON
import Plan
import Testing

/// What `transformers` 5.23's `render_jinja_template` gives with `continue_final_message`.
@Suite struct FinalMessageTests {
    private static let plain = """
        {% for m in messages %}<|im_start|>{{ m.role }}
        {% if m.content is string %}{{ m.content }}{% else %}{% for p in m.content %}{{ p.text }}{% endfor %}{% endif %}<|im_end|>
        {% endfor %}
        """
    private static let trimming = plain.replacing("{{ m.content }}", with: "{{ m.content | trim }}")

    private func continued(_ template: String, _ last: JSONValue) throws -> String {
        let messages: JSONValue = [
            ["role": "user", "content": "What? CONTINUE_FINAL_MESSAGE_TAG "], ["role": "assistant", "content": last],
        ]
        let final = try FinalMessage(of: messages)
        return try final.end(of: ChatTemplate(source: template).render(["messages": final.messages]))
    }

    @Test func thePromptEndsBehindTheLastText() throws {
        let before = "<|im_start|>user\nWhat? CONTINUE_FINAL_MESSAGE_TAG <|im_end|>\n<|im_start|>assistant\n"
        #expect(try continued(Self.plain, "The picture shows ") == before + "The picture shows ")
        #expect(try continued(Self.plain, "The picture") == before + "The picture")
        let parts: JSONValue = [["type": "text", "text": "a"], ["type": "text", "text": "b \n"], ["type": "image"]]
        #expect(try continued(Self.plain, parts) == before + "ab \n")
        let trimmed = before.replacing("TAG <", with: "TAG<")
        #expect(try continued(Self.trimming, "The picture shows ") == trimmed + "The picture shows")
        #expect(try continued(Self.trimming, parts) == trimmed + "ab \n")
    }

    @Test func whatCannotBeContinuedIsRefused() {
        #expect(throws: FinalMessageError.noText) { try continued(Self.plain, [["type": "image"]]) }
        #expect(throws: FinalMessageError.noText) { try FinalMessage(of: []) }
        #expect(throws: FinalMessageError.notShown) { try continued("{{ messages[0].content }}", "gone") }
        #expect(throws: FinalMessageError.notShown) { try continued("{{ messages[1].content | upper }}", "changed") }
    }
}

/// Prompts of which the last tokens are kept.
@Suite struct PromptTruncationTests {
    private func prompt() throws -> PreparedPrompt {
        try PromptAssemblerTests.assembler().prepare(rendered: "abc<pad>d", images: [PromptAssemblerTests.image(4, 4)])
    }

    @Test func placesBeginAnew() throws {
        let spec = PromptAssemblerTests.spec
        let cut = try prompt().truncated(to: 6, spec: spec)
        let other = try PromptAssemblerTests.assembler().prepare(rendered: "c<pad>d", images: [PromptAssemblerTests.image(4, 4)])
        #expect(cut.tokens == other.tokens && cut.inputIDs == other.inputIDs && cut.positions == other.positions)
        #expect(cut.images.map(\.tokens) == other.images.map(\.tokens) && cut.images[0].tokens.ranges == [1..<5])
        #expect(try prompt().truncated(to: 8, spec: spec).tokens == prompt().tokens)
    }

    @Test func noImageIsCut() throws {
        #expect(try prompt().truncated(to: 5, spec: PromptAssemblerTests.spec).images[0].tokens.ranges == [0..<4])
        for count in [1, 4] {
            #expect(throws: PromptError.imageCut(tokens: 8, left: count)) { try prompt().truncated(to: count, spec: PromptAssemblerTests.spec) }
        }
    }
}
