import Foundation
import Inputs
import JSON
import Serving
import TestClient
import Testing

@Suite struct ChatTests {
    @Test func answersWholeWithLengthUsageAndReason() async throws {
        let server = try await TestServer()
        let answer = try await server.chat()
        #expect(answer.status == 200)
        #expect(answer.headers["content-length"] == "\(answer.body.count)")
        #expect(answer.headers["content-type"] == "application/json")
        let json = answer.json
        #expect(json["object"]?.stringValue == "chat.completion")
        #expect(json["id"]?.stringValue?.hasPrefix("chatcmpl-") == true)
        #expect(json["model"]?.stringValue == TestServer.modelName)
        #expect(json["created"]?.intValue ?? 0 > 1_700_000_000)
        let choice = json["choices"]?[0]
        #expect(choice?["index"] == 0 && choice?["finish_reason"] == "length" && choice?["stop_reason"] == .null)
        #expect(choice?["message"]?["role"] == "assistant")
        #expect(choice?["message"]?["content"]?.stringValue?.count == 8)
        // "user:hello\n" is eleven bytes.
        #expect(json["usage"]?["prompt_tokens"] == 11 && json["usage"]?["completion_tokens"] == 8)
        #expect(json["usage"]?["total_tokens"] == 19)
        #expect(json["usage"]?["prompt_tokens_details"]?["image_tokens"] == 0)
        await server.stop()
    }

    @Test func streamsTheSameTextExactly() async throws {
        let server = try await TestServer()
        let whole = try await server.chat()
        let answer = try await server.chat(["stream": true, "stream_options": ["include_usage": true]])
        #expect(answer.status == 200)
        #expect(answer.headers["content-type"]?.hasPrefix("text/event-stream") == true)
        #expect(answer.text.hasSuffix("\n\ndata: [DONE]\n\n"))
        let events = answer.events
        let chunks = try events.dropLast().map { try JSONValue(parsing: $0) }
        #expect(events.last == "[DONE]")
        #expect(chunks.first?["choices"]?[0]?["delta"] == ["role": "assistant", "content": ""])
        #expect(chunks.allSatisfy { $0["object"] == "chat.completion.chunk" && $0["id"] == chunks[0]["id"] })
        let text = chunks.compactMap { $0["choices"]?[0]?["delta"]?["content"]?.stringValue }.joined()
        #expect(text == whole.json["choices"]?[0]?["message"]?["content"]?.stringValue)
        #expect(chunks[chunks.count - 2]["choices"]?[0]?["finish_reason"] == "length")
        #expect(chunks.dropLast(2).allSatisfy { $0["choices"]?[0]?["finish_reason"] == .null })
        #expect(chunks.last?["choices"] == [] && chunks.last?["usage"]?["completion_tokens"] == 8)
        #expect(chunks.dropLast().allSatisfy { $0["usage"] == .null })
        let plain = try await server.chat(["stream": true]).events
        #expect(plain.count == events.count - 1 && !plain.contains { $0.contains("usage") })
        await server.stop()
    }

    /// Usage in each piece counts the tokens so far.
    @Test func piecesTellTheUsageWhereAsked() async throws {
        let server = try await TestServer()
        let options: JSONValue = ["include_usage": true, "continuous_usage_stats": true]
        let answer = try await server.chat(["stream": true, "stream_options": options, "n": 2, "temperature": 1])
        let chunks = try answer.events.dropLast().map { try JSONValue(parsing: $0) }
        var counts: [Int: [Int]] = [:]
        for chunk in chunks.dropLast() {
            let (index, usage) = (chunk["choices"]?[0]?["index"]?.intValue ?? -1, chunk["usage"] ?? .null)
            let count = usage["completion_tokens"]?.intValue ?? -1
            #expect(usage["prompt_tokens"] == 11 && usage["total_tokens"]?.intValue == 11 + count)
            counts[index, default: []].append(count)
        }
        for index in 0..<2 {
            let counts = counts[index] ?? []
            #expect(counts.count > 3 && counts == counts.sorted() && counts.first == 0 && counts.last == 8)
        }
        #expect(chunks.last?["choices"] == [] && chunks.last?["usage"]?["completion_tokens"] == 16)
        let alone = try await server.chat(["stream": true, "stream_options": ["continuous_usage_stats": true]])
        #expect(alone.status == 400 && alone.json["error"]?["param"] == "stream_options.continuous_usage_stats", "\(alone.text)")
        await server.stop()
    }

    @Test func cutsBeforeAStopString() async throws {
        let server = try await TestServer()
        let whole = try await server.chat(["max_tokens": 30]).json["choices"]?[0]?["message"]?["content"]?.stringValue ?? ""
        let stop = String(whole.dropFirst(4).prefix(3))
        let expected = whole.range(of: stop).map { String(whole[..<$0.lowerBound]) }
        for stops in [JSONValue.string(stop), ["!!", .string(stop)]] {
            let choice = try await server.chat(["max_tokens": 30, "stop": stops]).json["choices"]?[0]
            #expect(choice?["message"]?["content"]?.stringValue == expected)
            #expect(choice?["finish_reason"] == "stop" && choice?["stop_reason"] == .string(stop))
        }
        await server.stop()
    }

    @Test func sameSeedSameTextWhateverElseRuns() async throws {
        let server = try await TestServer()
        let fields: KeyValuePairs<String, JSONValue> = ["seed": 7, "temperature": 1.5, "max_tokens": 40]
        let first = try await server.chat(fields).json["choices"]?[0]?["message"]
        try await withThrowingTaskGroup(of: (Bool, JSONValue?).self) { group in
            for index in 0..<12 {
                group.addTask {
                    if index % 2 == 0 { return (true, try await server.chat(fields).json["choices"]?[0]?["message"]) }
                    return (false, try await server.chat(["seed": .int(index), "temperature": 1.5]).json)
                }
            }
            for try await (same, message) in group where same { #expect(message == first) }
        }
        let other = try await server.chat(["seed": 8, "temperature": 1.5, "max_tokens": 40])
        #expect(other.json["choices"]?[0]?["message"] != first)
        // −1 is no seed.
        let fresh: KeyValuePairs<String, JSONValue> = ["seed": -1, "temperature": 1.5, "max_tokens": 40]
        let drawn = (try await server.chat(fresh), try await server.chat(fresh))
        #expect(drawn.0.json["choices"]?[0]?["message"] != drawn.1.json["choices"]?[0]?["message"])
        await server.stop()
    }

    @Test func readsImagesInAllTheirForms() async throws {
        let server = try await TestServer()
        let png = TestImages.png
        let urls: [JSONValue] = [
            ["url": .string("data:image/png;base64,\(png)")], ["url": .string("data:image;base64,\(png)"), "detail": "auto"],
            .string("data:image/png;base64,\(png)"),
        ]
        var texts: Set<String> = []
        for url in urls {
            let content: JSONValue = [["type": "image_url", "image_url": url], ["type": "text", "text": "what?"]]
            let json = try await server.chat(["messages": [["role": "user", "content": content]]]).json
            #expect(json["usage"]?["prompt_tokens_details"]?["image_tokens"] == 1)
            texts.insert(json["choices"]?[0]?["message"]?["content"]?.stringValue ?? "nothing")
        }
        #expect(texts.count == 1 && texts.first?.count == 8)
        let part: JSONValue = ["type": "image_url", "image_url": urls[0]]
        let two: JSONValue = [part, ["type": "text", "text": "and"], part]
        let json = try await server.chat(["messages": [["role": "user", "content": two]]]).json
        #expect(json["usage"]?["prompt_tokens_details"]?["image_tokens"] == 2)
        #expect(server.engine.metrics.imageHits >= 3)
        await server.stop()
    }

    @Test func takesADeveloperForTheSystem() async throws {
        let server = try await TestServer()
        func ask(_ role: JSONValue) async throws -> JSONValue? {
            let messages: JSONValue = [["role": role, "content": "be brief"], ["role": "user", "content": "hello"]]
            let json = try await server.chat(["messages": messages]).json
            return [json["choices"]?[0]?["message"] ?? .null, json["usage"]?["prompt_tokens"] ?? .null]
        }
        #expect(try await ask("developer") == ask("system"))
        await server.stop()
    }

    @Test func keepsConnectionsAlive() async throws {
        let server = try await TestServer()
        let port = server.port
        let statuses = try await blocking {
            let client = try HTTPClient(port: port)
            return try (0..<5).map { index in
                let stream: JSONValue = .bool(index % 2 == 1)
                try client.send("POST", "/v1/chat/completions", body: TestServer.body(["stream": stream]).serialized)
                return try client.answer().status
            }
        }
        #expect(statuses == [200, 200, 200, 200, 200])
        await server.stop()
    }
}

enum TestImages {
    /// A red PNG of 2 × 2 pixels.
    static let png =
        "iVBORw0KGgoAAAANSUhEUgAAAAIAAAACCAIAAAD91JpzAAAAFklEQVR4nGP8z8DAwMDAxMDAwMDAAAANHQEDasKb6QAAAABJRU5ErkJggg=="
}
