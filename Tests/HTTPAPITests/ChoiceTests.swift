import JSON
import TestClient
import Testing

/// Several choices and log probabilities of chats.
@Suite struct ChoiceTests {
    private func texts(_ json: JSONValue) -> [String] {
        (json["choices"]?.arrayValue ?? []).map { $0["message"]?["content"]?.stringValue ?? "none" }
    }

    @Test func severalAnswersDifferAndAreTheSameAgain() async throws {
        let server = try await TestServer()
        let fields: KeyValuePairs<String, JSONValue> = ["n": 3, "seed": 5, "temperature": 1.5, "max_tokens": 20]
        let first = try await server.chat(fields).json
        #expect(first["choices"]?.arrayValue?.map { $0["index"] } == [0, 1, 2] && Set(texts(first)).count == 3)
        #expect(first["usage"]?["prompt_tokens"] == 11 && first["usage"]?["completion_tokens"] == 60 && first["usage"]?["total_tokens"] == 71)
        #expect(try await texts(server.chat(fields).json) == texts(first))
        let alone = try await server.chat(["seed": 5, "temperature": 1.5, "max_tokens": 20]).json
        #expect(texts(alone) == [texts(first)[0]], "the first is the answer of one alone")
        await server.stop()
    }

    @Test func severalAnswersAreStreamedSideBySide() async throws {
        let server = try await TestServer()
        let fields: KeyValuePairs<String, JSONValue> = ["n": 3, "seed": 5, "temperature": 1.5, "max_tokens": 20]
        let whole = try await server.chat(fields).json
        var object = TestServer.body(fields).objectValue ?? JSONObject()
        (object["stream"], object["stream_options"]) = (true, ["include_usage": true])
        let events = try await server.request("POST", "/v1/chat/completions", .object(object)).events
        let chunks = try events.dropLast().map { try JSONValue(parsing: $0) }
        var streamed = ["", "", ""]
        var ended: [Int] = []
        for choice in chunks.compactMap({ $0["choices"]?[0] }) {
            let index = choice["index"]?.intValue ?? -1
            streamed[index] += choice["delta"]?["content"]?.stringValue ?? ""
            if choice["finish_reason"] == "length" { ended.append(index) }
        }
        #expect(streamed == texts(whole) && ended.sorted() == [0, 1, 2] && events.last == "[DONE]")
        #expect(chunks.last?["usage"]?["prompt_tokens"] == 11 && chunks.last?["usage"]?["completion_tokens"] == 60)
        await server.stop()
    }

    @Test func theLikeliestOfManyAreShown() async throws {
        let server = try await TestServer()
        let all = try await server.chat(["n": 6, "seed": 1, "temperature": 2, "max_tokens": 5, "logprobs": true]).json
        let ranked = (all["choices"]?.arrayValue ?? []).sorted { sum($0) > sum($1) }.map { $0["message"]?["content"]?.stringValue }
        let best = try await server.chat(["n": 2, "best_of": 6, "seed": 1, "temperature": 2, "max_tokens": 5]).json
        #expect(texts(best) == ranked.prefix(2).compactMap { $0 } && best["choices"]?[0]?["logprobs"] == .null)
        #expect(best["usage"]?["completion_tokens"] == 30)
        let many = try await server.chat(["n": 128, "temperature": 1])
        #expect(many.status == 400 && many.json["error"]?["param"] == "n" && many.text.contains("more than the 104"), "\(many.text)")
        for (fields, param) in [(["n": 3, "best_of": 2], "best_of"), (["n": 1, "best_of": 2, "stream": true], "best_of")] as [(KeyValuePairs<String, JSONValue>, String)] {
            var object = TestServer.body(fields).objectValue ?? JSONObject()
            object["temperature"] = 1
            let answer = try await server.request("POST", "/v1/chat/completions", .object(object))
            #expect(answer.status == 400 && answer.json["error"]?["param"] == .string(param), "\(answer.text)")
        }
        await server.stop()
    }

    private func sum(_ choice: JSONValue) -> Double {
        (choice["logprobs"]?["content"]?.arrayValue ?? []).reduce(0) { $0 + ($1["logprob"]?.doubleValue ?? 0) }
    }

    @Test func logProbabilitiesHaveTheirForm() async throws {
        let server = try await TestServer()
        let choice = try await server.chat(["logprobs": true, "top_logprobs": 2]).json["choices"]?[0]
        let content = choice?["logprobs"]?["content"]?.arrayValue ?? []
        #expect(content.count == 8 && choice?["logprobs"]?["refusal"] == .null)
        #expect(content.compactMap { $0["token"]?.stringValue }.joined() == choice?["message"]?["content"]?.stringValue)
        for entry in content {
            let top = entry["top_logprobs"]?.arrayValue ?? []
            #expect(top.count == 2 && top[0]["token"] == entry["token"] && top[0]["logprob"] == entry["logprob"], "greedy takes the likeliest")
            #expect((top[0]["logprob"]?.doubleValue ?? 1) <= 0 && (top[0]["logprob"]?.doubleValue ?? 0) >= (top[1]["logprob"]?.doubleValue ?? 0))
            #expect(entry["bytes"] == .array((entry["token"]?.stringValue ?? "").utf8.map { .int(Int($0)) }))
        }
        let none = try await server.chat(["logprobs": true]).json["choices"]?[0]?["logprobs"]?["content"]?[0]
        #expect(none?["top_logprobs"] == [] && none?["logprob"] == content[0]["logprob"])
        let chunks = try await server.chat(["logprobs": true, "top_logprobs": 2, "stream": true]).events.dropLast().map { try JSONValue(parsing: $0) }
        let streamed = chunks.flatMap { $0["choices"]?[0]?["logprobs"]?["content"]?.arrayValue ?? [] }
        #expect(streamed == content)
        await server.stop()
    }

    /// An end has its own entry, as it counts among the tokens; so has what a stop string held back.
    @Test func everyTokenHasAnEntry() async throws {
        let server = try await TestServer()
        for stream in [false, true] {
            let answer = try await server.chat([
                "allowed_token_ids": [3, 256], "logit_bias": ["256": 100], "min_tokens": 3, "ignore_eos": false, "logprobs": true, "stop": "xxx",
                "stream": .bool(stream),
            ])
            let parts = stream ? try answer.events.dropLast().map { try JSONValue(parsing: $0) } : [answer.json]
            let entries = parts.flatMap { $0["choices"]?[0]?["logprobs"]?["content"]?.arrayValue ?? [] }
            #expect(entries.count == 4, "\(answer.text)")
        }
        await server.stop()
    }
}
