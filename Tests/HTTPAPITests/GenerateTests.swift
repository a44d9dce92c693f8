import JSON
import TestClient
import Testing

/// `POST /generate`, the form of vLLM's plain server.
@Suite struct GenerateTests {
    private func generate(_ server: TestServer, _ body: JSONValue) async throws -> HTTPClient.Answer {
        try await server.request("POST", "/generate", body)
    }

    @Test func textsBeginWithThePrompt() async throws {
        let server = try await TestServer()
        let answer = try await generate(server, ["prompt": "hello", "max_tokens": 6, "ignore_eos": true])
        let same = try await server.request(
            "POST", "/v1/completions", ["model": .string(TestServer.modelName), "prompt": "hello", "max_tokens": 6, "ignore_eos": true])
        let text = same.json["choices"]?[0]?["text"]?.stringValue ?? "none"
        #expect(answer.status == 200 && answer.json == ["text": [.string("hello" + text)]])
        // Sixteen tokens where nothing says how many.
        #expect(try await generate(server, ["prompt": "hello", "ignore_eos": true]).json["text"]?[0]?.stringValue?.count == 21)
        let several = try await generate(server, ["prompt": [104, 105], "n": 2, "temperature": 1, "seed": 3, "max_tokens": 4, "ignore_eos": true])
        #expect(several.json["text"]?.arrayValue?.count == 2 && Set(several.json["text"]?.arrayValue?.compactMap(\.stringValue) ?? []).count == 2)
        await server.stop()
    }

    @Test func streamsAreLines() async throws {
        let server = try await TestServer()
        let body: JSONObject = ["prompt": "hello", "n": 2, "temperature": 1, "seed": 3, "max_tokens": 6, "ignore_eos": true]
        let whole = try await generate(server, .object(body)).json
        var streaming = body
        streaming["stream"] = true
        let answer = try await generate(server, .object(streaming))
        #expect(answer.headers["content-type"] == "application/x-ndjson")
        let lines = try answer.text.split(separator: "\n").map { try JSONValue(parsing: Array($0.utf8)) }
        #expect(lines.last == whole && lines.count == 13)
        for (line, next) in zip(lines, lines.dropFirst()) {
            for index in 0..<2 {
                let (before, after) = (line["text"]?[index]?.stringValue ?? "?", next["text"]?[index]?.stringValue ?? "")
                #expect(after.hasPrefix(before) && before.hasPrefix("hello"))
            }
        }
        await server.stop()
    }

    /// Fields of searches mean what they do for completions.
    @Test func searchesAreMade() async throws {
        let server = try await TestServer()
        let plain = try await generate(server, ["prompt": "a", "max_tokens": 4, "ignore_eos": true])
        let same = try await generate(server, ["prompt": "a", "max_tokens": 4, "ignore_eos": true, "use_beam_search": false, "length_penalty": 1.0, "early_stopping": false])
        #expect(same.status == 200 && same.json == plain.json, "\(same.text)")
        let search: JSONObject = ["use_beam_search": true, "n": 2, "max_tokens": 4, "length_penalty": 0.5, "early_stopping": "never", "ignore_eos": true]
        var body = search
        body["prompt"] = "a"
        let found = try await generate(server, .object(body))
        body["model"] = .string(TestServer.modelName)
        body["echo"] = true
        let completions = try await server.request("POST", "/v1/completions", .object(body))
        let texts = completions.json["choices"]?.arrayValue?.map { $0["text"] ?? .null }
        #expect(found.status == 200 && found.json["text"] == .array(texts ?? []), "\(found.text) \(completions.text)")
        let wrong = try await generate(server, ["prompt": "a", "length_penalty": 2])
        #expect(wrong.status == 400 && wrong.json["error"]?["param"] == "length_penalty", "\(wrong.text)")
        await server.stop()
    }

    @Test func wrongRequestsAreNamed() async throws {
        let server = try await TestServer()
        for (body, param) in [
            (["max_tokens": 3], "prompt"), (["prompt": ["a", "b"]], "prompt"), (["prompt": "a", "max_tokens": 0], "max_tokens"),
            (["prompt": "a", "logprobs": 1], "logprobs"), (["prompt": "a", "nonsense": 1], "nonsense"), (["prompt": "a", "model": "other"], "model"),
        ] as [(JSONValue, String)] {
            let answer = try await generate(server, body)
            #expect((400...404).contains(answer.status) && answer.json["error"]?["param"] == .string(param), "\(answer.text)")
        }
        await server.stop()
    }
}
