import Foundation
import HTTPAPI
import Inputs
import JSON
import Serving
import Synchronization
import TestClient
import Testing

/// Keys, hosts and origins, over a socket.
@Suite struct AccessTests {
    private static func server(_ change: (inout AccessRules) -> Void) async throws -> TestServer {
        var options = TestServer.Options()
        change(&options.access)
        return try await TestServer(options)
    }

    /// The first line and the headers of the answer to a chat request with `headers`.
    private static func ask(_ server: TestServer, _ headers: String, method: String = "POST", path: String = "/v1/chat/completions") async throws -> String {
        let port = server.port
        let body = TestServer.body(["max_tokens": 1]).serialized
        let length = headers.contains("Transfer-Encoding") ? "" : "Content-Length: \(body.count)\r\n"
        let head = "\(method) \(path) HTTP/1.1\r\n\(headers)Connection: close\r\n\(length)\r\n"
        return try await blocking {
            let client = try HTTPClient(port: port)
            try client.send(Array(head.utf8) + (length.isEmpty ? [] : body))
            return client.rest() ?? ""
        }
    }

    @Test func keysAreAskedForOnAllButProbesAndPages() async throws {
        let server = try await Self.server { $0.apiKeys = ["secret", "other"] }
        #expect(try await Self.ask(server, "Host: x\r\n").hasPrefix("HTTP/1.1 401 "))
        #expect(try await Self.ask(server, "Host: x\r\nAuthorization: Bearer secre\r\n").hasPrefix("HTTP/1.1 401 "))
        #expect(try await Self.ask(server, "Host: x\r\nAuthorization: Bearer secrets\r\n").hasPrefix("HTTP/1.1 401 "))
        let json = "Content-Type: application/json\r\n"
        for scheme in ["Bearer other", "bearer other", "BEARER  other", "Bearer \t other \t"] {
            #expect(try await Self.ask(server, "Host: x\r\nAuthorization: \(scheme)\r\n\(json)").hasPrefix("HTTP/1.1 200 "), "\(scheme)")
        }
        for wrong in ["Bearerother", "Basic other", "other", "Bearer", "Bearer other other"] {
            #expect(try await Self.ask(server, "Host: x\r\nAuthorization: \(wrong)\r\n\(json)").hasPrefix("HTTP/1.1 401 "), "\(wrong)")
        }
        // However the path is written, the router takes these to be under /v1.
        for path in ["/v1/models", "//v1/models", "/v1//models", "http://x/v1/models", "http://x//v1/models"] {
            #expect(try await server.request("GET", path).status == 401, "\(path)")
        }
        #expect(try await server.request("POST", "//v1/chat/completions", TestServer.body([:])).status == 401)
        // Probes and pages hold nothing of anybody; what tells how the server is used does.
        for path in ["/health", "/ready", "/live", "/ping", "/", "/docs", "/openapi.json", "//health"] {
            #expect(try await server.request("GET", path).status == 200, "\(path)")
        }
        for path in ["/metrics", "/load", "/version", "/nothing", "/health/more", "/HEALTH"] {
            #expect(try await server.request("GET", path).status == 401, "\(path)")
        }
        #expect(try await Self.ask(server, "Host: x\r\nAuthorization: Bearer other\r\n", method: "GET", path: "/metrics").hasPrefix("HTTP/1.1 200 "))
        await server.stop()
    }

    @Test(arguments: [
        ("", "400"), ("Host: a\r\nHost: b\r\n", "400"), ("Host: evil.example\r\n", "403"), ("Host: LOCALHOST:80\r\n", "200"),
        ("Host: 10.0.0.1:8000\r\n", "200"), ("Host: [::1]:8000\r\n", "200"), ("Host: [evil.example\r\n", "403"),
        ("Host: []\r\n", "403"), ("Host: １０.0.0.1\r\n", "403"), ("Host: box.lan\r\n", "200"),
        ("Host: localhost.\r\n", "200"), ("Host: LocalHost.:8000\r\n", "200"), ("Host: Box.LAN.\r\n", "200"), ("Host: .\r\n", "403"),
        ("Host: localhost..\r\n", "403"), ("Host: localhost.evil.example\r\n", "403"),
        ("Host: localhost\r\nTransfer-Encoding: gzip, chunked\r\n", "501"),
    ])
    func hostsAreChecked(headers: String, status: String) async throws {
        let server = try await Self.server { $0.allowedHosts = ["box.lan"] }
        #expect(try await Self.ask(server, headers).hasPrefix("HTTP/1.1 \(status) "))
        await server.stop()
    }

    @Test func foreignPagesRunNothing() async throws {
        let server = try await Self.server { $0.allowedOrigins = ["https://chat.example"] }
        let json = "Content-Type: application/json\r\n"
        #expect(try await Self.ask(server, "Host: x\r\nOrigin: https://evil.example\r\n\(json)").hasPrefix("HTTP/1.1 403 "))
        #expect(try await Self.ask(server, "Host: x\r\nOrigin: https://chat.example\r\n").hasPrefix("HTTP/1.1 415 "))
        #expect(try await Self.ask(server, "Host: x\r\nOrigin: http://x\r\n\(json)").hasPrefix("HTTP/1.1 200 "))
        let good = try await Self.ask(server, "Host: x\r\nOrigin: https://chat.example\r\n\(json)").lowercased()
        #expect(good.hasPrefix("http/1.1 200 ") && good.contains("access-control-allow-origin: https://chat.example"))
        #expect(try await Self.ask(server, "Host: x\r\n").lowercased().contains("vary: origin"))
        await server.stop()
    }

    /// Scheme, host and port count, as browsers compare them.
    @Test(arguments: [
        ("LOCALHOST", "http://localhost", "200"), ("localhost:80", "http://localhost", "200"), ("localhost", "http://localhost:80", "200"),
        ("localhost.", "http://localhost", "200"), ("localhost:8000", "http://localhost:8000", "200"), ("[::1]:8000", "http://[::1]:8000", "200"),
        ("chat.lan", "https://chat.lan", "200"), ("chat.lan:443", "https://chat.lan", "200"), ("x", "https://Chat.Example:443", "200"),
        ("localhost:8000", "http://localhost", "403"), ("localhost", "http://localhost:8000", "403"), ("localhost:443", "http://localhost", "403"),
        ("localhost", "null", "403"), ("localhost", "http://localhost.evil.example", "403"), ("localhost", "http://localhost@evil.example", "403"),
        ("localhost", "file://localhost", "403"), ("x", "http://chat.example", "403"),
    ])
    func originsAreCompared(host: String, origin: String, status: String) async throws {
        let server = try await Self.server { $0.allowedOrigins = ["https://chat.example/"] }
        let answer = try await Self.ask(server, "Host: \(host)\r\nOrigin: \(origin)\r\nContent-Type: application/json\r\n")
        #expect(answer.hasPrefix("HTTP/1.1 \(status) "), "\(answer)")
        await server.stop()
    }

    /// What never becomes a request is counted and logged like what does.
    @Test func refusedHeadsAreCountedAndLogged() async throws {
        let note = Lines()
        var options = TestServer.Options()
        options.access.allowedHosts = ["x"]
        options.access.apiKeys = ["secret"]
        options.requestLog = { note.add($0.message) }
        let server = try await TestServer(options)
        for headers in ["", "Host: evil.example\r\n", "Host: x\r\nTransfer-Encoding: gzip\r\n", "Host: x\r\n", "Host: x\r\n\0: y\r\n"] {
            _ = try await Self.ask(server, headers)
        }
        for _ in 0..<30 { _ = try await Self.ask(server, "Host: evil.example\r\n") }
        await server.stop()
        let counts = server.engine.metrics.http.reduce(into: [Int: Int]()) { $0[$1.key.status, default: 0] += $1.value }
        #expect(counts == [400: 2, 401: 1, 403: 31, 501: 1])
        #expect(note.all.contains { $0.hasPrefix("refused 400, request ") && $0.contains(": a Host header is required") })
        #expect(note.all.contains { $0.hasPrefix("refused 403, request ") && $0.contains(": this server does not answer to the host evil.example") })
        #expect(note.all.count { $0.hasPrefix("refused ") } < 34)
    }

    /// They have a name as well, their own or a new one, and the form of their path.
    @Test func refusedHeadsAreNamed() async throws {
        let note = Lines()
        var options = TestServer.Options()
        options.access.allowedHosts = ["x"]
        options.requestLog = { note.add($0.message) }
        let server = try await TestServer(options)
        let port = server.port
        func ask(_ head: String) async throws -> HTTPClient.Answer {
            try await blocking {
                let client = try HTTPClient(port: port)
                try client.send(Array(head.utf8))
                return try client.answer()
            }
        }
        let foreign = try await ask("POST /v1/messages?beta=true HTTP/1.1\r\nHost: evil.example\r\nX-Request-Id: job-1\r\n\r\n")
        #expect(foreign.status == 403 && foreign.headers["x-request-id"] == "job-1" && foreign.json["error"]?["type"] == "permission_error", "\(foreign.text)")
        let large = "GET / HTTP/1.1\r\nX: \(String(repeating: "x", count: 200_000))\r\n\r\n"
        for (head, status) in [
            ("GET / HTTP/1.1\r\n\r\n", 400), ("no HTTP at all\r\n\r\n", 400), (large, 431), ("GET / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: gzip\r\n\r\n", 501),
            ("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505), ("GET / HTTP/1.1\r\nHost: y\r\nX-Request-Id: a b\r\n\r\n", 403),
        ] {
            let answer = try await ask(head)
            #expect(answer.status == status && answer.headers["x-request-id"]?.count == 32, "\(head.prefix(60)): \(answer.headers)")
            #expect(answer.json["error"]?["code"] != nil)
        }
        await server.stop()
        #expect(note.all.contains { $0.hasPrefix("refused 403, request job-1: ") })
    }

    @Test func fewLinesASecondTellOfRefusals() {
        var lines = RefusalLines()
        let start = ContinuousClock.now
        #expect((0..<100).map { lines.admit(at: start + .milliseconds($0)) } == Array(repeating: 0, count: 5) + Array(repeating: nil, count: 95))
        #expect(lines.admit(at: start + .seconds(1)) == 95 && lines.admit(at: start + .seconds(1)) == 0)
    }

    @Test func preflightsAreAnswered() async throws {
        let server = try await Self.server { $0.allowedOrigins = ["https://chat.example"] }
        let asks = "Access-Control-Request-Method: POST\r\nAccess-Control-Request-Headers: content-type, x-a\r\n"
        let good = try await Self.ask(server, "Host: x\r\nOrigin: https://chat.example\r\n\(asks)", method: "OPTIONS").lowercased()
        #expect(good.hasPrefix("http/1.1 204 ") && good.contains("access-control-allow-headers: content-type, x-a"), "\(good)")
        let bad = try await Self.ask(server, "Host: x\r\nOrigin: https://evil.example\r\n\(asks)", method: "OPTIONS")
        #expect(bad.hasPrefix("HTTP/1.1 403 "))
        await server.stop()
    }

    @Test func aSaltKeepsCachesApart() async throws {
        let server = try await TestServer()
        let messages: JSONValue = [["role": "user", "content": .string(String(repeating: "long ", count: 30))]]
        func cached(_ salt: JSONValue) async throws -> Int? {
            let answer = try await server.chat(["messages": messages, "max_tokens": 1, "cache_salt": salt])
            return answer.json["usage"]?["prompt_tokens_details"]?["cached_tokens"]?.intValue
        }
        #expect(try await cached(nil) == 0)
        #expect(try await cached(nil) ?? 0 > 0)
        #expect(try await cached("a") == 0)
        await server.stop()
    }

    /// An image that one client sent is new to another, in the cache of embeddings as in that of prompts.
    @Test func aSaltKeepsImagesApart() async throws {
        let server = try await TestServer()
        let image: JSONValue = ["type": "image_url", "image_url": ["url": .string("data:image/png;base64,\(TestImages.png)")]]
        let text: JSONValue = ["type": "text", "text": .string(String(repeating: "long ", count: 30))]
        func ask(_ salt: JSONValue) async throws -> (cached: Int?, hits: Int) {
            let answer = try await server.chat([
                "messages": [["role": "user", "content": [image, text]]], "max_tokens": 1, "cache_salt": salt,
            ])
            let cached = answer.json["usage"]?["prompt_tokens_details"]?["cached_tokens"]?.intValue
            // The engine publishes its figures when it has answered.
            try await Task.sleep(for: .milliseconds(50))
            return (cached, server.engine.metrics.imageHits)
        }
        #expect(try await ask("a") == (0, 0))
        let again = try await ask("a")
        #expect(again.cached ?? 0 > 0)
        let hits = again.hits
        let other = try await ask("b")
        #expect(other.cached == 0 && other.hits == hits)
        #expect(try await ask(nil).cached == 0)
        #expect(server.engine.metrics.imageHits == hits)
        await server.stop()
    }
}

/// Lines as they come.
private final class Lines: Sendable {
    private let lines = Mutex<[String]>([])

    var all: [String] { lines.withLock { $0 } }

    func add(_ line: String) { lines.withLock { $0.append(line) } }
}
