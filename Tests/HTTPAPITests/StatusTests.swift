import Dispatch
import Gates
import Inputs
import JSON
import Serving
import TestClient
import Testing

@Suite struct StatusTests {
    @Test func saysHowItIs() async throws {
        let server = try await TestServer()
        #expect(try await server.request("GET", "/health").status == 200)
        #expect(try await server.request("GET", "/ready").status == 200)
        #expect(try await server.request("GET", "/live").status == 200)
        #expect(try await server.request("GET", "/ping").status == 200)
        #expect(try await server.request("GET", "/version").json == ["version": "1.2.3"])
        let models = try await server.request("GET", "/v1/models").json
        #expect(models["object"] == "list" && models["data"]?.arrayValue?.count == 1)
        #expect(models["data"]?[0]?["id"] == .string(TestServer.modelName))
        #expect(models["data"]?[0]?["max_model_len"] == .int(TestServer.contextLength))
        #expect(try await server.request("GET", "/v1/models/null-model").json["object"] == "model")
        #expect(try await server.request("GET", "/v1/models/other").status == 404)
        _ = try await server.chat()
        let metrics = try await server.request("GET", "/metrics")
        #expect(metrics.headers["content-type"]?.hasPrefix("text/plain") == true)
        #expect(metrics.text.contains("vllm:generation_tokens_total{model_name=\"null-model\"} 8.0\n"))
        #expect(metrics.text.contains("http_requests_total{handler=\"/v1/chat/completions\",status=\"200\"} 1\n"))
        let missing = try await server.request("GET", "/v1/nothing")
        #expect(missing.status == 404 && missing.json["error"]?["message"] != nil)
        await server.stop()
    }

    @Test func isNotHealthyBeforeItIsWarm() async throws {
        var options = TestServer.Options()
        let gate = DispatchSemaphore(value: 0)
        options.loadGate = gate
        let server = try await TestServer(options)
        let early = try await server.request("GET", "/health")
        #expect(early.status == 503 && early.json["phase"] == "loading")
        let chat = try await server.chat()
        #expect(chat.status == 503 && chat.headers["retry-after"] != nil)
        #expect(try await server.request("GET", "/metrics").status == 200)
        #expect(try await server.request("GET", "/live").status == 200)
        gate.signal()
        while server.engine.phase != .serving { try await Task.sleep(for: .milliseconds(2)) }
        #expect(try await server.request("GET", "/health").status == 200)
        await server.stop()
    }
}

@Suite struct LoadTests {
    @Test func servesFarMoreClientsThanPlaces() async throws {
        var options = TestServer.Options()
        options.maxQueued = 300
        let server = try await TestServer(options)
        try await withThrowingTaskGroup(of: Int.self) { group in
            for index in 0..<200 {
                group.addTask { try await server.chat(["stream": .bool(index % 2 == 0), "seed": .int(index)]).status }
            }
            for try await status in group { #expect(status == 200) }
        }
        #expect(server.engine.inFlight == 0)
        await server.stop()
    }

    @Test func refusesBeyondItsQueue() async throws {
        var options = TestServer.Options()
        options.maxSequences = 2
        options.maxQueued = 1
        options.stepMilliseconds = 3
        let server = try await TestServer(options)
        var statuses: [Int: Int] = [:]
        try await withThrowingTaskGroup(of: HTTPClient.Answer.self) { group in
            for _ in 0..<12 { group.addTask { try await server.chat(["max_tokens": 40]) } }
            for try await answer in group {
                statuses[answer.status, default: 0] += 1
                if answer.status != 200 {
                    #expect(answer.headers["retry-after"] == "1" && answer.json["error"]?["message"] != nil)
                }
            }
        }
        #expect(statuses[200, default: 0] >= 3 && statuses[429, default: 0] >= 1 && statuses.count == 2)
        await server.stop()
    }

    /// Requests, however many answers each asks for.
    @Test func theLoadIsCountedInRequests() async throws {
        let options = TestServer.Options()
        let server = try await TestServer(options)
        func load() async throws -> JSONValue? { try await server.request("GET", "/load").json["server_load"] }
        #expect(try await load() == 0)
        options.stepGate.close(after: 1)
        let client = try HTTPClient(port: server.port)
        try client.send("POST", "/v1/chat/completions", body: TestServer.body(["n": 3, "temperature": 1]).serialized)
        try await server.whenRunning()
        #expect(server.engine.inFlight == 3)
        #expect(try await load() == 1)
        options.stepGate.open()
        #expect(try await blocking { try client.answer() }.status == 200)
        while try await load() != 0 { try await Task.sleep(for: .milliseconds(1)) }
        await server.stop()
    }

    @Test(arguments: [true, false]) func aClientThatGoesAwayFreesItsSequence(streams: Bool) async throws {
        var options = TestServer.Options()
        // All 400 tokens take forty seconds.
        options.stepMilliseconds = 100
        let server = try await TestServer(options)
        options.stepGate.close(after: 2)
        let client = try HTTPClient(port: server.port)
        try client.send(
            "POST", "/v1/chat/completions", body: TestServer.body(["stream": .bool(streams), "max_tokens": 400]).serialized)
        try await server.whenRunning()
        client.close()
        options.stepGate.open()
        while server.engine.inFlight > 0 { try await Task.sleep(for: .milliseconds(1)) }
        #expect(server.engine.metrics.successes[.abort] == 1)
        await server.stop()
    }

    /// As `nc -N` does: the whole request, then the end of what it sends.
    @Test(arguments: [true, false]) func aClientThatSendsNoMoreGetsItsAnswer(streams: Bool) async throws {
        let options = TestServer.Options()
        let server = try await TestServer(options)
        options.stepGate.close(after: 2)
        let client = try HTTPClient(port: server.port)
        try client.send("POST", "/v1/chat/completions", body: TestServer.body(["stream": .bool(streams), "max_tokens": 20]).serialized)
        client.stopSending()
        try await server.whenRunning()
        options.stepGate.open()
        let text = try #require(try await blocking { client.rest() })
        let answer = text.replacing("HTTP/1.1 100 Continue\r\n\r\n", with: "")
        #expect(answer.hasPrefix("HTTP/1.1 200 ") && answer.lowercased().contains("connection: close"), "\(text)")
        #expect(answer.contains(streams ? "data: [DONE]" : "\"completion_tokens\":20"), "\(text)")
        #expect(server.engine.metrics.successes[.length] == 1 && server.engine.inFlight == 0)
        await server.stop()
    }

    @Test func halfARequestIsNotWaitedFor() async throws {
        let server = try await TestServer()
        let client = try HTTPClient(port: server.port)
        try client.send(Array("POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100\r\n\r\n{".utf8))
        client.stopSending()
        #expect(try await blocking { client.rest() }?.contains(" 200 ") == false)
        await server.stop()
    }

    @Test func drainingLetsAnswersEnd() async throws {
        let options = TestServer.Options()
        let server = try await TestServer(options)
        options.stepGate.close(after: 2)
        async let answer = server.chat(["max_tokens": 100])
        try await server.whenRunning()
        async let drained = server.engine.drain(timeout: .seconds(600))
        while server.engine.phase != .draining { try await Task.sleep(for: .milliseconds(1)) }
        let late = try await server.chat()
        #expect(late.status == 503 && late.headers["retry-after"] != nil)
        #expect(try await server.request("GET", "/health").status == 503)
        options.stepGate.open()
        #expect(try await answer.json["usage"]?["completion_tokens"] == 100)
        #expect(await drained == 0)
        await server.stop()
    }
}
