import Dispatch
import Foundation
import HTTPAPI
import Inputs
import JSON
import Serving
import TestClient
import Testing

/// What HTTP/1 asks of a server besides answers, and what clients that misbehave may not do to others.
@Suite struct ConnectionTests {
    private static let chat = "POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\n"

    @Test func clientsThatSendNothingHoldUpNobody() async throws {
        var options = TestServer.Options()
        options.maxHeldBytes = 4 << 20
        options.maxSequences = 2
        options.maxQueued = 2
        let server = try await TestServer(options)
        let idle = try (0..<8).map { index in
            let client = try HTTPClient(port: server.port)
            let framing = index % 2 == 0 ? "Transfer-Encoding: chunked\r\n\r\n1\r\n{\r\n" : "Content-Length: 1048576\r\n\r\n{"
            try client.send(Array((Self.chat + framing).utf8))
            return client
        }
        #expect(try await server.chat().status == 200)
        for client in idle { client.close() }
        await server.stop()
    }

    @Test func aBodyThatStopsIsAnswered408() async throws {
        var options = TestServer.Options()
        options.bodyTimeoutSeconds = 0.2
        let server = try await TestServer(options)
        let port = server.port
        let text = try await blocking {
            let client = try HTTPClient(port: port)
            try client.send(Array((Self.chat + "Content-Length: 100\r\n\r\n{").utf8))
            return client.rest()
        }
        #expect(text?.hasPrefix("HTTP/1.1 408 ") == true && text?.contains("request_timeout") == true, "\(text ?? "")")
        #expect(text?.lowercased().contains("connection: close") == true)
        await server.stop()
    }

    @Test func aBodyThatTricklesIsAnswered408() async throws {
        var options = TestServer.Options()
        options.bodyTimeoutSeconds = 0.5
        let server = try await TestServer(options)
        let port = server.port
        let text = try await blocking {
            let client = try HTTPClient(port: port)
            try client.send(Array((Self.chat + "Content-Length: 1000\r\n\r\n{").utf8))
            for _ in 0..<15 {
                Thread.sleep(forTimeInterval: 0.1)
                try? client.send([0x20])
            }
            return client.rest()
        }
        #expect(text?.hasPrefix("HTTP/1.1 408 ") == true, "\(text ?? "")")
        await server.stop()
    }

    @Test(arguments: ["Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\n",
        "Connection: upgrade\r\nUpgrade: websocket\r\n", "Connection: Upgrade\r\nUpgrade: TLS/1.2\r\n"])
    func anOfferedUpgradeIsAnsweredAndEndsTheConnection(offer: String) async throws {
        let server = try await TestServer()
        let port = server.port
        let body = TestServer.body(["max_tokens": 1]).serialized
        let head = Self.chat + offer + "Content-Length: \(body.count)\r\n\r\n"
        for _ in 0..<3 {
            let text = try await blocking {
                let client = try HTTPClient(port: port)
                try client.send(Array(head.utf8) + body + Array(head.utf8) + body)
                return client.rest()
            }
            #expect(text?.hasPrefix("HTTP/1.1 200 ") == true, "\(text ?? "")")
            #expect(text?.lowercased().contains("connection: close") == true)
            #expect(text?.components(separatedBy: "HTTP/1.1 ").count == 2)
        }
        await server.stop()
    }

    /// Requests that offer an upgrade: answered, refused by their head, and refused before their body, which is `abcd`.
    @Test(arguments: [
        "GET /health HTTP/1.1\r\nHost: x\r\n", "GET /health HTTP/1.1\r\nHost: x\r\nHost: y\r\n",
        "POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\n", "CONNECT x:80 HTTP/1.1\r\nHost: x\r\n",
    ])
    func whatComesBehindAnOfferedUpgradeIsNotRead(head: String) async throws {
        var options = TestServer.Options()
        options.access.apiKeys = ["secret"]
        let server = try await TestServer(options)
        let port = server.port
        let sent = try await blocking {
            let client = try HTTPClient(port: port)
            try client.send(Array("\(head)Connection: Upgrade\r\nUpgrade: websocket\r\n\r\n".utf8))
            _ = try client.answer()
            try? client.send(Array("abcd".utf8))
            return client.flood(megabytes: 64)
        }
        // Sockets of both sides hold some.
        #expect(sent < 24, "\(sent) MB were taken")
        await server.stop()
    }

    @Test func anIdleConnectionIsClosed() async throws {
        var options = TestServer.Options()
        options.idleTimeoutSeconds = 0.2
        let server = try await TestServer(options)
        let port = server.port
        let rests = try await blocking {
            let silent = try HTTPClient(port: port)
            let used = try HTTPClient(port: port)
            try used.send("GET", "/live")
            _ = try used.answer()
            return [silent.rest(), used.rest()]
        }
        #expect(rests == ["", ""])
        await server.stop()
    }

    @Test func whoDoesNotReadIsLeft() async throws {
        var options = TestServer.Options()
        options.writeTimeoutSeconds = 0.3
        let server = try await TestServer(options)
        let port = server.port
        let count = 4000
        let answers = try await blocking {
            let client = try HTTPClient(port: port)
            // More than buffers hold on the way back.
            try client.send(Array(String(repeating: "GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n", count: count).utf8))
            Thread.sleep(forTimeInterval: 6)
            var answers = 0
            while let answer = try? client.answer(), answer.status == 200 { answers += 1 }
            return answers
        }
        #expect(answers > 0 && answers < count)
        await server.stop()
    }

    @Test func connectionsBeyondTheLimitWaitTheirTurn() async throws {
        try await Self.connectionsBeyondTheLimitWait(TestServer.Options())
    }

    /// A request comes to its turn once clients leave that had connected and said nothing.
    static func connectionsBeyondTheLimitWait(_ options: TestServer.Options) async throws {
        var options = options
        options.maxConnections = 2
        let server = try await TestServer(options)
        let port = server.port
        // A server accepts some connections at once before it counts them.
        let idle = try (0..<16).map { _ in try HTTPClient(port: port) }
        try await Task.sleep(for: .milliseconds(200))
        let late = Task {
            let status = try await server.request("GET", "/live").status
            return (status, ContinuousClock.now)
        }
        try await Task.sleep(for: .milliseconds(200))
        let closing = ContinuousClock.now
        for client in idle { client.close() }
        let (status, time) = try await late.value
        #expect(status == 200 && time > closing)
        await server.stop()
    }

    @Test func tellsAClientToSendItsBody() async throws {
        let server = try await TestServer()
        let port = server.port
        let body = TestServer.body([:]).serialized
        let statuses = try await blocking {
            let client = try HTTPClient(port: port)
            try client.send(Array((Self.chat + "Expect: 100-continue\r\nContent-Length: \(body.count)\r\n\r\n").utf8))
            let first = try client.answer().status
            try client.send(body)
            return [first, try client.answer().status]
        }
        #expect(statuses == [100, 200])
        let refused = try await blocking {
            let client = try HTTPClient(port: port)
            try client.send(Array((Self.chat + "Expect: 100-continue\r\nContent-Length: 999999999\r\n\r\n").utf8))
            return client.rest()
        }
        #expect(refused?.hasPrefix("HTTP/1.1 413 ") == true && refused?.lowercased().contains("connection: close") == true)
        await server.stop()
    }

    @Test func whatIsNoHTTPIsA400() async throws {
        let server = try await TestServer()
        let port = server.port
        let long = "GET / HTTP/1.1\r\nX: \(String(repeating: "x", count: 200_000))\r\n\r\n"
        let cases = [
            (Self.chat + "Transfer-Encoding: chunked\r\n\r\nzz\r\n{}\r\n0\r\n\r\n", 400), ("\u{16}\u{3}\u{1} hello\r\n\r\n", 400),
            ("FOO / HTTP/1.1\r\n\r\n", 400), (Self.chat + "Content-Length: -5\r\n\r\n", 400), (long, 431),
        ]
        for (text, status) in cases {
            let answer = try await blocking {
                let client = try HTTPClient(port: port)
                try client.send(Array(text.utf8))
                return try client.answer()
            }
            #expect(answer.status == status && answer.json["error"]?["code"] == "invalid_http", "\(text.prefix(99)): \(answer.text)")
            #expect(answer.headers["connection"] == "close")
        }
        await server.stop()
    }

    @Test func aCompressedBodyIsA415() async throws {
        let server = try await TestServer()
        let port = server.port
        let answer = try await blocking {
            let client = try HTTPClient(port: port)
            try client.send(Array((Self.chat + "Content-Encoding: gzip\r\nContent-Length: 2\r\n\r\n{}").utf8))
            return try client.answer()
        }
        #expect(answer.status == 415 && answer.json["error"]?["code"] == "unsupported_encoding")
        await server.stop()
    }

    @Test func aWrongMethodIsA405ThatNamesTheRightOnes() async throws {
        let server = try await TestServer()
        for method in ["GET", "PUT", "DELETE", "OPTIONS", "PATCH"] {
            let answer = try await server.request(method, "/v1/chat/completions")
            #expect(answer.status == 405 && answer.headers["allow"] == "POST", "\(method): \(answer.text)")
            #expect(answer.json["error"]?["code"] == "method_not_allowed")
        }
        let models = try await server.request("POST", "/v1/models/null-model")
        #expect(models.status == 405 && models.headers["allow"] == "GET, HEAD")
        let port = server.port
        // An answer to HEAD has no body, whatever its length says.
        let text = try await blocking {
            let client = try HTTPClient(port: port)
            try client.send(Array("HEAD /v1/chat/completions HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".utf8))
            return client.rest()
        }
        #expect(text?.hasPrefix("HTTP/1.1 405 ") == true && text?.hasSuffix("\r\n\r\n") == true, "\(text ?? "")")
        await server.stop()
    }

    @Test(arguments: [false, true]) func oldClientsReadToTheEnd(streams: Bool) async throws {
        let server = try await TestServer()
        let port = server.port
        let body = TestServer.body(["stream": .bool(streams)]).serialized
        let text = try await blocking {
            let client = try HTTPClient(port: port)
            try client.send(Array("POST /v1/chat/completions HTTP/1.0\r\nContent-Length: \(body.count)\r\n\r\n".utf8) + body)
            return client.rest()
        }
        let content = text?.range(of: "\r\n\r\n").map { String(text?[$0.upperBound...] ?? "") }
        #expect(text?.hasPrefix("HTTP/1.0 200 ") == true && text?.lowercased().contains("transfer-encoding") == false)
        #expect(content?.hasPrefix(streams ? "data: {" : "{") == true, "\(text ?? "not closed")")
        await server.stop()
    }

    @Test func bodiesAreBoundedTogether() async throws {
        var options = TestServer.Options()
        options.maxHeldBytes = 2 << 20
        let server = try await TestServer(options)
        let first = try HTTPClient(port: server.port)
        try first.send(Array((Self.chat + "Content-Length: 1048576\r\n\r\n").utf8) + Array(repeating: 0x20, count: 900_000))
        // The server has read it when the next comes.
        try await Task.sleep(for: .milliseconds(500))
        var statuses: Set<Int> = []
        for _ in 0..<200 where !statuses.contains(429) {
            let blank = JSONValue.string(String(repeating: " ", count: 300_000))
            statuses.insert(try await server.chat(["user": blank]).status)
            try await Task.sleep(for: .milliseconds(5))
        }
        #expect(statuses.contains(429))
        first.close()
        for _ in 0..<600 {
            if try await server.chat(["user": .string(String(repeating: " ", count: 300_000))]).status == 200 {
                return await server.stop()
            }
            try await Task.sleep(for: .milliseconds(5))
        }
        Issue.record("the bytes of a client that has gone are still held")
    }

    @Test func aSlowBodyGivesItsMemoryToOthers() async throws {
        var options = TestServer.Options()
        options.maxHeldBytes = 2 << 20
        let server = try await TestServer(options)
        let port = server.port
        let slow = try HTTPClient(port: port)
        try slow.send(Array((Self.chat + "Content-Length: 1048576\r\n\r\n").utf8) + Array(repeating: 0x20, count: 900_000))
        let blank = JSONValue.string(String(repeating: " ", count: 300_000))
        var status = 429
        for _ in 0..<60 where status == 429 {
            try await Task.sleep(for: .milliseconds(500))
            try slow.send([0x20])
            status = try await server.chat(["user": blank]).status
        }
        #expect(status == 200)
        let answer = try await blocking { try slow.answer() }
        #expect(answer.status == 429 && answer.headers["connection"] == "close", "\(answer.text)")
        await server.stop()
    }

    @Test func thePrefaceOfHTTP2IsToldToUseHTTP1() async throws {
        let server = try await TestServer()
        let client = try HTTPClient(port: server.port)
        let answer = try await blocking {
            try client.send(Array("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".utf8) + [UInt8](repeating: 0, count: 9))
            return try client.answer()
        }
        #expect(answer.status == 505 && answer.json["error"]?["code"] == "http_version_not_supported", "\(answer.text)")
        #expect(answer.headers["connection"] == "close")
        await server.stop()
    }

    @Test func whoLeavesTheLineIsForgotten() async throws {
        var options = TestServer.Options()
        options.maxHeldBytes = 2 << 20
        let gate = DispatchSemaphore(value: 0)
        options.encodeGate = gate
        let server = try await TestServer(options)
        // Takes most of the room for work until the gate opens.
        let content: JSONValue = [["role": "user", "content": "@"]]
        let large = TestServer.body(["messages": content, "user": .string(String(repeating: " ", count: 250_000))]).serialized
        let first = try HTTPClient(port: server.port)
        try first.send("POST", "/v1/chat/completions", body: large)
        try await Task.sleep(for: .milliseconds(200))
        let second = try HTTPClient(port: server.port)
        try second.send("POST", "/v1/chat/completions", body: large)
        try await Task.sleep(for: .milliseconds(200))
        second.close()
        #expect(try await server.chat().status == 200)
        gate.signal()
        gate.signal()
        #expect(try first.answer().status == 200)
        await server.stop()
    }
}
