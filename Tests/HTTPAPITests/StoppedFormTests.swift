import Gates
import JSON
import Serving
import TestClient
import Testing

/// Answers of the other forms that the server's end cuts: none of them passes for whole.
@Suite struct StoppedFormTests {
    private static let bodies: [String: JSONObject] = [
        "/v1/responses": ["model": "null-model", "ignore_eos": true, "input": "hello", "max_output_tokens": 400],
        "/v1/messages": ["model": "null-model", "ignore_eos": true, "messages": [["role": "user", "content": "hello"]], "max_tokens": 400],
    ]

    /// The answer to a request that is stopped while it is computed.
    private func stopped(_ path: String, streams: Bool) async throws -> HTTPClient.Answer {
        var options = TestServer.Options()
        options.stepMilliseconds = 100
        let server = try await TestServer(options)
        options.stepGate.close(after: 2)
        var body = Self.bodies[path] ?? JSONObject()
        body["stream"] = .bool(streams)
        let asked = JSONValue.object(body)
        async let answer = server.request("POST", path, asked)
        try await server.whenRunning()
        options.stepGate.open()
        await server.engine.drain(timeout: .milliseconds(50))
        let received = try await answer
        await server.stop()
        return received
    }

    @Test func responsesFail() async throws {
        let whole = try await stopped("/v1/responses", streams: false)
        #expect(whole.status == 200 && whole.json["status"] == "failed" && whole.json["error"]?["code"] == "server_error", "\(whole.text)")
        let events = try ServerEvents(try await stopped("/v1/responses", streams: true).text)
        #expect(events.names.last == "response.failed" && events.all.last?["response"]?["status"] == "failed", "\(events.names)")
        #expect(events.all.last?["response"]?["output"]?[0]?["status"] == "incomplete", "\(events.all.last ?? .null)")
    }

    @Test func messagesAreErrors() async throws {
        let whole = try await stopped("/v1/messages", streams: false)
        #expect(whole.status == 503 && whole.json["error"]?["type"] == "overloaded_error", "\(whole.text)")
        let events = try ServerEvents(try await stopped("/v1/messages", streams: true).text)
        #expect(events.names.last == "error" && !events.names.contains("message_stop"), "\(events.names)")
        #expect(events.all.last?["error"]?["message"]?.stringValue?.contains("the server stopped") == true)
    }
}
