import Foundation
import Inputs
import JSON
import Plan
import Serving
import Synchronization
import TestClient
import Testing

/// What real clients send beside the plain form of the API.
@Suite struct ClientFormTests {
    /// Keeps what chat templates were shown.
    private final class Seen: Sendable {
        private let last = Mutex<JSONValue>(.null)
        var messages: JSONValue { last.withLock { $0 } }
        func note(_ messages: JSONValue) { last.withLock { $0 = messages } }
    }

    /// The messages that the template sees for given ones.
    private func seen(_ cases: [(String, String)]) async throws {
        let seen = Seen()
        var options = TestServer.Options()
        options.onRender = seen.note
        let server = try await TestServer(options)
        for (sent, expected) in cases {
            let answer = try await server.chat(["messages": [try JSONValue(parsing: sent)]])
            #expect(answer.status == 200, "\(sent): \(answer.text)")
            #expect(seen.messages[0]?.serializedText == expected)
        }
        await server.stop()
    }

    @Test func partsMayBeWrittenInSeveralWays() async throws {
        let text = #"{"role":"user","content":[{"type":"text","text":"x"}]}"#
        let image = #"{"url":"data:image/png;base64,\#(TestImages.png)"}"#
        try await seen([
            (#"{"role": "user", "content": ["x"]}"#, text),
            (#"{"role": "user", "content": [{"text": "x"}]}"#, text),
            (#"{"role": "user", "content": [{"type": "input_text", "text": "x"}]}"#, text),
            (#"{"role": "user", "content": [{"type": "output_text", "text": "x", "annotations": []}]}"#, text),
            (#"{"role": "user", "content": [{"type": "text", "text": "x", "cache_control": {"type": "ephemeral"}}]}"#, text),
            (#"{"role": "user", "id": 17, "opts": {"visible": false}, "content": "x"}"#, #"{"role":"user","content":"x"}"#),
            (#"{"role": "user", "content": [{"image_url": \#(image)}]}"#, #"{"role":"user","content":[{"type":"image"}]}"#),
        ])
    }

    @Test func callsOfToolsReachTheTemplate() async throws {
        try await seen([
            (
                #"{"role": "assistant", "content": null, "tool_calls": [{"id": "a", "type": "function", "function": {"name": "f", "arguments": "{\"x\": 1}"}}]}"#,
                #"{"role":"assistant","content":"","tool_calls":[{"id":"a","type":"function","function":{"name":"f","arguments":{"x":1}}}]}"#
            ),
            (
                #"{"role": "assistant", "tool_calls": [{"function": {"name": "f", "arguments": "no JSON"}}, {"function": {"name": "g"}}]}"#,
                #"{"role":"assistant","content":"","tool_calls":[{"function":{"name":"f","arguments":"no JSON"}},{"function":{"name":"g","arguments":{}}}]}"#
            ),
            (#"{"role": "assistant", "content": "x", "tool_calls": []}"#, #"{"role":"assistant","content":"x"}"#),
            (
                #"{"role": "tool", "tool_call_id": "a", "name": "f", "content": "x"}"#,
                #"{"role":"tool","content":"x","name":"f","tool_call_id":"a"}"#
            ),
        ])
    }

    @Test func aBadCallNamesItsPlace() async throws {
        let server = try await TestServer()
        for (calls, place) in [
            (#"{}"#, "tool_calls"), ("[3]", "tool_calls[0]"), (#"[{"id": "a"}]"#, "tool_calls[0].function"),
            (#"[{"function": {"name": 3}}]"#, "tool_calls[0].function.name"),
        ] {
            let message = try JSONValue(parsing: #"{"role": "assistant", "tool_calls": \#(calls)}"#)
            let answer = try await server.chat(["messages": [message]])
            #expect(answer.status == 400 && answer.json["error"]?["param"] == .string("messages[0]." + place), "\(answer.text)")
        }
        await server.stop()
    }

    @Test func theModelSaysHowLongAnAnswerIs() async throws {
        for (count, expected) in [(3, 3), (100_000, 501)] {
            var options = TestServer.Options()
            options.generation.maxNewTokens = count
            let server = try await TestServer(options)
            #expect(try await server.chat(["max_tokens": .null]).json["usage"]?["completion_tokens"] == .int(expected))
            #expect(try await server.chat(["max_tokens": 5]).json["usage"]?["completion_tokens"] == 5)
            await server.stop()
        }
    }

    @Test func theTemplateSeesWhatItIsToBeTold() async throws {
        let seen = Seen()
        var options = TestServer.Options()
        options.onExtra = { seen.note(.object($0)) }
        let server = try await TestServer(options)
        #expect(try await server.chat(["chat_template_kwargs": ["enable_thinking": false, "x": [1]], "add_generation_prompt": false]).status == 200)
        #expect(seen.messages == ["enable_thinking": false, "x": [1], "add_generation_prompt": false])
        for fields in [["messages": []], ["tools": .null], ["add_generation_prompt": true]] as [JSONValue] {
            let answer = try await server.chat(["chat_template_kwargs": fields])
            #expect(answer.status == 400 && answer.json["error"]?["param"] == "chat_template_kwargs", "\(answer.text)")
        }
        #expect(try await server.chat(["chat_template_kwargs": 5]).status == 400)
        await server.stop()
    }

    @Test func aFormIsToldToBeJSON() async throws {
        let server = try await TestServer()
        for body in ["--boundary\r\nContent-Disposition: form-data", "model=m&messages=hello"] {
            let answer = try await server.request("POST", "/v1/chat/completions", bytes: Array(body.utf8))
            #expect(answer.status == 415 && answer.text.contains("send JSON"), "\(answer.text)")
        }
        await server.stop()
    }
}
