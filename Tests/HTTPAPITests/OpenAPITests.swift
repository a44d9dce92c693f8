import Foundation
import HTTPAPI
import JSON
import TestClient
import Testing

/// The document at `/openapi.json`: it says what the server does, no more and no less.
@Suite struct OpenAPITests {
    private static let paths = [
        "/", "/docs", "/openapi.json", "/v1/chat/completions", "/v1/responses", "/v1/completions", "/v1/embeddings", "/generate", "/v1/messages", "/v1/messages/count_tokens", "/tokenize", "/detokenize",
        "/v1/models", "/v1/models/{model}", "/health", "/ready", "/live", "/ping", "/version", "/load", "/metrics",
    ]

    private static func document(_ server: TestServer) async throws -> JSONValue { try await server.request("GET", "/openapi.json").json }

    private static func members(_ value: JSONValue?) -> [(name: String, value: JSONValue)] {
        value?.objectValue.map { zip($0.keys, $0.values).map { ($0, $1) } } ?? []
    }

    /// The schemas of bodies, by their paths.
    private static func bodies(_ document: JSONValue) -> [(path: String, name: String, schema: JSONValue)] {
        members(document["paths"]).compactMap { path, methods in
            let reference = methods["post"]?["requestBody"]?["content"]?["application/json"]?["schema"]?["$ref"]?.stringValue
            guard let name = reference?.split(separator: "/").last.map(String.init) else { return nil }
            return (path, name, document["components"]?["schemas"]?[name] ?? .null)
        }
    }

    @Test func everyRouteIsThereAndAnswers() async throws {
        let server = try await TestServer()
        let document = try await Self.document(server)
        #expect(document["openapi"] == "3.1.0")
        #expect(Set(Self.members(document["paths"]).map(\.name)) == Set(Self.paths))
        for (path, methods) in Self.members(document["paths"]) {
            let target = path.replacing("{model}", with: TestServer.modelName)
            for (method, operation) in Self.members(methods) where method != "parameters" {
                let answer = try await server.request(method.uppercased(), target, operation["requestBody"] == nil ? nil : [:])
                #expect(operation["requestBody"] == nil ? answer.status == 200 : answer.status == 400, "\(method) \(path): \(answer.status)")
                let type = try #require(answer.headers["content-type"]?.split(separator: ";").first.map(String.init))
                let status = answer.status == 200 ? "200" : "4XX"
                #expect(operation["responses"]?[status]?["content"]?[type] != nil, "\(method) \(path): \(type)")
            }
            // What is not described is not there.
            for method in ["GET", "POST", "PUT", "DELETE", "QUERY"] where methods[method.lowercased()] == nil {
                #expect(try await server.request(method, target, method == "GET" ? nil : [:]).status == 405, "\(method) \(path)")
            }
        }
        await server.stop()
    }

    @Test func whatIsLeftOutIsNotDescribed() async throws {
        var options = TestServer.Options()
        options.hasPlayground = false
        options.access.apiKeys = ["secret"]
        let server = try await TestServer(options)
        let document = try await Self.document(server)
        #expect(document["paths"]?["/"] == nil)
        let locked = Self.members(document["paths"]).filter { Self.members($0.value).contains { $0.value["security"] != nil } }.map(\.name)
        #expect(Set(locked) == Set(Self.paths).subtracting(["/health", "/ready", "/live", "/ping", "/", "/docs", "/openapi.json"]))
        #expect(try await server.request("GET", "/docs").status == 200)
        await server.stop()

        options.hasDocuments = false
        let silent = try await TestServer(options)
        for path in ["/docs", "/openapi.json"] { #expect(try await silent.request("GET", path).status == 404) }
        await silent.stop()
    }

    /// Every field that is named is known to its reader, every schema that somebody wrote is used, and none is missing.
    @Test func everyFieldIsReadAndDescribed() async throws {
        let server = try await TestServer()
        let bodies = Self.bodies(try await Self.document(server))
        #expect(bodies.count == 9)
        for (path, name, schema) in bodies {
            for (field, description) in Self.members(schema["properties"]) {
                #expect(description.objectValue?.isEmpty == false, "\(name).\(field) has no schema in Sources/HTTPAPI/OpenAPI")
                let answer = try await server.request("POST", path, .object([field: ["no": "value"]]))
                #expect(!answer.text.contains("unknown field"), "\(path) does not know \(field)")
            }
            let unknown = try await server.request("POST", path, ["nonsense": 1])
            #expect(unknown.status == 400 && unknown.text.contains("unknown field nonsense"), "\(path): \(unknown.text)")
        }
        let folder = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent().appending(path: "Sources/HTTPAPI/OpenAPI")
        func file(_ name: String) throws -> JSONValue { try JSONValue(parsing: Array(Data(contentsOf: folder.appending(path: name)))) }
        let fields = Set(bodies.flatMap { Self.members($0.schema["properties"]).map(\.name) })
        #expect(Set(Self.members(try file("fields.json")).map(\.name)).subtracting(fields) == [], "no reader knows these")
        for (name, special) in Self.members(try file("special-fields.json")) {
            let body = try #require(bodies.first { $0.name == name })
            #expect(Set(Self.members(special).map(\.name)).subtracting(Self.members(body.schema["properties"]).map(\.name)) == [])
        }
        await server.stop()
    }

    /// The bounds of numbers and the words of enumerations are those of the readers.
    @Test func boundsAreThoseOfTheReaders() async throws {
        let server = try await TestServer()
        var checked = 0
        for (path, name, schema) in Self.bodies(try await Self.document(server)) {
            let required = schema["required"]?.arrayValue ?? []
            for (field, description) in Self.members(schema["properties"]) where !required.contains(.string(field)) {
                guard let inner = description["anyOf"]?.arrayValue?.first, let type = inner["type"]?.stringValue, ["number", "integer"].contains(type) else { continue }
                for (value, isAllowed) in Self.values(inner, isWhole: type == "integer") {
                    var body = Self.smallest[name] ?? [:]
                    body[field] = value
                    if field == "top_logprobs", name == "ChatRequest" { body["logprobs"] = true }
                    if field == "best_of" || field == "n" { body["temperature"] = 1 }
                    let answer = try await server.request("POST", path, .object(body))
                    let isRefused = answer.status == 400 && answer.text.contains("\(field) must be")
                    #expect(isRefused == !isAllowed, "\(name).\(field) \(value.serializedText): \(answer.text.prefix(200))")
                    checked += 1
                }
            }
        }
        #expect(checked > 100)
        await server.stop()
    }

    private static let smallest: [String: JSONObject] = [
        "ChatRequest": ["model": .string(TestServer.modelName), "messages": [["role": "user", "content": "a"]], "max_tokens": 1],
        "EmbeddingRequest": ["model": .string(TestServer.modelName), "input": "a"],
        "GenerateRequest": ["prompt": "a", "max_tokens": 1],
        "CompletionRequest": ["model": .string(TestServer.modelName), "prompt": "a", "max_tokens": 1],
        "ResponseRequest": ["model": .string(TestServer.modelName), "input": "a", "max_output_tokens": 1],
        "MessageRequest": ["model": .string(TestServer.modelName), "messages": [["role": "user", "content": "a"]], "max_tokens": 1],
    ]

    /// Values at the bounds of a number and beyond them.
    private static func values(_ schema: JSONValue, isWhole: Bool) -> [(JSONValue, isAllowed: Bool)] {
        let step = isWhole ? 1 : 0.25
        func number(_ value: Double) -> JSONValue { isWhole ? .int(Int(value)) : .double(value) }
        var values: [(JSONValue, Bool)] = [("word", false), ([], false)]
        if isWhole { values.append((.double(1.5), false)) }
        if let bound = schema["minimum"]?.doubleValue { values += [(number(bound), true), (number(bound - step), false)] }
        if let bound = schema["exclusiveMinimum"]?.doubleValue { values += [(number(bound), false), (number(bound + step), true)] }
        if let bound = schema["maximum"]?.doubleValue { values += [(number(bound), true), (number(bound + step), false)] }
        return values
    }

    @Test func thePageShowsAllOfItAndLoadsNothing() async throws {
        let server = try await TestServer()
        let page = try await server.request("GET", "/docs")
        #expect(page.status == 200 && page.headers["content-type"] == "text/html; charset=utf-8")
        #expect(page.headers["content-security-policy"]?.hasPrefix("default-src 'none'; style-src 'sha256-") == true && page.headers["content-security-policy"]?.contains("script-src") == false)
        for word in ["<script", "http:", "https:", " src=", "@import", "url("] { #expect(!page.text.contains(word), "\(word)") }
        let document = try await Self.document(server)
        for (path, _) in Self.members(document["paths"]) { #expect(page.text.contains(" \(path)</code>"), "\(path)") }
        for (name, schema) in Self.members(document["components"]?["schemas"]) {
            #expect(page.text.contains("<section id=\"\(name)\">"))
            for (field, _) in Self.members(schema["properties"]) { #expect(page.text.contains("<code>\(field)</code>"), "\(name).\(field)") }
        }
        // Every link within the page leads somewhere.
        for link in page.text.matches(of: /href="#([^"]+)"/) { #expect(page.text.contains("id=\"\(link.1)\""), "\(link.1)") }
        await server.stop()
    }
}
