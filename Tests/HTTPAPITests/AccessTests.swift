import Foundation
import HTTPAPI
import Inputs
import JSON
import Testing

/// Keys, hosts and origins, over a socket.
@Suite struct AccessTests {
    private static func server(_ change: (inout AccessRules) -> Void) async throws -> TestServer {
        var options = TestServer.Options()
        change(&options.access)
        return try await TestServer(options)
    }

    /// The first line and the headers of the answer to a chat request with `headers`.
    private static func ask(_ server: TestServer, _ headers: String, method: String = "POST") async throws -> String {
        let port = server.port
        let body = TestServer.body(["max_tokens": 1]).serialized
        let length = headers.contains("Transfer-Encoding") ? "" : "Content-Length: \(body.count)\r\n"
        let head = "\(method) /v1/chat/completions HTTP/1.1\r\n\(headers)Connection: close\r\n\(length)\r\n"
        return try await blocking {
            let client = try HTTPClient(port: port)
            try client.send(Array(head.utf8) + (length.isEmpty ? [] : body))
            return client.rest() ?? ""
        }
    }

    @Test func keysAreAskedForUnderV1() async throws {
        let server = try await Self.server { $0.apiKeys = ["secret", "other"] }
        #expect(try await Self.ask(server, "Host: x\r\n").hasPrefix("HTTP/1.1 401 "))
        #expect(try await Self.ask(server, "Host: x\r\nAuthorization: Bearer secre\r\n").hasPrefix("HTTP/1.1 401 "))
        #expect(try await Self.ask(server, "Host: x\r\nAuthorization: Bearer secrets\r\n").hasPrefix("HTTP/1.1 401 "))
        let json = "Content-Type: application/json\r\n"
        #expect(try await Self.ask(server, "Host: x\r\nAuthorization: Bearer other\r\n\(json)").hasPrefix("HTTP/1.1 200 "))
        // However the path is written, the router takes these to be under /v1.
        for path in ["/v1/models", "//v1/models", "/v1//models", "http://x/v1/models", "http://x//v1/models"] {
            #expect(try await server.request("GET", path).status == 401, "\(path)")
        }
        #expect(try await server.request("POST", "//v1/chat/completions", TestServer.body([:])).status == 401)
        for path in ["/health", "/live", "/ping", "/version"] { #expect(try await server.request("GET", path).status == 200) }
        await server.stop()
    }

    @Test(arguments: [
        ("", "400"), ("Host: a\r\nHost: b\r\n", "400"), ("Host: evil.example\r\n", "403"), ("Host: LOCALHOST:80\r\n", "200"),
        ("Host: 10.0.0.1:8000\r\n", "200"), ("Host: [::1]:8000\r\n", "200"), ("Host: [evil.example\r\n", "403"),
        ("Host: []\r\n", "403"), ("Host: １０.0.0.1\r\n", "403"), ("Host: box.lan\r\n", "200"),
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
}
