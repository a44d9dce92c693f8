import Foundation
import JSON
import TestClient
import Testing

/// `/v1/embeddings`; bytes are tokens, and hidden states depend on all tokens before them.
@Suite struct EmbeddingTests {
    private func embed(_ server: TestServer, _ fields: KeyValuePairs<String, JSONValue>) async throws -> HTTPClient.Answer {
        var body: JSONObject = ["model": .string(TestServer.modelName)]
        for (name, value) in fields { body[name] = value }
        return try await server.request("POST", "/v1/embeddings", .object(body))
    }

    private func vectors(_ answer: HTTPClient.Answer) -> [[Double]] {
        (answer.json["data"]?.arrayValue ?? []).map { ($0["embedding"]?.arrayValue ?? []).compactMap(\.doubleValue) }
    }

    @Test func inputsHaveFourForms() async throws {
        let server = try await TestServer()
        let answer = try await embed(server, ["input": "hello"])
        let json = answer.json
        #expect(answer.status == 200 && json["object"] == "list" && json["model"] == .string(TestServer.modelName))
        #expect(json["data"]?[0]?["object"] == "embedding" && json["data"]?[0]?["index"] == 0)
        #expect(json["usage"] == ["prompt_tokens": 5, "total_tokens": 5, "completion_tokens": 0])
        let one = vectors(answer)
        #expect(one.count == 1 && one[0].count == 4 && abs(one[0].reduce(0) { $0 + $1 * $1 } - 1) < 1e-6)
        let ids = JSONValue.array("hello".utf8.map { .int(Int($0)) })
        #expect(try await vectors(embed(server, ["input": ids])) == one)
        let several = try await embed(server, ["input": ["other", "hello", "x", "y", "z", "hello", "q"]])
        #expect(vectors(several)[1] == one[0] && vectors(several)[5] == one[0] && Set(vectors(several)).count == 6)
        #expect(several.json["data"]?[6]?["index"] == 6 && several.json["usage"]?["prompt_tokens"] == 19)
        #expect(try await vectors(embed(server, ["input": [ids, [120]]])) == [one[0], vectors(several)[2]])
        // As messages it is the rendered text.
        let chat = try await embed(server, ["messages": [["role": "user", "content": "hello"]]])
        #expect(try await vectors(embed(server, ["input": "user:hello\n"])) == vectors(chat))
        await server.stop()
    }

    @Test func numbersAreWrittenInTwoWays() async throws {
        let server = try await TestServer()
        let floats = try await vectors(embed(server, ["input": "hello"]))[0]
        let answer = try await embed(server, ["input": "hello", "encoding_format": "base64"])
        let bytes = try #require(Data(base64Encoded: answer.json["data"]?[0]?["embedding"]?.stringValue ?? ""))
        let decoded = stride(from: 0, to: bytes.count, by: 4).map { start in
            Double(Float(bitPattern: (0..<4).reduce(0) { $0 | UInt32(bytes[start + $1]) << (8 * UInt32($1)) }))
        }
        #expect(decoded == floats)
        let raw = try await vectors(embed(server, ["input": "hello", "normalize": false]))[0]
        let length = raw.reduce(0) { $0 + $1 * $1 }.squareRoot()
        #expect(abs(length - 1) > 1e-3 && zip(raw, floats).allSatisfy { abs($0 / length - $1) < 1e-6 })
        let cut = try await embed(server, ["input": "hello", "truncate_prompt_tokens": 2])
        #expect(try await vectors(embed(server, ["input": "lo"])) == vectors(cut) && cut.json["usage"]?["prompt_tokens"] == 2)
        let whole = try await embed(server, ["input": .string(String(repeating: "a", count: 600)), "truncate_prompt_tokens": -1])
        #expect(whole.json["usage"]?["prompt_tokens"] == 512)
        await server.stop()
    }

    /// Nothing is generated, and so nothing is said of that.
    @Test(arguments: [JSONValue.string(String(repeating: "a", count: 600)), .array(Array(repeating: 97, count: 600))])
    func longInputsAreRefused(_ input: JSONValue) async throws {
        let server = try await TestServer()
        let answer = try await embed(server, ["input": input])
        #expect(answer.status == 400 && answer.json["error"]?["code"] == "context_length_exceeded" && answer.json["error"]?["param"] == "input", "\(answer.text)")
        #expect(answer.text.contains("512 tokens") && !answer.text.contains("generated"), "\(answer.text)")
        await server.stop()
    }

    /// Images change the embedding, and answers being written do not.
    @Test func imagesAndCompanyAreSeen() async throws {
        let server = try await TestServer()
        let alone = try await vectors(embed(server, ["input": "x"]))
        async let chats = server.chat(["max_tokens": 200])
        for _ in 0..<5 { #expect(try await vectors(embed(server, ["input": "x"])) == alone) }
        #expect(try await chats.status == 200)
        func picture(_ url: String) async throws -> [[Double]] {
            try await vectors(embed(server, ["messages": [["role": "user", "content": [["type": "image_url", "image_url": .string(url)]]]]]))
        }
        let red = try await picture("data:image/png;base64,\(TestImages.png)")
        let gray = try await picture("data:image/png;base64," + Data(TestImages.gray(width: 2, height: 2, shade: 9)).base64EncodedString())
        #expect(red.count == 1 && red != gray)
        await server.stop()
    }

    @Test func wrongRequestsAreNamed() async throws {
        let server = try await TestServer()
        let messages: JSONValue = [["role": "user", "content": "a"]]
        for (fields, param) in [
            ([:], "input"), (["input": ""], "input"), (["input": []], "input"), (["input": [300]], "input"), (["input": "a", "dimensions": 2], "dimensions"),
            (["input": "a", "encoding_format": "hex"], "encoding_format"), (["input": "a", "messages": messages], "input"),
            (["input": "a", "chat_template": "x"], "chat_template"), (["input": .string(String(repeating: "a", count: 600))], "input"),
            (["input": "a", "model": "other"], "model"), (["input": "a", "max_tokens": 3], "max_tokens"),
        ] as [(KeyValuePairs<String, JSONValue>, String)] {
            let answer = try await embed(server, fields)
            #expect((400...404).contains(answer.status) && answer.json["error"]?["param"] == .string(param), "\(answer.text)")
        }
        await server.stop()
    }
}
