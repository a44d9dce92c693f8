import JSON
import TestClient
import Testing

/// What fields do to the tokens of an answer; a letter is a token's number by 26, 256 is the end.
@Suite struct TokenRuleTests {
    private func choice(_ server: TestServer, _ fields: KeyValuePairs<String, JSONValue>) async throws -> JSONValue {
        let answer = try await server.chat(fields)
        #expect(answer.status == 200, "\(answer.text)")
        return answer.json["choices"]?[0] ?? .null
    }

    private func text(_ server: TestServer, _ fields: KeyValuePairs<String, JSONValue>) async throws -> String {
        try await choice(server, fields)["message"]?["content"]?.stringValue ?? "none"
    }

    @Test func biasesAndAllowedTokensDecide() async throws {
        let server = try await TestServer()
        #expect(try await text(server, ["logit_bias": ["3": 100]]) == "dddddddd")
        #expect(try await text(server, ["allowed_token_ids": [4]]) == "eeeeeeee")
        #expect(try await text(server, ["allowed_token_ids": [4, 5], "logit_bias": ["5": 100], "frequency_penalty": 2]) != "")
        let mixed = try await text(server, ["allowed_token_ids": [4, 5], "presence_penalty": 2, "frequency_penalty": 2, "max_tokens": 100])
        #expect(Set(mixed) == ["e", "f"])
        await server.stop()
    }

    @Test func badWordsDoNotCome() async throws {
        let server = try await TestServer()
        // Tokens are bytes: "x" is token 120, and a run of two letters is two tokens.
        #expect(try await text(server, ["allowed_token_ids": [120, 121], "bad_words": ["x"]]) == "rrrrrrrr")
        let apart = try await text(server, ["allowed_token_ids": [120, 121], "bad_words": ["xx", "yy"], "max_tokens": 40])
        #expect(apart == String(repeating: "qr", count: 20) || apart == String(repeating: "rq", count: 20))
        let none = try await server.chat(["allowed_token_ids": [120], "bad_words": ["x"]])
        #expect(none.status == 400 && none.json["error"]?["param"] == "bad_words", "\(none.text)")
        let later = try await server.chat(["allowed_token_ids": [120], "bad_words": ["xxx"]])
        #expect(later.status == 400 && later.text.contains("no token may follow"), "\(later.text)")
        await server.stop()
    }

    @Test func anEndWaitsForTheLeastLength() async throws {
        let server = try await TestServer()
        let fields: KeyValuePairs<String, JSONValue> = ["allowed_token_ids": [256, 100], "logit_bias": ["256": 100], "ignore_eos": false]
        let free = try await server.chat(fields).json
        #expect(free["usage"]?["completion_tokens"] == 1 && free["choices"]?[0]?["finish_reason"] == "stop")
        var longer = TestServer.body(fields).objectValue ?? JSONObject()
        longer["min_tokens"] = 5
        let held = try await server.request("POST", "/v1/chat/completions", .object(longer)).json
        #expect(held["usage"]?["completion_tokens"] == 6 && held["choices"]?[0]?["message"]?["content"] == "wwwww")
        #expect(held["choices"]?[0]?["stop_reason"] == .null)
        let alone = try await server.chat(["allowed_token_ids": [256], "min_tokens": 1])
        #expect(alone.status == 400 && alone.json["error"]?["param"] == "allowed_token_ids")
        await server.stop()
    }

    @Test func stopTokensEndTheText() async throws {
        let server = try await TestServer()
        let fields: KeyValuePairs<String, JSONValue> = [
            "allowed_token_ids": [3, 4], "logit_bias": ["3": 100], "frequency_penalty": 2, "stop_token_ids": [3], "min_tokens": 3,
        ]
        let ended = try await choice(server, fields)
        #expect(ended["finish_reason"] == "stop" && ended["stop_reason"] == 3 && ended["message"]?["content"] == "eee")
        var shown = TestServer.body(fields).objectValue ?? JSONObject()
        shown["include_stop_str_in_output"] = true
        let json = try await server.request("POST", "/v1/chat/completions", .object(shown)).json
        #expect(json["choices"]?[0]?["message"]?["content"] == "eeed" && json["usage"]?["completion_tokens"] == 4)
        await server.stop()
    }

    @Test func aStopStringMayBeShownAndMayComeTooEarly() async throws {
        let server = try await TestServer()
        let fields: KeyValuePairs<String, JSONValue> = ["allowed_token_ids": [3], "stop": "dd", "include_stop_str_in_output": true]
        let shown = try await choice(server, fields)
        #expect(shown["message"]?["content"] == "dd" && shown["stop_reason"] == "dd")
        #expect(try await text(server, ["allowed_token_ids": [3], "stop": "dd", "min_tokens": 5]) == "ddd")
        await server.stop()
    }
}
