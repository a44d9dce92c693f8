import HTTPAPI
import JSON
import Serving
import Synchronization
import TestClient
import Testing

/// Small fields of requests; bytes are tokens.
@Suite struct RequestFieldTests {
    private func count(_ server: TestServer, _ fields: KeyValuePairs<String, JSONValue>) async throws -> JSONValue? {
        let answer = try await server.chat(fields)
        return answer.json["usage"]?["prompt_tokens"] ?? answer.json["error"]?["message"]
    }

    private func complete(_ server: TestServer, _ fields: JSONObject) async throws -> HTTPClient.Answer {
        var body: JSONObject = ["model": .string(TestServer.modelName), "prompt": "hello", "max_tokens": 4, "ignore_eos": true]
        for (name, value) in fields { body[name] = value }
        return try await server.request("POST", "/v1/completions", .object(body))
    }

    @Test func theAnswerGoesOnWithTheLastMessage() async throws {
        let seen = Mutex<[JSONValue]>([])
        var options = TestServer.Options()
        options.onExtra = { extra in seen.withLock { $0.append(extra["add_generation_prompt"] ?? .null) } }
        let server = try await TestServer(options)
        let messages: JSONValue = [["role": "user", "content": "hi"], ["role": "assistant", "content": "so "]]
        // `user:hi`, `assistant:so ` and the breaks behind them, of which the last falls away.
        #expect(try await count(server, ["messages": messages]) == 22)
        #expect(try await count(server, ["messages": messages, "continue_final_message": true]) == 21)
        #expect(seen.withLock { $0.last } == false)
        let tokens = try await server.request("POST", "/tokenize", ["messages": messages, "continue_final_message": true])
        #expect(tokens.json["tokens"] == .array("user:hi\nassistant:so ".utf8.map { .int(Int($0)) }))
        let both = try await server.chat(["messages": messages, "continue_final_message": true, "add_generation_prompt": true])
        #expect(both.status == 400 && both.json["error"]?["param"] == "continue_final_message")
        let image = try await server.chat([
            "messages": [["role": "user", "content": [["type": "image_url", "image_url": .string("data:image/png;base64,\(TestImages.png)")]]]], "continue_final_message": true,
        ])
        #expect(image.status == 400 && image.text.contains("continue_final_message: the last message has no text"))
        await server.stop()
    }

    @Test func promptsAreCutInFront() async throws {
        let server = try await TestServer()
        let last = try await complete(server, ["prompt": "lo"]).json["choices"]?[0]?["text"]
        for prompt: JSONValue in ["hello", [104, 101, 108, 108, 111]] {
            let cut = try await complete(server, ["prompt": prompt, "truncate_prompt_tokens": 2, "echo": true])
            #expect(cut.json["usage"]?["prompt_tokens"] == 2)
            #expect(cut.json["choices"]?[0]?["text"]?.stringValue?.hasSuffix(last?.stringValue ?? "?") == true)
        }
        let long = String(repeating: "a", count: 600)
        #expect(try await complete(server, ["prompt": .string(long)]).status == 400)
        #expect(try await complete(server, ["prompt": .string(long), "truncate_prompt_tokens": -1]).json["usage"]?["prompt_tokens"] == 508)
        #expect(try await count(server, ["truncate_prompt_tokens": 3]) == 3)
        #expect(try await count(server, ["messages": [["role": "user", "content": .string(long)]], "truncate_prompt_tokens": -1]) == 504)
        for (value, word) in [(0, "-1 or at least 1"), (513, "more than the 512 tokens")] {
            let answer = try await complete(server, ["truncate_prompt_tokens": .int(value)])
            #expect(answer.status == 400 && answer.json["error"]?["param"] == "truncate_prompt_tokens" && answer.text.contains(word))
        }
        let parts: JSONValue = [["type": "text", "text": "see"], ["type": "image_url", "image_url": .string("data:image/png;base64,\(TestImages.png)")], ["type": "text", "text": "it"]]
        let images = try await server.chat(["messages": [["role": "user", "content": parts]], "truncate_prompt_tokens": 3])
        #expect(images.status == 400 && images.text.contains("would cut an image"))
        await server.stop()
    }

    @Test func tokensAreTold() async throws {
        let server = try await TestServer()
        let ids = JSONValue.array("user:hello\n".utf8.map { .int(Int($0)) })
        let whole = try await server.chat(["return_token_ids": true, "n": 2, "temperature": 1, "seed": 4]).json
        #expect(whole["prompt_token_ids"] == ids)
        let chosen = (0..<2).map { whole["choices"]?[$0]?["token_ids"]?.arrayValue ?? [] }
        #expect(chosen.map(\.count) == [8, 8] && whole["choices"]?[0]?["logprobs"] == .null)
        for (index, tokens) in chosen.enumerated() {
            let text = tokens.map { String(UnicodeScalar(UInt8(97 + ($0.intValue ?? 0) % 26))) }.joined()
            #expect(whole["choices"]?[index]?["message"]?["content"] == .string(text))
        }
        let stream = try await server.chat(["return_token_ids": true, "n": 2, "temperature": 1, "seed": 4, "stream": true])
        let chunks = try stream.events.dropLast().map { try JSONValue(parsing: $0) }
        #expect(chunks[0]["prompt_token_ids"] == ids)
        let streamed = (0..<2).map { index in
            chunks.compactMap { $0["choices"]?[0] }.filter { $0["index"] == .int(index) }.flatMap { $0["token_ids"]?.arrayValue ?? [] }
        }
        #expect(streamed == chosen)
        let plain = try await complete(server, ["return_token_ids": true]).json["choices"]?[0]
        #expect(plain?["prompt_token_ids"] == .array("hello".utf8.map { .int(Int($0)) }) && plain?["token_ids"]?.arrayValue?.count == 4)
        let pieces = try await complete(server, ["return_token_ids": true, "stream": true]).events.dropLast().map { try JSONValue(parsing: $0) }
        #expect(pieces[0]["choices"]?[0]?["prompt_token_ids"] == plain?["prompt_token_ids"])
        #expect(.array(pieces.flatMap { $0["choices"]?[0]?["token_ids"]?.arrayValue ?? [] }) == plain?["token_ids"])
        #expect(try await server.chat(["return_token_ids": false]).json["prompt_token_ids"] == nil)
        await server.stop()
    }

    @Test func requestsNameThemselves() async throws {
        let server = try await TestServer()
        #expect(try await server.chat(["request_id": "doc-7/3"]).json["id"] == "chatcmpl-doc-7/3")
        #expect(try await complete(server, ["request_id": "x"]).json["id"] == "cmpl-x")
        for id in ["", "a b", "ä", String(repeating: "a", count: 257)] {
            let answer = try await server.chat(["request_id": .string(id)])
            #expect(answer.status == 400 && answer.json["error"]?["param"] == "request_id")
        }
        #expect(try await server.chat(["priority": 0, "spaces_between_special_tokens": false]).status == 200)
        await server.stop()
    }

    /// The header wins over the field, stands in the log, and is bounded.
    @Test func headersNameRequests() async throws {
        let lines = Mutex<[LogLine]>([])
        var options = TestServer.Options()
        options.requestLog = { line in lines.withLock { $0.append(line) } }
        let server = try await TestServer(options)
        func ask(_ id: String?, _ fields: KeyValuePairs<String, JSONValue> = [:]) async throws -> HTTPClient.Answer {
            var body: JSONObject = ["model": .string(TestServer.modelName), "messages": [["role": "user", "content": "hi"]], "max_tokens": 2]
            for (name, value) in fields { body[name] = value }
            let (bytes, port) = (JSONValue.object(body).serialized, server.port)
            return try await blocking {
                let client = try HTTPClient(port: port)
                let header = id.map { "X-Request-Id: \($0)\r\n" } ?? ""
                let head = "POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\n\(header)Content-Length: \(bytes.count)\r\n\r\n"
                try client.send(Array(head.utf8) + bytes)
                return try client.answer()
            }
        }
        let named = try await ask("job-17/page.3", ["request_id": "other"])
        #expect(named.json["id"] == "chatcmpl-job-17/page.3" && named.headers["x-request-id"] == "job-17/page.3")
        let field = try await ask(nil, ["request_id": "other"])
        #expect(field.json["id"] == "chatcmpl-other" && field.headers["x-request-id"]?.count == 32)
        let plain = try await ask(nil)
        #expect(plain.json["id"] == .string("chatcmpl-" + (plain.headers["x-request-id"] ?? "")))
        #expect(plain.headers["x-request-id"] != field.headers["x-request-id"])
        let wrong = try await ask("job-18", ["temperature": -1])
        #expect(wrong.status == 400 && wrong.headers["x-request-id"] == "job-18")
        let twice = try await ask("job-19\r\nX-Request-Id: job-20")
        #expect(twice.status == 400 && twice.json["error"]?["message"] == "X-Request-Id is there 2 times, and may be there once" && twice.headers["x-request-id"]?.count == 32)
        for id in [String(repeating: "a", count: 257), "a b", "é"] {
            let answer = try await ask(id)
            #expect(answer.status == 400 && answer.json["error"]?["param"] == "X-Request-Id", "\(id)")
            #expect(answer.headers["x-request-id"]?.count == 32)
        }
        await server.stop()
        let written = lines.withLock { $0 }
        // For programs the same stands in fields.
        let first = try #require(written.first { $0.message.contains("job-17") })
        #expect(first.message.hasSuffix(", request job-17/page.3, 8 prompt tokens, 2 completion tokens"), "\(first.message)")
        let fields = JSONObject(first.fields.filter { $0.name != "ms" }.map { ($0.name, $0.value) })
        #expect(
            JSONValue.object(fields) == [
                "request_id": "job-17/page.3", "method": "POST", "path": "/v1/chat/completions", "status": 200, "prompt_tokens": 8, "completion_tokens": 2,
            ])
        let log = written.map(\.message)
        #expect(log.count { $0.contains(" ms, request job-17/page.3") } == 1)
        #expect(log.contains { $0.contains(" 400 ") && $0.contains(" ms, request job-18: temperature must be at least 0") })
    }

    @Test func prioritiesNeedTheirPolicy() async throws {
        let server = try await TestServer()
        for priority in [1, -1] as [JSONValue] {
            let answer = try await server.chat(["priority": priority])
            #expect(answer.status == 400 && answer.json["error"]?["param"] == "priority")
            #expect(answer.json["error"]?["message"]?.stringValue?.hasSuffix("start vlm-serve with --scheduling-policy priority") == true)
        }
        await server.stop()
        var options = TestServer.Options()
        options.schedulingPolicy = .priority
        let other = try await TestServer(options)
        for priority in [1, -7, 0, nil] as [JSONValue] { #expect(try await other.chat(["priority": priority]).status == 200) }
        for priority in ["high", 1.5] as [JSONValue] {
            let answer = try await other.chat(["priority": priority])
            #expect(answer.status == 400 && answer.json["error"]?["param"] == "priority")
        }
        await other.stop()
    }

    @Test func requestsBringTemplates() async throws {
        let server = try await TestServer()
        let tokens = try await server.request(
            "POST", "/tokenize", ["messages": [["role": "user", "content": "hi"]], "chat_template": "<{{ messages }}>"])
        #expect(tokens.json["tokens"] == .array("<user:hi\n>".utf8.map { .int(Int($0)) }))
        #expect(try await count(server, ["chat_template": "<{{ messages }}>"]) == 13)
        let wrong = try await server.chat(["chat_template": "{% if %}"])
        #expect(wrong.status == 400 && wrong.json["error"]?["param"] == "chat_template" && wrong.text.contains("does not parse"))
        let large = try await server.chat(["chat_template": .string(String(repeating: "a", count: 65537))])
        #expect(large.status == 400 && large.text.contains("more than 65536"))
        await server.stop()
    }
}
