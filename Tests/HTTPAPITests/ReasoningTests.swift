import JSON
import Serving
import TestClient
import Testing

/// `reasoning_content` of chats.
@Suite struct ReasoningTests {
    private func server(_ script: String, _ change: (inout TestServer.Options) -> Void = { _ in }) async throws -> TestServer {
        var options = TestServer.Options()
        options.script = script
        options.reasoning = .always
        change(&options)
        return try await TestServer(options)
    }

    private func message(_ answer: HTTPClient.Answer) -> JSONValue? { answer.json["choices"]?[0]?["message"] }

    @Test func thoughtsAreSplitOff() async throws {
        let server = try await server("<think>I see.</think>A cat")
        let whole = try await server.chat(["max_tokens": 26])
        #expect(message(whole)?["reasoning_content"] == "I see." && message(whole)?["content"] == "A cat")
        let chunks = try await server.chat(["max_tokens": 26, "stream": true]).events.dropLast().map { try JSONValue(parsing: $0) }
        let deltas = chunks.compactMap { $0["choices"]?[0]?["delta"] }
        #expect(deltas.compactMap { $0["reasoning_content"]?.stringValue }.joined() == "I see.")
        #expect(deltas.compactMap { $0["content"]?.stringValue }.joined() == "A cat")
        #expect(deltas.count > 8 && deltas.allSatisfy { $0["reasoning_content"] == nil || $0["content"] == nil })
        // Cut while it thinks.
        let cut = try await server.chat(["max_tokens": 9])
        #expect(message(cut)?["reasoning_content"] == "I " && message(cut)?["content"] == .null && cut.json["choices"]?[0]?["finish_reason"] == "length")
        // Guided from the first token on, and of plain texts, all is text.
        let guided = try await server.chat(["max_tokens": 26, "guided_regex": "[a-z]{26}"])
        #expect(message(guided)?["reasoning_content"] == nil)
        await server.stop()
    }

    @Test func thoughtsMayBeLeftOut() async throws {
        let server = try await server("<think>I see.</think>A cat")
        for (asked, thought) in [(false, nil), (true, "I see.")] as [(JSONValue, JSONValue?)] {
            let whole = try await server.chat(["max_tokens": 26, "include_reasoning": asked])
            #expect(message(whole)?["reasoning_content"] == thought && message(whole)?["content"] == "A cat")
            #expect(whole.json["usage"]?["completion_tokens_details"]?["reasoning_tokens"] == 21)
            let chunks = try await server.chat(["max_tokens": 26, "include_reasoning": asked, "stream": true]).events.dropLast().map { try JSONValue(parsing: $0) }
            let deltas = chunks.compactMap { $0["choices"]?[0]?["delta"] }
            #expect(deltas.contains { $0["reasoning_content"] != nil } == (thought != nil))
            #expect(deltas.compactMap { $0["content"]?.stringValue }.joined() == "A cat")
        }
        #expect(try await server.chat(["include_reasoning": "no"]).status == 400)
        await server.stop()
    }

    @Test func theTemplateTellsWhereThinkingBegins() async throws {
        let script = "I see.</think>A cat"
        let thinking = try await server(script) { $0.reasoning = .marked }
        let begun = try await thinking.chat(["max_tokens": 19, "chat_template": "{{ messages }}<think>\n"])
        #expect(message(begun)?["reasoning_content"] == "I see." && message(begun)?["content"] == "A cat")
        let open = try await thinking.chat(["max_tokens": 19])
        #expect(message(open)?["content"] == .string(script) && message(open)?["reasoning_content"] == nil)
        await thinking.stop()
        let told = try await server("A cat") { $0.reasoning = .always }
        let silent = try await told.chat(["max_tokens": 5, "chat_template": "{{ messages }}<think>\n\n</think>\n\n"])
        #expect(message(silent)?["content"] == "A cat" && message(silent)?["reasoning_content"] == nil)
        await told.stop()
    }

    @Test func withoutAParserAllIsText() async throws {
        let server = try await server("<think>a</think>b") { $0.reasoning = nil }
        #expect(try await message(server.chat(["max_tokens": 17]))?["content"] == "<think>a</think>b")
        await server.stop()
    }

    @Test func callsComeBehindThoughts() async throws {
        let call = #"<tool_call>{"name": "f", "arguments": {}}</tool_call>"#
        let server = try await server("<think>hm</think>\(call)") { $0.tellsOfTools = true }
        let tool: JSONValue = ["type": "function", "function": ["name": "f", "parameters": ["type": "object"]]]
        let answer = try await server.chat(["max_tokens": .int(17 + call.count), "tools": [tool]])
        #expect(message(answer)?["reasoning_content"] == "hm" && message(answer)?["tool_calls"]?[0]?["function"]?["name"] == "f", "\(answer.text)")
        await server.stop()
    }
}
