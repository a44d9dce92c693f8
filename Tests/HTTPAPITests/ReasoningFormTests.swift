import JSON
import Serving
import Synchronization
import TestClient
import Testing

/// What the model thinks, in the forms of `/v1/responses` and `/v1/messages`.
@Suite struct ReasoningFormTests {
    /// What a chat template was shown last.
    private final class Seen<Shown: Sendable>: Sendable {
        private let shown = Mutex<Shown?>(nil)
        var last: Shown? { shown.withLock { $0 } }
        func note(_ new: Shown) { shown.withLock { $0 = new } }
    }

    private func server(_ script: String, _ change: (inout TestServer.Options) -> Void = { _ in }) async throws -> TestServer {
        var options = TestServer.Options()
        (options.script, options.reasoning) = (script, .marked)
        change(&options)
        return try await TestServer(options)
    }

    private func respond(_ server: TestServer, _ count: Int, _ fields: KeyValuePairs<String, JSONValue> = [:]) async throws -> HTTPClient.Answer {
        var body: JSONObject = ["model": "null-model", "ignore_eos": true, "input": "hello", "max_output_tokens": .int(count)]
        for (name, value) in fields { body[name] = value }
        return try await server.request("POST", "/v1/responses", .object(body))
    }

    private func message(_ server: TestServer, _ count: Int, _ fields: KeyValuePairs<String, JSONValue> = [:]) async throws -> HTTPClient.Answer {
        var body: JSONObject = ["model": "null-model", "ignore_eos": true, "messages": [["role": "user", "content": "hello"]], "max_tokens": .int(count)]
        for (name, value) in fields { body[name] = value }
        return try await server.request("POST", "/v1/messages", .object(body))
    }

    private static let script = "<think>I see.</think>A cat"

    @Test func aResponseHasAnItemOfReasoning() async throws {
        let server = try await server(Self.script)
        let whole = try await respond(server, 26).json
        let output = whole["output"]?.arrayValue ?? []
        #expect(output.count == 2 && output[0]["type"] == "reasoning" && output[0]["summary"] == [], "\(whole)")
        #expect(output[0]["content"] == [["type": "reasoning_text", "text": "I see."]] && output[1]["content"]?[0]?["text"] == "A cat")
        #expect(whole["usage"]?["output_tokens_details"]?["reasoning_tokens"] == 21 && whole["usage"]?["output_tokens"] == 26)
        let cut = try await respond(server, 9).json
        #expect(cut["status"] == "incomplete" && cut["output"]?.arrayValue?.count == 1 && cut["output"]?[0]?["content"]?[0]?["text"] == "I ")
        #expect(cut["output"]?[0]?["status"] == "incomplete" && cut["usage"]?["output_tokens_details"]?["reasoning_tokens"] == 9)
        await server.stop()
    }

    @Test func aResponseStreamsItsReasoning() async throws {
        let server = try await server(Self.script)
        let events = try ServerEvents(try await respond(server, 26, ["stream": true]).text)
        let kinds = events.names.map { String($0.dropFirst("response.".count)) }
        #expect(kinds.filter { !$0.hasSuffix(".delta") } == [
            "created", "in_progress", "output_item.added", "content_part.added", "reasoning_text.done", "content_part.done", "output_item.done",
            "output_item.added", "content_part.added", "output_text.done", "content_part.done", "output_item.done", "incomplete",
        ], "\(kinds)")
        func joined(_ kind: String) -> String { zip(kinds, events.all).filter { $0.0 == kind }.compactMap { $0.1["delta"]?.stringValue }.joined() }
        #expect(joined("reasoning_text.delta") == "I see." && joined("output_text.delta") == "A cat")
        let whole = try await respond(server, 26).json
        let streamed = events.all.last?["response"]
        func told(_ response: JSONValue?) -> [JSONValue?] { (response?["output"]?.arrayValue ?? []).flatMap { [$0["type"], $0["content"]] } }
        #expect(told(streamed) == told(whole) && streamed?["usage"] == whole["usage"])
        let added = events.all.filter { $0["type"] == "response.content_part.added" }
        #expect(added.map { $0["part"]?["type"] } == ["reasoning_text", "output_text"] && added.map { $0["output_index"] } == [0, 1])
        #expect(events.all.compactMap { $0["sequence_number"]?.intValue } == Array(events.all.indices))
        await server.stop()
    }

    @Test func logprobsAreThoseOfTheText() async throws {
        let server = try await server(Self.script)
        func tokens(_ item: JSONValue?) -> Int? { item?["content"]?[0]?["logprobs"]?.arrayValue?.count }
        let asked: KeyValuePairs<String, JSONValue> = ["include": ["message.output_text.logprobs"]]
        #expect(try await tokens(respond(server, 26, asked).json["output"]?[1]) == 5)
        let streamed = try ServerEvents(try await respond(server, 26, ["include": ["message.output_text.logprobs"], "stream": true]).text)
        #expect(tokens(streamed.all.last?["response"]?["output"]?[1]) == 5)
        await server.stop()
    }

    @Test func aMessageHasABlockOfThinking() async throws {
        let server = try await server(Self.script)
        let whole = try await message(server, 26).json
        let content = whole["content"]?.arrayValue ?? []
        #expect(content.map { $0["type"] } == ["thinking", "text"] && content[0]["thinking"] == "I see." && content[1]["text"] == "A cat", "\(whole)")
        #expect(content[0]["signature"]?.stringValue?.isEmpty == false)
        let events = try ServerEvents(try await message(server, 26, ["stream": true]).text)
        #expect(events.names.filter { $0 != "content_block_delta" } == [
            "message_start", "ping", "content_block_start", "content_block_stop", "content_block_start", "content_block_stop", "message_delta", "message_stop",
        ])
        let deltas = events.all.compactMap { $0["delta"] }
        #expect(deltas.compactMap { $0["thinking"]?.stringValue }.joined() == "I see." && deltas.compactMap { $0["text"]?.stringValue }.joined() == "A cat")
        #expect(deltas.filter { $0["type"] == "signature_delta" }.count == 1)
        #expect(events.all[2]["content_block"] == ["type": "thinking", "thinking": "", "signature": ""])
        let hidden = try await message(server, 26, ["thinking": ["type": "adaptive", "display": "omitted"]]).json
        #expect(hidden["content"]?[0]?["thinking"] == "" && hidden["content"]?[1]?["text"] == "A cat")
        let hiddenEvents = try ServerEvents(try await message(server, 26, ["stream": true, "thinking": ["type": "adaptive", "display": "omitted"]]).text)
        #expect(hiddenEvents.all.allSatisfy { $0["delta"]?["thinking"] == nil } && hiddenEvents.all.contains { $0["delta"]?["type"] == "signature_delta" })
        await server.stop()
    }

    @Test func whatIsAskedReachesTheTemplate() async throws {
        let seen = Seen<JSONObject>()
        let server = try await server("A") { $0.onExtra = { seen.note($0) } }
        func words(_ answer: HTTPClient.Answer) -> [JSONValue?] {
            #expect(answer.status == 200, "\(answer.text)")
            return [seen.last?["enable_thinking"], seen.last?["reasoning_effort"]]
        }
        #expect(try await words(server.chat()) == [nil, nil])
        #expect(try await words(server.chat(["reasoning_effort": "none"])) == [false, "none"])
        #expect(try await words(server.chat(["reasoning_effort": "high"])) == [true, "high"])
        #expect(try await words(server.chat(["reasoning_effort": "high", "chat_template_kwargs": ["enable_thinking": false]])) == [false, "high"])
        #expect(try await words(respond(server, 1, ["reasoning": ["effort": "minimal", "summary": "auto"]])) == [true, "minimal"])
        #expect(try await words(message(server, 1, ["thinking": ["type": "enabled", "budget_tokens": 1024]])) == [true, nil])
        #expect(try await words(message(server, 1, ["thinking": ["type": "disabled"]])) == [false, nil])
        #expect(try await words(message(server, 1, ["thinking": ["type": "adaptive"], "output_config": ["effort": "max"]])) == [nil, "max"])
        #expect(try await words(message(server, 1, ["thinking": ["type": "enabled"], "chat_template_kwargs": ["enable_thinking": false]])) == [false, nil])
        let counted: JSONValue = ["model": "null-model", "messages": [["role": "user", "content": "x"]], "thinking": ["type": "disabled"]]
        #expect(try await words(server.request("POST", "/v1/messages/count_tokens", counted)) == [false, nil])
        await server.stop()
    }

    @Test func thoughtsComeBack() async throws {
        let seen = Seen<JSONValue>()
        let server = try await server("A") { $0.onRender = { seen.note($0) } }
        let thought: JSONValue = ["type": "reasoning", "id": "rs_1", "summary": [], "content": [["type": "reasoning_text", "text": "hm"]], "encrypted_content": nil, "status": nil]
        let summary: JSONValue = ["type": "reasoning", "id": "rs_2", "summary": [["type": "summary_text", "text": "short"]]]
        let empty: JSONValue = ["type": "reasoning", "id": "rs_3", "summary": []]
        let call: JSONValue = ["type": "function_call", "call_id": "c", "name": "f", "arguments": "{}"]
        let said: JSONValue = ["type": "message", "role": "assistant", "content": "a"]
        let user: JSONValue = ["role": "user", "content": "u"]
        let cases: [([JSONValue], [[String: JSONValue]])] = [
            ([thought, said, user], [["role": "assistant", "reasoning_content": "hm", "content": "a"], ["role": "user"]]),
            ([said, thought, call, user], [["role": "assistant", "content": "a"], ["role": "assistant", "reasoning_content": "hm", "content": ""], ["role": "user"]]),
            ([thought, summary, said], [["role": "assistant", "reasoning_content": "hm\nshort", "content": "a"]]),
            ([thought, user], [["role": "assistant", "reasoning_content": "hm", "content": ""], ["role": "user"]]),
            ([empty, said, user], [["role": "assistant", "content": "a"], ["role": "user"]]),
        ]
        for (input, expected) in cases {
            let answer = try await respond(server, 1, ["input": .array(input)])
            #expect(answer.status == 200, "\(answer.text)")
            let rendered = seen.last?.arrayValue ?? []
            #expect(rendered.count == expected.count, "\(rendered)")
            for (message, fields) in zip(rendered, expected) { for (name, value) in fields { #expect(message[name] == value, "\(rendered)") } }
        }
        #expect(seen.last?[0]?["reasoning_content"] == nil)
        await server.stop()
    }
}
