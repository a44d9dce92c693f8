import JSON
import Plan
import TestClient
import Testing

/// `use_beam_search` of the routes that have several answers.
@Suite struct BeamTests {
    private func texts(_ json: JSONValue) -> [String] {
        (json["choices"]?.arrayValue ?? []).map { $0["message"]?["content"]?.stringValue ?? $0["text"]?.stringValue ?? "none" }
    }

    private func score(_ choice: JSONValue, prompt: Int) -> Double {
        let entries = choice["logprobs"]?["content"]?.arrayValue ?? []
        return entries.reduce(0) { $0 + ($1["logprob"]?.doubleValue ?? 1) } / Double(prompt + entries.count)
    }

    @Test func theBestAreShownInOrder() async throws {
        let server = try await TestServer()
        let fields: KeyValuePairs<String, JSONValue> = ["use_beam_search": true, "n": 3, "best_of": 4, "max_tokens": 10, "logprobs": true, "top_logprobs": 2]
        let answer = try await server.chat(fields).json
        let choices = answer["choices"]?.arrayValue ?? []
        #expect(choices.map { $0["index"] } == [0, 1, 2] && Set(texts(answer)).count == 3)
        #expect(answer["usage"]?["prompt_tokens"] == 11 && answer["usage"]?["completion_tokens"] == 30)
        let scores = choices.map { score($0, prompt: 11) }
        #expect(scores == scores.sorted(by: >) && scores.allSatisfy { $0 < 0 }, "\(scores)")
        let greedy = try await server.chat(["max_tokens": 10, "logprobs": true]).json["choices"]?[0]
        #expect(scores[0] >= score(try #require(greedy), prompt: 11))
        #expect(choices[0]["logprobs"]?["content"]?[0]?["top_logprobs"]?.arrayValue?.count == 2)
        #expect(try await texts(server.chat(fields).json) == texts(answer))
        // What the model's own defaults say of draws is not meant: a search draws nothing.
        var options = TestServer.Options()
        (options.generation.temperature, options.generation.topP, options.generation.doSample) = (0.7, 0.5, true)
        let warm = try await TestServer(options)
        var body = TestServer.body(fields).objectValue ?? JSONObject()
        body["temperature"] = nil
        #expect(try await texts(warm.request("POST", "/v1/chat/completions", .object(body)).json) == texts(answer))
        await warm.stop()
        await server.stop()
    }

    @Test func streamsHaveEachAnswerWhenTheSearchIsOver() async throws {
        let server = try await TestServer()
        var object = TestServer.body(["use_beam_search": true, "n": 2, "best_of": 3, "max_tokens": 10]).objectValue ?? JSONObject()
        let whole = try await server.request("POST", "/v1/chat/completions", .object(object)).json
        (object["stream"], object["stream_options"]) = (true, ["include_usage": true])
        let events = try await server.request("POST", "/v1/chat/completions", .object(object)).events
        let chunks = try events.dropLast().map { try JSONValue(parsing: $0) }
        var streamed = ["", ""]
        for choice in chunks.compactMap({ $0["choices"]?[0] }) { streamed[choice["index"]?.intValue ?? 0] += choice["delta"]?["content"]?.stringValue ?? "" }
        #expect(streamed == texts(whole) && events.last == "[DONE]")
        #expect(chunks.last?["usage"] == whole["usage"] && whole["usage"]?["completion_tokens"] == 20)
        await server.stop()
    }

    @Test func completionsSearchForEachPrompt() async throws {
        let server = try await TestServer()
        let body: JSONObject = [
            "model": .string(TestServer.modelName), "prompt": ["hello", "you"], "use_beam_search": true, "n": 2, "max_tokens": 6, "temperature": 0, "top_k": -1,
            "early_stopping": "never", "length_penalty": 0.5, "echo": true, "logprobs": 1,
        ]
        let answer = try await server.request("POST", "/v1/completions", .object(body)).json
        let shown = texts(answer)
        #expect(shown.count == 4 && Set(shown).count == 4 && shown[0].hasPrefix("hello") && shown[3].hasPrefix("you"), "\(shown)")
        #expect(answer["choices"]?[1]?["logprobs"]?["tokens"]?.arrayValue?.count == 11)
        await server.stop()
    }

    /// A guide leaves a search what it leaves an answer, and no more answers than there are.
    @Test func guidedSearchesFindTheTextsThatMayBe() async throws {
        var options = TestServer.Options()
        options.spellsBytes = true
        let server = try await TestServer(options)
        let fields: KeyValuePairs<String, JSONValue> = ["use_beam_search": true, "n": 3, "max_tokens": 20, "guided_choice": ["red", "green", "blue"]]
        #expect(try await texts(server.chat(fields).json).sorted() == ["blue", "green", "red"])
        let many = try await server.chat(["use_beam_search": true, "n": 4, "max_tokens": 20, "guided_choice": ["red", "green", "blue"]])
        #expect(many.status == 400 && many.text.contains("found 3 of 4 answers"), "\(many.text)")
        await server.stop()
    }

    @Test func otherMixesNameTheField() async throws {
        let server = try await TestServer()
        let cases: [(field: String, value: JSONValue, words: String)] = [
            ("temperature", 0.5, "temperature must be 0 when use_beam_search is true"), ("top_p", 0.9, "top_p must be 1"), ("top_k", 5, "top_k must be -1"),
            ("min_p", 0.1, "min_p must be 0"), ("best_of", 5, "5 beams are asked for, and 4 sequences run at once"), ("best_of", 1, "best_of 1 must be at least n"),
            ("early_stopping", "no", "early_stopping must be"),
        ]
        for (field, value, words) in cases {
            var object = TestServer.body(["use_beam_search": true, "n": 2]).objectValue ?? JSONObject()
            object[field] = value
            let answer = try await server.request("POST", "/v1/chat/completions", .object(object))
            #expect(answer.status == 400 && answer.json["error"]?["param"] == .string(field) && answer.text.contains(words), "\(field): \(answer.text)")
        }
        for path in ["/v1/responses", "/v1/messages"] {
            let answer = try await server.request("POST", path, ["use_beam_search": true])
            #expect(answer.status == 400 && answer.text.contains("use_beam_search"), "\(answer.text)")
        }
        await server.stop()
    }
}
