import Inputs
import JSON
import Plan
import Testing

/// Messages as templates see them, next to HuggingFace's processors.
@Suite struct PromptContextTests {
    private let spec = InputSpec(
        positions: .sequential(start: 0), vocabularySize: 1, endTokenIDs: [], specialTokens: ["bos_token": "<s>"])

    private func seen(_ message: JSONValue) -> JSONValue? {
        spec.templateContext(messages: [message])["messages"]?[0]
    }

    @Test(arguments: [
        #"{"role": "user"}"#, #"{"role": "user", "content": null}"#, #"{"role": "user", "content": []}"#,
        #"{"role": "user", "content": "", "tool_calls": null}"#,
    ])
    func contentThatIsMissingIsAnEmptyList(_ message: String) throws {
        #expect(seen(try JSONValue(parsing: message)) == ["role": "user", "content": []])
    }

    @Test(arguments: [
        (#"{"content": "x", "reasoning": "r"}"#, #"{"thinking":"r","content":"x","reasoning":"r","reasoning_content":"r"}"#),
        (#"{"content": "x", "thinking": "t"}"#, #"{"thinking":"t","content":"x","reasoning_content":"t"}"#),
        (#"{"content": "x", "thinking": "t", "reasoning_content": "c"}"#, #"{"thinking":"t","content":"x","reasoning_content":"c"}"#),
        (#"{"reasoning_content": null, "reasoning": "", "content": "x"}"#, #"{"thinking":"","reasoning":"","content":"x","reasoning_content":""}"#),
        (#"{"reasoning_content": "c", "content": "x"}"#, #"{"thinking":"c","reasoning_content":"c","content":"x"}"#),
        (#"{"content": "x"}"#, #"{"content":"x"}"#),
    ])
    func reasoningGoesByEveryName(_ message: String, _ expected: String) throws {
        #expect(seen(try JSONValue(parsing: message))?.serializedText == expected)
    }

    @Test(arguments: [
        (#"{"type": "image_url", "image_url": {"url": "a", "detail": "low"}}"#, #"{"type":"image","url":"a"}"#),
        (#"{"type": "image_url", "image_url": "a"}"#, #"{"type":"image","url":"a"}"#),
        (#"{"type": "image_url", "url": "a"}"#, #"{"type":"image_url","url":"a"}"#),
        (#"{"type": "text", "text": null}"#, #"{"type":"text","text":null}"#),
    ])
    func partsAreThoseOfHuggingFace(_ part: String, _ expected: String) throws {
        let message: JSONValue = ["content": .array([try JSONValue(parsing: part)])]
        #expect(seen(message)?["content"]?[0]?.serializedText == expected)
    }

    @Test func theRestIsAsGiven() {
        let context = spec.templateContext(messages: ["x", ["role": "user", "content": "y"]], extra: JSONValue(dictionaryLiteral: ("tools", [])).objectValue ?? JSONObject())
        #expect(context["messages"] == ["x", ["role": "user", "content": "y"]])
        #expect(context["tools"] == [])
        #expect(context["bos_token"] == "<s>")
        #expect(context["add_generation_prompt"] == true)
    }
}
