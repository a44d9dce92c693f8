import HTTPAPI
import JSON
import TestClient
import Testing

/// What the port answers before there is a model.
@Suite struct LobbyTests {
    private static func get(_ path: String, _ port: Int) throws -> HTTPClient.Answer {
        let client = try HTTPClient(port: port)
        try client.send("GET", path)
        return try client.answer()
    }

    @Test func probesAreToldThePhaseAndOthersToComeAgain() async throws {
        var options = APIServer.Options()
        options.port = 0
        options.access.apiKeys = ["secret"]
        let (answers, port) = try await Lobby(options, progress: { ("compiling", 0.25) }).open { port in
            try ["/health", "/ready", "/ping", "/live", "/metrics", "/v1/models"].map { try Self.get($0, port) }
        }
        #expect(answers.map(\.status) == [503, 503, 503, 200, 401, 401])
        #expect(answers[0].json["phase"] == "compiling" && answers[0].json["progress"] == 0.25 && answers[0].headers["retry-after"] == "1")
        // It is open for the server that comes next.
        #expect(try Self.get("/live", port.number).status == 200)
        await port.close()
        #expect(throws: (any Error).self) { try Self.get("/live", port.number) }
        options.port = port.number
        options.access.apiKeys = []
        let (open, again) = try await Lobby(options, progress: { ("compiling", 0.25) }).open { port in
            let chat = try HTTPClient(port: port)
            try chat.send("POST", "/v1/chat/completions", body: TestServer.body([:]).serialized)
            return [try Self.get("/metrics", port), try chat.answer()]
        }
        await again.close()
        #expect(again.number == port.number && open.map(\.status) == [200, 503])
        #expect(open.allSatisfy { $0.headers["x-request-id"]?.count == 32 })
        #expect(open[0].text.contains("process_start_time_seconds "))
        #expect(open[1].headers["retry-after"] != nil && open[1].json["error"]?["message"] == "the server is not ready: compiling")
    }

    /// Errors have the form of their path, and answers what the server's own have, before there is a model as after.
    @Test func answersAreFramedAsTheServersOwn() async throws {
        var options = APIServer.Options()
        options.port = 0
        options.access.allowedOrigins = ["https://page.example"]
        let (answers, port) = try await Lobby(options, progress: { ("compiling", 0.25) }).open { port in
            try ["/v1/messages", "/v1/messages/count_tokens?beta=true", "/v1/responses"].map { path in
                let client = try HTTPClient(port: port)
                try client.send(Array("POST \(path) HTTP/1.1\r\nHost: x\r\nX-Request-Id: a\r\nOrigin: https://page.example\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}".utf8))
                return try client.answer()
            }
        }
        await port.close()
        for answer in answers {
            #expect(answer.status == 503 && answer.headers["x-request-id"] == "a" && answer.headers["access-control-allow-origin"] == "https://page.example", "\(answer.headers)")
            #expect(answer.json["error"]?["message"] == "the server is not ready: compiling")
        }
        #expect(answers.map { $0.json["type"] } == ["error", "error", nil] && answers[0].json["error"]?["type"] == "overloaded_error")
    }

    @Test func whatTheWorkThrowsIsThrownAndATakenPortIsSaidBefore() async throws {
        var options = APIServer.Options()
        options.port = 0
        await #expect(throws: Fault.self) { try await Self.fail(options) }
        let server = try await TestServer()
        options.port = server.port
        await #expect(throws: ListenError.self) { try await Self.fail(options) }
        await server.stop()
    }

    private struct Fault: Error {}

    private static func fail(_ options: APIServer.Options) async throws {
        _ = try await Lobby(options, progress: { ("compiling", 0.25) }).open { _ -> Int in throw Fault() }
    }
}
