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
        // The server that comes next has the port for itself.
        #expect(throws: (any Error).self) { try Self.get("/live", port) }
        options.port = port
        options.access.apiKeys = []
        let (open, again) = try await Lobby(options, progress: { ("compiling", 0.25) }).open { port in
            let chat = try HTTPClient(port: port)
            try chat.send("POST", "/v1/chat/completions", body: TestServer.body([:]).serialized)
            return [try Self.get("/metrics", port), try chat.answer()]
        }
        #expect(again == port && open.map(\.status) == [200, 503])
        #expect(open[0].text.contains("process_start_time_seconds "))
        #expect(open[1].headers["retry-after"] != nil && open[1].json["error"]?["message"] == "the server is not ready: compiling")
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
