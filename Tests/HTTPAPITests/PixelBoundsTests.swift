import Foundation
import Inputs
import JSON
import TestClient
import Testing

/// `min_pixels` and `max_pixels` in every place where requests may say them.
@Suite struct PixelBoundsTests {
    /// 16 tokens as the processor reads it.
    private static let url = "data:image/png;base64,\(Data(TestImages.gray(width: 112, height: 112, shade: 40)).base64EncodedString())"

    private static func tokens(_ server: TestServer, _ body: KeyValuePairs<String, JSONValue>) async throws -> JSONValue? {
        let answer = try await server.chat(body)
        #expect(answer.status == 200, "\(answer.text)")
        return answer.json["usage"]?["prompt_tokens_details"]?["image_tokens"]
    }

    /// Of the part, its `image_url` and the body, the nearest counts.
    @Test func everyPlaceCounts() async throws {
        let server = try await TestServer()
        func messages(_ inner: JSONObject = [:], _ part: JSONObject = [:]) -> JSONValue {
            var (inner, part) = (inner, part)
            inner["url"] = .string(Self.url)
            part["type"] = "image_url"
            part["image_url"] = .object(inner)
            return [["role": "user", "content": [.object(part)]]]
        }
        #expect(try await Self.tokens(server, ["messages": messages()]) == 16)
        #expect(try await Self.tokens(server, ["messages": messages(["max_pixels": 3136])]) == 4)
        #expect(try await Self.tokens(server, ["messages": messages([:], ["max_pixels": 3136])]) == 4)
        #expect(try await Self.tokens(server, ["messages": messages(), "max_pixels": 3136]) == 4)
        #expect(try await Self.tokens(server, ["messages": messages(), "mm_processor_kwargs": ["max_pixels": 3136]]) == 4)
        #expect(try await Self.tokens(server, ["messages": messages(), "mm_processor_kwargs": ["size": ["longest_edge": 3136]]]) == 4)
        #expect(try await Self.tokens(server, ["messages": messages(["max_pixels": 784], ["max_pixels": 3136]), "max_pixels": 12544]) == 1)
        #expect(try await Self.tokens(server, ["messages": messages([:], ["max_pixels": 3136]), "max_pixels": 784]) == 4)
        #expect(try await Self.tokens(server, ["messages": messages(), "max_pixels": 3136, "mm_processor_kwargs": ["max_pixels": 784]]) == 4)
        #expect(try await Self.tokens(server, ["messages": messages(["min_pixels": 19_600, "max_pixels": 28_224])]) == 25)
        let counted = try await server.request("POST", "/tokenize", ["messages": messages(), "mm_processor_kwargs": ["max_pixels": 3136]])
        #expect(counted.json["tokens"]?.arrayValue?.filter { $0 == 257 }.count == 4)
        await server.stop()
    }

    /// Bounds of the server count where the request says nothing.
    @Test func theServersBoundsComeLast() async throws {
        var options = TestServer.Options()
        options.pixelBounds.most = 3136
        let server = try await TestServer(options)
        let part: JSONValue = ["type": "image_url", "image_url": ["url": .string(Self.url)]]
        let larger: JSONValue = ["type": "image_url", "image_url": ["url": .string(Self.url)], "max_pixels": 12544]
        #expect(try await Self.tokens(server, ["messages": [["role": "user", "content": [part]]]]) == 4)
        #expect(try await Self.tokens(server, ["messages": [["role": "user", "content": [part, larger]]]]) == 20)
        await server.stop()
    }

    @Test func faultsNameTheirField() async throws {
        let server = try await TestServer()
        func asked(_ inner: JSONObject = [:], _ fields: KeyValuePairs<String, JSONValue> = [:]) async throws -> JSONValue? {
            var inner = inner
            inner["url"] = .string(Self.url)
            var body = JSONObject()
            body["model"] = .string(TestServer.modelName)
            body["messages"] = [["role": "user", "content": [["type": "image_url", "image_url": .object(inner)]]]]
            for (name, value) in fields { body[name] = value }
            let answer = try await server.request("POST", "/v1/chat/completions", .object(body))
            #expect(answer.status == 400, "\(answer.text)")
            return answer.json["error"]?["param"]
        }
        #expect(try await asked(["min_pixels": 0]) == "messages[0].content[0].image_url.min_pixels")
        #expect(try await asked(["max_pixels": "big"]) == "messages[0].content[0].image_url.max_pixels")
        #expect(try await asked(["min_pixels": 101, "max_pixels": 100]) == "messages[0].content[0]")
        #expect(try await asked(["min_pixels": 2_000_000_000, "max_pixels": 2_000_000_000]) == "messages[0].content[0]")
        #expect(try await asked(["min_pixels": 2_000_000_000]) == "messages[0].content[0]")
        #expect(try await asked([:], ["min_pixels": 2_000_000_000]) == "messages[0].content[0]")
        #expect(try await asked([:], ["max_pixels": -1]) == "max_pixels")
        #expect(try await asked([:], ["mm_processor_kwargs": ["num_crops": 4]]) == "mm_processor_kwargs.num_crops")
        #expect(try await asked([:], ["mm_processor_kwargs": 4]) == "mm_processor_kwargs")
        await server.stop()
    }
}
