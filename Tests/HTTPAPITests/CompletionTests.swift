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

    /// Offsets are those of the text, also where tokens are parts of characters.
    @Test func offsetsCountTheTextsCharacters() async throws {
        let server = try await TestServer(.init(spellsBytes: true))
        let fields: KeyValuePairs<String, JSONValue> = ["guided_choice": ["a\u{e9}\u{20ac}b"], "max_tokens": 16, "ignore_eos": false, "logprobs": 1]
        let choice = try await complete(server, fields).json["choices"]?[0]
        #expect(choice?["text"] == "a\u{e9}\u{20ac}b")
        #expect(column(choice, "tokens").prefix(3) == ["a", "\\xc3", "\\xa9"] && column(choice, "text_offset").prefix(7) == [0, 1, 1, 2, 2, 2, 3])
        var object = try #require(body(fields).objectValue)
        object["stream"] = true
        let answer = try await server.request("POST", "/v1/completions", .object(object))
        let parts = try answer.events.dropLast().map { try JSONValue(parsing: $0)["choices"]?[0] }
        #expect(parts.flatMap { column($0, "text_offset") } == column(choice, "text_offset"))
        await server.stop()
    }

    private func column(_ choice: JSONValue?, _ name: String) -> [JSONValue] { choice?["logprobs"]?[name]?.arrayValue ?? [] }

    /// The prompt's tokens come first, as those of an answer do where the prompt is shorter.
    @Test func anEchoHasLogProbabilities() async throws {
        let server = try await TestServer()
        let whole = try await complete(server, ["echo": true, "logprobs": 2])
        let choice = whole.json["choices"]?[0]
        let text = choice?["text"]?.stringValue ?? ""
        #expect(text.prefix(5) == "hello" && text.count == 13 && choice?["prompt_logprobs"] == nil)
        // The test's model spells its tokens by other letters.
        #expect(column(choice, "tokens").compactMap(\.stringValue).joined() == "axeeh" + text.dropFirst(5))
        #expect(column(choice, "text_offset") == (0..<13).map { .int($0) })
        #expect(column(choice, "token_logprobs").count == 13 && column(choice, "top_logprobs").count == 13)
        #expect(column(choice, "token_logprobs")[0] == .null && column(choice, "top_logprobs")[0] == .null)
        // What the model makes of "hell" tells of the "o" behind it.
        let plain = try await complete(server, ["prompt": "hell", "logprobs": 2, "allowed_token_ids": [111], "max_tokens": 1]).json["choices"]?[0]
        #expect(column(plain, "tokens") == ["h"])
        for name in ["token_logprobs", "top_logprobs"] { #expect(column(plain, name)[0] == column(choice, name)[4]) }
        #expect(try await column(complete(server, ["logprobs": 2]).json["choices"]?[0], "token_logprobs") == Array(column(choice, "token_logprobs")[5...]))
        // The prompt alone, as evaluations ask for it.
        let alone = try await complete(server, ["echo": true, "logprobs": 2, "max_tokens": 0])
        #expect(alone.json["choices"]?[0]?["text"] == "hello" && alone.json["choices"]?[0]?["finish_reason"] == "length")
        for name in ["tokens", "text_offset", "token_logprobs", "top_logprobs"] {
            #expect(column(alone.json["choices"]?[0], name) == Array(column(choice, name)[..<5]))
        }
        #expect(alone.json["usage"]?["prompt_tokens"] == 5 && alone.json["usage"]?["completion_tokens"] == 0)
        #expect(try await texts(complete(server, ["echo": true, "max_tokens": 0])) == ["hello"])
        await server.stop()
    }

    @Test func anEchoStreamsWithItsLogProbabilities() async throws {
        let server = try await TestServer()
        let fields: KeyValuePairs<String, JSONValue> = [
            "prompt": ["hello, you there", "x"], "echo": true, "logprobs": 1, "n": 3, "temperature": 1, "seed": 4,
        ]
        let whole = try await complete(server, fields).json["choices"]?.arrayValue ?? []
        var object = try #require(body(fields).objectValue)
        for (isPromptAlone, most) in [(false, 8), (true, 0)] {
            object["stream"] = true
            object["max_tokens"] = .int(most)
            let answer = try await server.request("POST", "/v1/completions", .object(object))
            let choices = try answer.events.dropLast().compactMap { try JSONValue(parsing: $0)["choices"]?[0] }
            #expect(whole.count == 6 && answer.events.last == "[DONE]")
            for index in 0..<6 {
                let own = choices.filter { $0["index"]?.intValue == index }
                let tokens = index < 3 ? 16 : 1
                #expect(own.first?["text"]?.stringValue == (index < 3 ? "hello, you there" : "x") && column(own.first, "tokens").count == tokens)
                for name in ["tokens", "text_offset", "token_logprobs", "top_logprobs"] {
                    let expected = column(whole[index], name)
                    #expect(own.flatMap { column($0, name) } == (isPromptAlone ? Array(expected[..<tokens]) : expected), "\(index) \(name)")
                }
            }
        }
        await server.stop()
    }

    @Test func promptsHaveLogProbabilities() async throws {
        var options = TestServer.Options()
        options.spellsBytes = true
        let server = try await TestServer(options)
        let answer = try await complete(server, ["prompt": ["hello", "you"], "prompt_logprobs": 2, "n": 2, "temperature": 1, "seed": 3, "echo": true, "logprobs": 1])
        let choices = answer.json["choices"]?.arrayValue ?? []
        #expect(choices.map { $0["prompt_logprobs"]?.arrayValue?.count } == [5, 5, 3, 3] && answer.json["prompt_logprobs"] == nil, "\(answer.text)")
        #expect(choices[0]["prompt_logprobs"] == choices[1]["prompt_logprobs"] && choices[0]["prompt_logprobs"]?[0] == .null)
        for (place, token) in "hello".utf8.enumerated().dropFirst() {
            let entries = choices[0]["prompt_logprobs"]?[place]?.objectValue ?? JSONObject()
            let own = entries["\(token)"]
            #expect((2...3).contains(entries.count) && own?["decoded_token"] == .string(String(UnicodeScalar(token))))
            #expect(own?["logprob"] == column(choices[0], "token_logprobs")[place])
            #expect(column(choices[0], "top_logprobs")[place].objectValue.map { (1...2).contains($0.count) } == true)
            let order = entries.map { $0.1 }.sorted { ($0["rank"]?.intValue ?? 0) < ($1["rank"]?.intValue ?? 0) }
            #expect(order.prefix(2).map { $0["rank"] } == [1, 2])
            let values = order.map { $0["logprob"]?.doubleValue ?? 1 }
            #expect(values == values.sorted(by: >) && values[0] <= 0)
        }
        let own = try await complete(server, ["prompt_logprobs": 0]).json["choices"]?[0]
        #expect(own?["prompt_logprobs"]?[1]?.objectValue?.count == 1 && own?["logprobs"] == .null)
        let streamed = try await complete(server, ["prompt_logprobs": 0, "stream": true])
        #expect(streamed.status == 400 && streamed.json["error"]?["param"] == "prompt_logprobs")
        let chat = try await server.chat(["prompt_logprobs": 1, "n": 2, "temperature": 1]).json
        #expect(chat["prompt_logprobs"]?.arrayValue?.count == chat["usage"]?["prompt_tokens"]?.intValue && chat["prompt_logprobs"]?[0] == .null)
        #expect(chat["choices"]?[0]?["logprobs"] == .null && chat["choices"]?[1]?["prompt_logprobs"] == nil)
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
            ("max_tokens", 0, "max_tokens must be at least 1"), ("prompt_logprobs", 21, "prompt_logprobs must be at least 0 and at most 20"),
            ("prompt_logprobs", -1, "prompt_logprobs must be at least 0"), ("prompt_logprobs", true, "prompt_logprobs must be a whole number"),
        ]
        for (name, value, words) in cases {
            let answer = try await complete(server, [name: value])
            let error = answer.json["error"]
            #expect(answer.status == 400 && error?["message"]?.stringValue?.contains(words) == true, "\(name): \(answer.text)")
            #expect(error?["param"] == .string(name), "\(answer.text)")
        }
        #expect(try await complete(server, ["model": "gpt-4"]).status == 404)
        #expect(try await complete(server, ["suffix": "", "user": "me", "store": false, "suffix": .null]).status == 200)
        await server.stop()
    }

    /// Of several prompts the one at fault is named, whoever finds it.
    @Test func oneOfSeveralPromptsIsNamed() async throws {
        let long = String(repeating: "a", count: 600)
        for (tokenBytesMax, words) in [(nil, "prompt[1]: the prompt has 600 tokens"), (1, "prompt[1]: the prompt's 600 bytes")] as [(Int?, String)] {
            var options = TestServer.Options()
            options.tokenBytesMax = tokenBytesMax
            let server = try await TestServer(options)
            let answer = try await complete(server, ["prompt": ["a", .string(long), "b"]])
            #expect(answer.status == 400 && answer.json["error"]?["message"]?.stringValue?.hasPrefix(words) == true, "\(answer.text)")
            #expect(answer.json["error"]?["param"] == "prompt[1]")
            let inputs = (0..<6).map { JSONValue.string($0 == 5 ? long : "a") }
            let embedded = try await server.request("POST", "/v1/embeddings", ["model": .string(TestServer.modelName), "input": .array(inputs)])
            #expect(embedded.json["error"]?["param"] == "input[5]" && embedded.json["error"]?["message"]?.stringValue?.hasPrefix("input[5]: the prompt") == true, "\(embedded.text)")
            await server.stop()
        }
    }

    /// What asks for nothing of fields that are known passes, on all routes that have them; what asks for something does not.
    @Test func whatAsksForNothingPasses() async throws {
        let server = try await TestServer()
        for (fields, status) in [
            (["media_io_kwargs": [:], "logits_processors": [], "kv_transfer_params": [:], "vllm_xargs": [:], "prompt_cache_options": ["mode": "implicit"]], 200),
            (["media_io_kwargs": ["video": [:]]], 200), (["media_io_kwargs": ["video": ["num_frames": 4]]], 400), (["logits_processors": ["a"]], 400), (["truncation_side": "left"], 200),
            (["truncation_side": "right"], 400), (["suffix": []], 200),
        ] as [(KeyValuePairs<String, JSONValue>, Int)] {
            let answer = try await complete(server, fields)
            #expect(answer.status == status, "\(answer.text)")
            if status == 400 { #expect(answer.json["error"]?["code"] == "unsupported_parameter") }
        }
        for (fields, status) in [
            (["functions": [], "documents": [], "audio": [:], "media_io_kwargs": [:], "prompt_cache_options": [:], "session_id": "a"], 200), (["web_search_options": [:]], 400), (["web_search_options": nil], 200),
            (["audio": ["voice": "a"]], 400), (["messages": [["role": "user", "content": "x", "audio": [:], "images": []]]], 200),
            (["messages": [["role": "user", "content": [["type": "image_url", "image_url": ["url": .string("data:image/png;base64,\(TestImages.png)"), "detail": "original"]]]]]], 200),
        ] as [(JSONObject, Int)] {
            var body = TestServer.body([:]).objectValue ?? JSONObject()
            for (name, value) in fields { body[name] = value }
            let answer = try await server.request("POST", "/v1/chat/completions", .object(body))
            #expect(answer.status == status, "\(answer.text)")
        }
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
