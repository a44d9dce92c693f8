import JSON
import TestClient
import Testing

/// What the document at `/openapi.json` says of fields that exclude each other, and of the ends of numbers.
@Suite struct DocumentBoundsTests {
    @Test(arguments: [("EmbeddingRequest", "/v1/embeddings", "input"), ("TokenizeRequest", "/tokenize", "prompt")])
    func exactlyOneFieldSaysWhat(_ name: String, _ path: String, _ field: String) async throws {
        let server = try await TestServer()
        let schema = try await server.request("GET", "/openapi.json").json["components"]?["schemas"]?[name]
        #expect(schema?["oneOf"]?.arrayValue?.compactMap { $0["required"]?[0]?.stringValue } == [field, "messages"])
        let messages: JSONValue = [["role": "user", "content": "a"]]
        for (text, messages, status) in [("a", nil, 200), (nil, messages, 200), (nil, nil, 400), ("a", messages, 400)] as [(JSONValue, JSONValue, Int)] {
            let answer = try await server.request("POST", path, .object(JSONObject([("model", .string(TestServer.modelName)), ("messages", messages), (field, text)])))
            #expect(answer.status == status, "\(answer.text)")
        }
        await server.stop()
    }

    /// Numbers that 32 bits cannot hold are told what they may be.
    @Test(arguments: [
        ("temperature", 1e39, "must be at least 0 and below 3.4e38, not 1e+39"), ("temperature", -1, "must be at least 0, not -1"), ("top_p", 1e-300, "must be above 1e-45 and at most 1, not 1e-300"),
        ("top_p", 0, "must be above 0 and at most 1, not 0"), ("repetition_penalty", 1e-300, "must be above 1e-45 and at most 2, not 1e-300"), ("top_p", 1e39, "must be above 0 and at most 1"),
    ] as [(String, JSONValue, String)])
    func narrowNumbersAreNamed(_ field: String, _ value: JSONValue, _ message: String) async throws {
        let server = try await TestServer()
        let answer = try await server.chat([field: value])
        #expect(answer.status == 400 && answer.json["error"]?["message"]?.stringValue?.contains("\(field) \(message)") == true, "\(answer.text)")
        await server.stop()
    }
}
