import Foundation
import HTTPAPI
import JSON
import TestClient
import Testing

/// The page at `/`; what it does in a browser is tested in Tests/Clients/plain.
@Suite struct PlaygroundTests {
    private static func ask(_ server: TestServer, _ method: String, _ headers: String = "") async throws -> String {
        let port = server.port
        return try await blocking {
            let client = try HTTPClient(port: port)
            try client.send(Array("\(method) / HTTP/1.1\r\nHost: localhost\r\n\(headers)Connection: close\r\n\r\n".utf8))
            return client.rest() ?? ""
        }
    }

    @Test func isOneDocument() async throws {
        var options = TestServer.Options()
        options.access.apiKeys = ["secret"]
        let server = try await TestServer(options)
        let page = try await server.request("GET", "/")
        #expect(page.status == 200 && page.headers["content-type"] == "text/html; charset=utf-8")
        #expect(page.headers["x-content-type-options"] == "nosniff" && page.headers["referrer-policy"] == "no-referrer")
        #expect(page.text.hasPrefix("<!doctype html>") && page.text.hasSuffix("</html>\n"))
        // One style and one script, both in the page; a pictogram in a data: URL is the only link.
        for (part, count) in [("<style>", 1), ("</style>", 1), ("<script>", 1), ("</script>", 1), ("<link ", 1), ("href=\"data:", 1), ("<!--", 0)] {
            #expect(page.text.ranges(of: part).count == count, "\(part)")
        }
        let addresses = page.text.matches(of: /https?:[^ '"]*/).map { String($0.output) }
        #expect(addresses == ["http://www.w3.org/2000/svg"])
        #expect(page.text.matches(of: /innerHTML|outerHTML|insertAdjacentHTML|localStorage|sessionStorage|cookie/).isEmpty)
        await server.stop()
    }

    /// The digests themselves are checked by a browser, which runs nothing where they are wrong.
    @Test func mayLoadNothing() async throws {
        let server = try await TestServer()
        let policy = try #require(try await server.request("GET", "/").headers["content-security-policy"])
        let digest = #/'sha256-[A-Za-z0-9+/]{43}='/#
        #expect(
            policy.replacing(digest, with: "#")
                == "default-src 'none'; style-src #; script-src #; img-src data:; connect-src 'self'; base-uri 'none'; form-action 'none'; "
                + "frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'")
        let digests = policy.matches(of: digest).map { String($0.output) }
        #expect(digests.count == 2 && digests[0] != digests[1])
        await server.stop()
    }

    @Test func isLoadedOnce() async throws {
        let server = try await TestServer()
        let page = try await server.request("GET", "/")
        let tag = try #require(page.headers["etag"])
        #expect(page.headers["cache-control"] == "no-cache" && tag.hasPrefix("\"") && tag.count > 40)
        let head = try await Self.ask(server, "HEAD").lowercased()
        #expect(head.hasPrefix("http/1.1 200 ") && head.contains("content-length: \(page.body.count)\r\n") && head.hasSuffix("\r\n\r\n"))
        for held in [tag, "W/\(tag)", "\"other\", \(tag)", "*"] {
            let answer = try await Self.ask(server, "GET", "If-None-Match: \(held)\r\n")
            #expect(answer.hasPrefix("HTTP/1.1 304 ") && answer.contains(tag) && answer.hasSuffix("\r\n\r\n"), "\(held)")
        }
        #expect(try await Self.ask(server, "GET", "If-None-Match: \"other\"\r\n").hasPrefix("HTTP/1.1 200 "))
        let post = try await server.request("POST", "/")
        #expect(post.status == 405 && post.headers["allow"] == "GET, HEAD")
        await server.stop()
    }

    @Test func canBeLeftOut() async throws {
        var options = TestServer.Options()
        options.hasPlayground = false
        let server = try await TestServer(options)
        for method in ["GET", "HEAD", "POST"] { #expect(try await Self.ask(server, method).hasPrefix("HTTP/1.1 404 "), "\(method)") }
        #expect(try await server.request("GET", "/").json["error"]?["message"] != nil)
        await server.stop()
    }
}
