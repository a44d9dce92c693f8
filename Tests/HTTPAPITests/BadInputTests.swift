import Dispatch
import Foundation
import Inputs
import JSON
import Serving
import TestClient
import Testing

@Suite struct BadInputTests {
    /// Fields that make a good request bad, the status, the field that is named and words of the message.
    struct Case: Sendable, CustomTestStringConvertible {
        var name: String
        var value: JSONValue
        var status = 400
        var param: String?
        var words: String

        init(_ name: String, _ value: JSONValue, status: Int = 400, param: String? = nil, _ words: String) {
            self.name = name
            self.value = value
            self.status = status
            self.param = param
            self.words = words
        }

        var testDescription: String { "\(name): \(value.serializedText.prefix(60))" }
    }

    static let cases: [Case] = [
        Case("max_tokens", 0, "max_tokens must be at least 1, not 0"),
        Case("max_tokens", -5, "max_tokens must be at least 1, not -5"),
        Case("max_tokens", "8", "max_tokens must be a whole number"),
        Case("max_tokens", 2.5, "max_tokens must be a whole number"),
        Case("max_tokens", 502, "context holds 512 tokens and the prompt has 11"),
        Case("max_completion_tokens", 502, "max_tokens 8 and max_completion_tokens 502 are two numbers"),
        Case("max_completion_tokens", 0, "max_completion_tokens must be at least 1"),
        Case("temperature", -0.1, "temperature must be at least 0"),
        Case("temperature", "hot", "temperature must be a number"),
        Case("top_p", 0, "top_p must be above 0"),
        Case("top_p", 1.1, "top_p must be above 0"),
        Case("top_k", -2, "top_k must be -1"),
        Case("repetition_penalty", 0, "repetition_penalty must be above 0"),
        Case("seed", 1e30, "seed must be a whole number"),
        Case("stop", ["x", 1], "stop[1] must be a string, not 1"),
        Case("stop", [.null], "stop[0] must be a string, not null"),
        Case("stop", [:], "stop must be a string or a list of strings, not an object"),
        Case("stop", "", "stop must not hold an empty string"),
        Case("stop", .array(Array(repeating: "x", count: 17)), "stop holds 17 strings"),
        Case("stream", "yes", "stream must be a boolean"),
        Case("stream_options", ["include_usage": true], "stream_options is only allowed when stream is true"),
        Case("ignore_eos", 1, "ignore_eos must be a boolean"),
        Case("model", "gpt-4", status: 404, "the model gpt-4 does not exist; this server has null-model, alias"),
        Case("model", .null, "model is required"),
        Case("messages", [], "messages must not be empty"),
        Case("messages", "hello", "messages must be a list"),
        Case("messages", ["hello"], param: "messages[0]", "messages[0] must be an object"),
        Case("messages", [["content": "x"]], param: "messages[0].role", "messages[0].role is required"),
        Case("messages", [["role": "judge", "content": "x"]], param: "messages[0].role", "not judge"),
        Case("messages", [["role": "user"]], param: "messages[0].content", "messages[0].content is required"),
        Case("messages", [["role": "user", "content": 3]], param: "messages[0].content", "must be a string or a list"),
        Case("n", 2, "n must be 1 when temperature is 0"),
        Case("n", 0, "n must be at least 1 and at most 128, not 0"),
        Case("n", 129, "n must be at least 1 and at most 128, not 129"),
        Case("best_of", 3, "best_of must be 1 when temperature is 0"),
        Case("logprobs", 5, "logprobs must be a boolean"),
        Case("top_logprobs", 5, "top_logprobs is only allowed when logprobs is true"),
        Case("top_logprobs", 21, "top_logprobs must be at least 0 and at most 20, not 21"),
        Case("top_logprobs", -1, "top_logprobs must be at least 0"),
        Case("use_beam_search", true, param: "best_of", "best_of, or n, must be at least 2 when use_beam_search is true"),
        Case("use_beam_search", 1, "use_beam_search must be a boolean, not 1"),
        Case("length_penalty", 0.5, "length_penalty must be 1 when use_beam_search is not true"),
        Case("length_penalty", "x", "length_penalty must be a number"),
        Case("early_stopping", true, "early_stopping must be false when use_beam_search is not true"),
        Case("early_stopping", "always", "early_stopping must be true, false or \"never\""),
        Case("tools", [["type": "function", "function": ["name": "f"]]], "the model's chat template does not tell it of tools"),
        Case("guided_whitespace_pattern", " ?", "guided_whitespace_pattern is not supported yet; leave it out"),
        Case("min_p", 1.5, "min_p must be at least 0 and at most 1"),
        Case("presence_penalty", 2.5, "presence_penalty must be at least -2"),
        Case("frequency_penalty", -3, "frequency_penalty must be at least -2"),
        Case("logit_bias", [["1": 5]], "logit_bias must be an object"),
        Case("logit_bias", ["x": 5], "logit_bias.x is no token: the vocabulary has 259"),
        Case("logit_bias", ["259": 5], "logit_bias.259 is no token"),
        Case("logit_bias", ["1": 101], "logit_bias.1 must be at least -100 and at most 100, not 101"),
        Case("logit_bias", ["1": "x"], "logit_bias.1 must be a number"),
        Case("bad_words", "x", "bad_words must be a list of strings"),
        Case("bad_words", [""], "bad_words must not hold an empty string"),
        Case("bad_words", .array(Array(repeating: "x", count: 257)), "bad_words holds 257 words"),
        Case("bad_words", [.string(String(repeating: "x", count: 257))], "a word of more than 256 bytes"),
        Case("allowed_token_ids", [], "allowed_token_ids must not be empty"),
        Case("allowed_token_ids", [1, -1], "allowed_token_ids[1] -1 is no token"),
        Case("allowed_token_ids", 5, "allowed_token_ids must be a list of token ids"),
        Case("min_tokens", -1, "min_tokens must be at least 0"),
        Case("min_tokens", 9, "min_tokens 9 is more than max_tokens 8"),
        Case("stop_token_ids", [1.5], "stop_token_ids[0] must be a token id, not 1.5"),
        Case("stop_token_ids", [300], "stop_token_ids[0] 300 is no token"),
        Case("include_stop_str_in_output", "no", "include_stop_str_in_output must be a boolean"),
        Case("temperature", 1e39, "temperature must be at least 0"),
        Case("cache_salt", 5, "cache_salt must be a string"),
        Case("colour", "red", "unknown field colour"),
        Case(
            String(repeating: "x", count: 5000), 1, param: String(repeating: "x", count: 100),
            "unknown field " + String(repeating: "x", count: 100)),
        Case("messages", [["role": "user", "content": "x", "images": ["aGk="]]], param: "messages[0].images", "messages[0].images is not read"),
        Case("messages", [["role": "user", "content": "x", "name": 3]], param: "messages[0].name", "must be a string"),
    ]

    @Test func namesTheFieldAtFault() async throws {
        let server = try await TestServer()
        for test in Self.cases {
            let answer = try await server.chat([test.name: test.value])
            let error = answer.json["error"]
            #expect(answer.status == test.status, "\(test.testDescription): \(answer.text)")
            #expect(error?["message"]?.stringValue?.contains(test.words) == true, "\(test.testDescription): \(answer.text)")
            #expect(error?["param"] == .string(test.param ?? test.name), "\(test.testDescription): \(answer.text)")
            #expect(error?["type"] == "invalid_request_error" && error?["code"] != nil)
        }
        #expect(try await server.chat(["model": "gpt-4"]).json["error"]?["code"] == "model_not_found")
        #expect(try await server.chat().status == 200)
        await server.stop()
    }

    @Test func acceptsWhatAsksForNothing() async throws {
        let server = try await TestServer()
        let harmless: [(String, JSONValue)] = [
            ("user", "me"), ("min_tokens", 0), ("logit_bias", [:]), ("bad_words", []), ("allowed_token_ids", .null), ("metadata", ["a": "b"]), ("store", true), ("service_tier", "auto"), ("n", 1),
            ("presence_penalty", 0), ("frequency_penalty", 0.0), ("logprobs", false), ("tools", .null), ("tools", []), ("tool_choice", "auto"), ("tool_choice", "none"), ("parallel_tool_calls", false),
            ("response_format", ["type": "text"]), ("temperature", .null), ("stop", .null), ("max_tokens", .null),
            ("top_k", -1), ("min_p", 0), ("stream_options", .null), ("seed", .null), ("stop_token_ids", []),
            ("messages", [["role": "user", "content": "x", "name": "me"]]),
            ("max_tokens", 501), ("model", "alias"), ("model", "/somewhere/null-model"), ("model", "alias/"),
            ("top_k", 0), ("nobody_knows", .null), ("cache_salt", .null), ("verbosity", "low"), ("prompt_cache_key", "a"),
            ("safety_identifier", "b"), ("prompt_cache_retention", "24h"), ("stream_options", ["include_usage": false]),
        ]
        for (name, value) in harmless {
            let answer = try await server.chat([name: value])
            #expect(answer.status == 200, "\(name): \(answer.text)")
        }
        await server.stop()
    }

    @Test func saysBothLengthsOfAPromptThatIsTooLong() async throws {
        let server = try await TestServer()
        let text = JSONValue.string(String(repeating: "x", count: 600))
        let answer = try await server.chat(["messages": [["role": "user", "content": text]]])
        #expect(answer.status == 400)
        let message = answer.json["error"]?["message"]?.stringValue ?? ""
        #expect(message.contains("606 tokens") && message.contains("512 tokens"))
        #expect(answer.json["error"]?["code"] == "context_length_exceeded")
        await server.stop()
    }

    @Test func refusesTextThatTheTokenizerCannotRead() async throws {
        let server = try await TestServer()
        let answer = try await server.chat(["messages": [["role": "user", "content": "¤"]]])
        #expect(answer.status == 400 && answer.json["error"]?["param"] == "messages")
        let message = answer.json["error"]?["message"]?.stringValue
        #expect(message == "the tokenizer cannot read this text: step 1 makes it longer than 9 bytes")
        await server.stop()
    }

    @Test func refusesTextByItsLengthAlone() async throws {
        var options = TestServer.Options()
        options.tokenBytesMax = 4
        options.encodeGate = DispatchSemaphore(value: 0)
        let server = try await TestServer(options)
        // Tokenizing this text would wait for ever.
        let text = JSONValue.string(String(repeating: "@", count: 4 * TestServer.contextLength))
        let answer = try await server.chat(["messages": [["role": "user", "content": text]]])
        #expect(answer.status == 400 && answer.json["error"]?["code"] == "context_length_exceeded")
        let message = answer.json["error"]?["message"]?.stringValue ?? ""
        #expect(message.contains("at least 514 tokens") && message.contains("512 tokens"), "\(message)")
        await server.stop()
    }

    @Test func refusesImagesByTheirHeadersAlone() async throws {
        var options = TestServer.Options()
        options.maxBodyBytes = 16 << 20
        let server = try await TestServer(options)
        // Decoding would find each of them cut off.
        let file = try #require(Base64.decode(TestImages.png.utf8)).prefix(40)
        let url = JSONValue.string("data:image/png;base64," + Data(file).base64EncodedString())
        let part: JSONValue = ["type": "image_url", "image_url": url]
        let content = JSONValue.array(Array(repeating: part, count: TestServer.contextLength))
        let answer = try await server.chat(["messages": [["role": "user", "content": content]]])
        #expect(answer.status == 400 && answer.json["error"]?["code"] == "context_length_exceeded", "\(answer.text)")
        #expect(answer.json["error"]?["message"]?.stringValue?.contains("512 images are at least 512 tokens") == true)
        await server.stop()
    }

    @Test func namesThePlaceOfABadImage() async throws {
        let server = try await TestServer()
        let good = "data:image/png;base64,\(TestImages.png)"
        let urls: [(String, String)] = [
            ("data:image/png;base64,", "0 bytes"), ("data:image/png;base64,!!!!", "base64"),
            ("data:image/png;base64,aGVsbG8gd29ybGQ=", "not a JPEG, PNG, WebP, GIF, BMP or TIFF file"), ("data:image/png,xyz", "base64"),
            (String(good.dropLast(40)), "PNG"), ("https://example.com/cat.png", "--allowed-media-domains"),
            ("file:///etc/passwd", "--allowed-local-media-path"), ("/etc/passwd", "an image is a data: URL"), ("ftp://x/y", "an image is a data: URL"), ("", "empty"),
        ]
        for (url, words) in urls {
            let parts: JSONValue = [
                ["type": "image_url", "image_url": ["url": .string(good)]],
                ["type": "image_url", "image_url": ["url": .string(url)]],
            ]
            let messages: JSONValue = [["role": "system", "content": "look"], ["role": "user", "content": parts]]
            let answer = try await server.chat(["messages": messages])
            #expect(answer.status == 400, "\(url)")
            #expect(answer.json["error"]?["param"] == "messages[1].content[1]", "\(url): \(answer.text)")
            let message = answer.json["error"]?["message"]?.stringValue ?? ""
            #expect(message.hasPrefix("messages[1].content[1]: ") && message.contains(words), "\(url): \(message)")
        }
        #expect(try await server.chat().status == 200)
        await server.stop()
    }

    @Test func refusesWhatIsNoJSON() async throws {
        let server = try await TestServer()
        let deep = Array(repeating: UInt8(ascii: "["), count: 10_000) + Array(repeating: UInt8(ascii: "]"), count: 10_000)
        let bodies: [[UInt8]] = [[], Array("{".utf8), Array("[]".utf8), [0xFF, 0xFE], deep, Array("{\"messages\":".utf8) + deep + [0x7D]]
        for body in bodies {
            let answer = try await server.request("POST", "/v1/chat/completions", bytes: body)
            #expect(answer.status == 400)
            #expect(answer.json["error"]?["message"]?.stringValue?.isEmpty == false)
        }
        await server.stop()
    }

    @Test func refusesABodyThatIsTooLarge() async throws {
        let server = try await TestServer()
        let answer = try await server.request(
            "POST", "/v1/chat/completions", bytes: Array(repeating: 0x20, count: 3 << 20))
        #expect(answer.status == 413)
        #expect(answer.json["error"]?["message"]?.stringValue?.contains("1048576 bytes") == true)
        // Without an announced length the limit holds as well.
        let port = server.port
        let status = try await blocking {
            let client = try HTTPClient(port: port)
            try client.send(Array("POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n".utf8))
            for _ in 0..<40 { try client.send(Array("10000\r\n".utf8) + Array(repeating: 0x20, count: 65536) + Array("\r\n".utf8)) }
            try client.send(Array("0\r\n\r\n".utf8))
            return try client.answer().status
        }
        #expect(status == 413)
        await server.stop()
    }

    @Test func refusesMoreValuesThanABodyMayHold() async throws {
        var options = TestServer.Options()
        options.maxBodyBytes = 4 << 20
        let server = try await TestServer(options)
        let body = Array(("[" + String(repeating: "1,", count: 1 << 20) + "1]").utf8)
        let answer = try await server.request("POST", "/v1/chat/completions", bytes: body)
        #expect(answer.status == 400)
        #expect(answer.json["error"]?["message"]?.stringValue?.contains("more than 262144 values") == true)
        await server.stop()
    }

    @Test func smallBodiesHaveRoomBesideLargeOnes() async throws {
        var options = TestServer.Options()
        options.maxBodyBytes = 8 << 20
        options.maxHeldBytes = 16 << 20
        let server = try await TestServer(options)
        let port = server.port
        // Half of the memory is for bodies that arrive. The second one may not fill it to the brim.
        let clients = try await blocking {
            try [4 << 20, 4_100_000].map { count in
                let client = try HTTPClient(port: port)
                let head = "POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nContent-Length: 8000000\r\n\r\n"
                try client.send(Array(head.utf8))
                try? client.send(Array(repeating: 0x20, count: count))
                return client
            }
        }
        try await Task.sleep(for: .milliseconds(300))
        #expect(try await server.chat(["max_tokens": 1, "user": .string(String(repeating: " ", count: 200_000))]).status == 200)
        withExtendedLifetime(clients) {}
        await server.stop()
    }

    @Test func aTextDoesNotWaitBehindLongWork() async throws {
        var options = TestServer.Options()
        options.maxBodyBytes = 4 << 20
        options.encodeGate = DispatchSemaphore(value: 0)
        let server = try await TestServer(options)
        // Bodies of megabytes whose tokenization stands still hold every thread of their lane.
        let long = String(repeating: " ", count: 1 << 20)
        let held = (0..<3).map { _ in
            Task { try await server.chat(["messages": [["role": "user", "content": "@"]], "user": .string(long)]).status }
        }
        try await Task.sleep(for: .milliseconds(300))
        #expect(try await server.chat(["max_tokens": 1]).status == 200)
        for _ in held { options.encodeGate?.signal() }
        for task in held { #expect(try await task.value == 200) }
        await server.stop()
    }

    @Test func oneFailureLeavesTheServerServing() async throws {
        var options = TestServer.Options()
        options.failsOnToken = Int32(UInt8(ascii: "%"))
        let server = try await TestServer(options)
        let bad = try await server.chat(["messages": [["role": "user", "content": "%"]]])
        #expect(bad.status == 500 && bad.json["error"]?["type"] == "server_error")
        let streamed = try await server.chat(["messages": [["role": "user", "content": "%"]], "stream": true])
        #expect(streamed.events.dropLast().last?.contains("\"error\"") == true && streamed.events.last == "[DONE]")
        #expect(try await server.chat(["max_tokens": 1]).status == 200)
        await server.stop()
    }
}
