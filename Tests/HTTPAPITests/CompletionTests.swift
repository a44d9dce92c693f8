import JSON
import TestClient
import Testing

/// `/v1/completions`, `/tokenize` and `/detokenize`; bytes are tokens.
@Suite struct CompletionTests {
    private func body(_ fields: KeyValuePairs<String, JSONValue>) -> JSONValue {
        var object = JSONObject()
        object["model"] = .string(TestServer.modelName)
        object["prompt"] = "hello"
        object["max_tokens"] = 8
        object["ignore_eos"] = true
        for (name, value) in fields { object[name] = value }
        return .object(object)
    }

    private func complete(_ server: TestServer, _ fields: KeyValuePairs<String, JSONValue> = [:]) async throws -> HTTPClient.Answer {
        try await server.request("POST", "/v1/completions", body(fields))
    }

    private func texts(_ answer: HTTPClient.Answer) -> [String] {
        (answer.json["choices"]?.arrayValue ?? []).map { $0["text"]?.stringValue ?? "none" }
    }

    @Test func promptsHaveFourForms() async throws {
        let server = try await TestServer()
        let answer = try await complete(server)
        let json = answer.json
        #expect(answer.status == 200 && json["object"] == "text_completion" && json["id"]?.stringValue?.hasPrefix("cmpl-") == true)
        #expect(json["choices"]?[0]?["finish_reason"] == "length" && json["choices"]?[0]?["logprobs"] == .null)
        #expect(json["usage"]?["prompt_tokens"] == 5 && json["usage"]?["completion_tokens"] == 8)
        let text = texts(answer)[0]
        #expect(text.count == 8)
        let ids = JSONValue.array("hello".utf8.map { .int(Int($0)) })
        #expect(try await texts(complete(server, ["prompt": ids])) == [text])
        #expect(try await texts(complete(server, ["prompt": ["hello"]])) == [text])
        let several = try await complete(server, ["prompt": ["other", "hello"]])
        #expect(texts(several)[1] == text && texts(several)[0] != text && several.json["usage"]?["prompt_tokens"] == 10)
        #expect(several.json["choices"]?[1]?["index"] == 1)
        #expect(try await texts(complete(server, ["prompt": [ids, ids]])) == [text, text])
        // Sixteen where nothing says how many.
        #expect(try await texts(complete(server, ["max_tokens": .null]))[0].count == 16)
        await server.stop()
    }

    @Test func echoesAndStreams() async throws {
        let server = try await TestServer()
        let whole = try await complete(server, ["prompt": ["hello", "you"], "echo": true, "n": 2, "temperature": 1, "seed": 3])
        let expected = texts(whole)
        #expect(expected.map { $0.prefix(3) } == ["hel", "hel", "you", "you"] && expected.map(\.count) == [13, 13, 11, 11])
        #expect(Set(expected).count == 4 && whole.json["usage"]?["prompt_tokens"] == 8)
        let answer = try await complete(
            server,
            [
                "prompt": ["hello", "you"], "echo": true, "n": 2, "temperature": 1, "seed": 3, "stream": true,
                "stream_options": ["include_usage": true],
            ])
        let chunks = try answer.events.dropLast().map { try JSONValue(parsing: $0) }
        var streamed = ["", "", "", ""]
        for choice in chunks.compactMap({ $0["choices"]?[0] }) { streamed[choice["index"]?.intValue ?? 0] += choice["text"]?.stringValue ?? "" }
        #expect(streamed == expected && chunks.allSatisfy { $0["object"] == "text_completion" })
        #expect(chunks.last?["usage"] == whole.json["usage"] && answer.events.last == "[DONE]")
        // Tokens are shown as the decoder does.
        let ids = try await complete(server, ["prompt": [3, 4], "echo": true])
        #expect(texts(ids)[0].hasPrefix("de"))
        await server.stop()
    }

    @Test func logProbabilitiesHaveTheirForm() async throws {
        let server = try await TestServer()
        let choice = try await complete(server, ["logprobs": 2]).json["choices"]?[0]
        let logprobs = choice?["logprobs"]
        #expect(logprobs?["tokens"]?.arrayValue?.compactMap(\.stringValue).joined() == choice?["text"]?.stringValue)
        #expect(logprobs?["text_offset"] == [0, 1, 2, 3, 4, 5, 6, 7] && logprobs?["token_logprobs"]?.arrayValue?.count == 8)
        for place in 0..<8 {
            let top = logprobs?["top_logprobs"]?[place]?.objectValue ?? JSONObject()
            let token = logprobs?["tokens"]?[place]?.stringValue ?? ""
            #expect((1...2).contains(top.count) && top[token] == logprobs?["token_logprobs"]?[place])
        }
        let chunks = try await complete(server, ["logprobs": 2, "stream": true]).events.dropLast().map { try JSONValue(parsing: $0) }
        #expect(chunks.count == 9 && chunks.allSatisfy { $0["object"] == "text_completion" })
        let parts = chunks.compactMap { $0["choices"]?[0]?["logprobs"] }.filter { !$0.isNull }
        for name in ["tokens", "text_offset", "token_logprobs", "top_logprobs"] {
            #expect(.array(parts.flatMap { $0[name]?.arrayValue ?? [] }) == logprobs?[name])
        }
        await server.stop()
    }

    @Test func namesTheFieldAtFault() async throws {
        let server = try await TestServer()
        let cases: [(String, JSONValue, String)] = [
            ("prompt", .null, "prompt is required"), ("prompt", [], "prompt must not be empty"), ("prompt", "", "the prompt is empty"),
            ("prompt", 5, "prompt must be a string"), ("prompt", [1, 300], "prompt[1] 300 is no token"),
            ("prompt", [[1], [2, "x"]], "prompt[1][1] must be a token id"), ("prompt", ["a", 1], "prompt[1] must be a string or a list"),
            ("prompt", [1, "a"], "prompt[1] must be a token id"), ("prompt", [[]], "the prompt is empty"),
            ("prompt", .array(Array(repeating: "x", count: 1025)), "prompt holds 1025 prompts"),
            ("prompt", .string(String(repeating: "x", count: 600)), "600 tokens"), ("suffix", "x", "suffix must be \"\""),
            ("logprobs", 21, "logprobs must be at least 0"), ("logprobs", true, "logprobs must be a whole number"),
            ("messages", ["x"], "messages is not supported"), ("top_logprobs", 1, "unknown field top_logprobs"),
            ("max_tokens", 510, "max_tokens 510 is too large"), ("echo", 1, "echo must be a boolean"),
        ]
        for (name, value, words) in cases {
            let answer = try await complete(server, [name: value])
            let error = answer.json["error"]
            #expect(answer.status == 400 && error?["message"]?.stringValue?.contains(words) == true, "\(name): \(answer.text)")
            #expect(error?["param"] == .string(name), "\(answer.text)")
        }
        let both = try await complete(server, ["echo": true, "logprobs": 0])
        #expect(both.status == 400 && both.json["error"]?["param"] == "echo")
        #expect(try await complete(server, ["model": "gpt-4"]).status == 404)
        #expect(try await complete(server, ["suffix": "", "user": "me", "store": false, "suffix": .null]).status == 200)
        await server.stop()
    }

    @Test func tokenizesAndBack() async throws {
        let server = try await TestServer()
        let ids = JSONValue.array("user:hi\n".utf8.map { .int(Int($0)) })
        let text = try await server.request("POST", "/tokenize", ["model": .string(TestServer.modelName), "prompt": "user:hi\n"])
        #expect(text.json == ["count": 8, "max_model_len": 512, "tokens": ids], "\(text.text)")
        let chat = try await server.request(
            "POST", "/tokenize", ["messages": [["role": "user", "content": "hi"]], "add_generation_prompt": false])
        #expect(chat.json["tokens"] == ids, "\(chat.text)")
        let back = try await server.request("POST", "/detokenize", ["tokens": [3, 4]])
        #expect(back.json == ["prompt": "de"])
        let faults: [(String, JSONValue, String, Int)] = [
            ("/tokenize", [:], "prompt", 400), ("/tokenize", ["prompt": "x", "messages": []], "prompt", 400),
            ("/tokenize", ["prompt": "x", "model": "gpt-4"], "model", 404), ("/tokenize", ["prompt": 5], "prompt", 400),
            ("/tokenize", ["prompt": "x", "temperature": 1], "temperature", 400), ("/tokenize", ["prompt": "¤"], "prompt", 400),
            ("/detokenize", [:], "tokens", 400), ("/detokenize", ["tokens": [300]], "tokens", 400),
            ("/detokenize", ["tokens": "x"], "tokens", 400),
        ]
        for (path, body, param, status) in faults {
            let answer = try await server.request("POST", path, body)
            #expect(answer.status == status && answer.json["error"]?["param"] == .string(param), "\(path) \(body.serializedText): \(answer.text)")
        }
        await server.stop()
    }
}
