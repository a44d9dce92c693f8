import Foundation
import HTTPAPI
import Inputs
import JSON
import LoopbackSite
import MediaFetching
import Serving
import Synchronization
import TestClient
import Testing

/// Images that requests only name, over the whole server.
@Suite struct FetchedImageTests {
    private static func server(_ change: (inout TestServer.Options) -> Void = { _ in }) async throws -> TestServer {
        var options = TestServer.Options()
        options.media.domains = ["127.0.0.1"].compactMap(MediaDomain.init)
        options.media.allowsPrivateAddresses = true
        options.media.timeoutSeconds = 300
        change(&options)
        return try await TestServer(options)
    }

    private static let picture = TestImages.gray(width: 56, height: 28, shade: 90)

    private static func part(_ url: String) -> JSONValue { ["type": "image_url", "image_url": ["url": .string(url)]] }

    private static func asked(_ parts: JSONValue...) -> JSONValue { [["role": "user", "content": .array(parts)]] }

    /// Each API answers as if the image had been sent.
    @Test func imagesByAddressAreThoseThatAreSent() async throws {
        let site = try LoopbackSite(["/a.png?key=secret": LoopbackSite.file(Self.picture)])
        let server = try await Self.server()
        let data = "data:image/png;base64,\(Data(Self.picture).base64EncodedString())"
        for url in [data, "http://127.0.0.1:\(site.port)/a.png?key=secret"] {
            let chat = try await server.chat(["messages": Self.asked(Self.part(url), ["type": "text", "text": "x"])])
            #expect(chat.status == 200 && chat.json["usage"]?["prompt_tokens_details"]?["image_tokens"] == 2, "\(chat.text)")
            let bare: JSONValue = ["type": "image_url", "image_url": .string(url)]
            let counted = try await server.request("POST", "/tokenize", ["messages": Self.asked(bare)])
            #expect(counted.json["tokens"]?.arrayValue?.filter { $0 == 257 }.count == 2, "\(counted.text)")
            let input: JSONValue = [["role": "user", "content": [["type": "input_image", "image_url": .string(url)]]]]
            let response = try await server.request("POST", "/v1/responses", ["model": "null-model", "input": input, "max_output_tokens": 2])
            #expect(response.status == 200, "\(response.text)")
            guard url != data else { continue }
            let source: JSONValue = ["type": "image", "source": ["type": "url", "url": .string(url)]]
            let messages: JSONValue = ["model": "null-model", "max_tokens": 2, "messages": Self.asked(source)]
            #expect(try await server.request("POST", "/v1/messages", messages).status == 200)
            let count = try await server.request("POST", "/v1/messages/count_tokens", ["model": "null-model", "messages": Self.asked(source)])
            #expect(count.json["input_tokens"]?.intValue ?? 0 > 2, "\(count.text)")
        }
        #expect(site.heads.count == 5)
        #expect(server.engine.metrics.imageFetch.count == 5)
        #expect(server.engine.metrics.imageDecode.count == 8 && server.engine.metrics.imagePreprocess.count == 8)
        await server.stop()
        site.close()
    }

    @Test func faultsNameTheirPart() async throws {
        let site = try LoopbackSite(["/a.png": LoopbackSite.file(Self.picture), "/text": LoopbackSite.file(Array("hello".utf8))])
        let lines = Mutex<[String]>([])
        let server = try await Self.server { $0.requestLog = { line in lines.withLock { $0.append(line.message) } } }
        let here = "http://127.0.0.1:\(site.port)"
        for (url, words) in [
            ("\(here)/none?key=secret", "messages[0].content[1]: the URL's host answers with the status 404"),
            ("\(here)/text?", "messages[0].content[1]: the URL's host answers with the status 404"), ("\(here)/text", "messages[0].content[1]: the image is not a JPEG"),
            ("http://localhost:\(site.port)/a.png", "messages[0].content[1]: the URL's host is not one"),
            ("http://127.0.0.1:1/?key=secret", "messages[0].content[1]: the URL's host cannot be reached"),
            ("http://u:secret@127.0.0.1/", "messages[0].content[1]: the URL must not hold a user's name"),
            ("file:///etc/passwd", "messages[0].content[1]: images and videos are not read from files"),
        ] {
            let answer = try await server.chat(["messages": Self.asked(["type": "text", "text": "x"], Self.part(url))])
            #expect(answer.status == 400, "\(url)")
            #expect(answer.json["error"]?["param"] == "messages[0].content[1]", "\(answer.text)")
            #expect(answer.json["error"]?["message"]?.stringValue?.hasPrefix(words) == true, "\(answer.text)")
        }
        let input: JSONValue = [["role": "user", "content": [["type": "input_image", "image_url": .string("\(here)/none")]]]]
        let response = try await server.request("POST", "/v1/responses", ["model": "null-model", "instructions": "i", "input": input])
        #expect(response.json["error"]?["param"] == "input[0].content[0]", "\(response.text)")
        #expect(response.json["error"]?["message"]?.stringValue?.hasPrefix("input[0].content[0]: the URL's") == true, "\(response.text)")
        await server.stop()
        site.close()
        let log = lines.withLock { $0 }
        #expect(log.contains { $0.contains("an image from 127.0.0.1:1: 127.0.0.1: ") }, "\(log)")
        #expect(!log.contains { $0.contains("secret") }, "\(log)")
    }

    @Test func imagesOfARequestShareABound() async throws {
        let file = Self.picture + Array(repeating: 0, count: 600_000)
        let site = try LoopbackSite(["/a": LoopbackSite.file(file)])
        let server = try await Self.server()
        let part = Self.part("http://127.0.0.1:\(site.port)/a")
        #expect(try await server.chat(["messages": Self.asked(part)]).status == 200)
        let answer = try await server.chat(["messages": Self.asked(part, part)])
        #expect(answer.status == 400 && answer.text.contains("more than 1048576 bytes together"), "\(answer.text)")
        await server.stop()
        site.close()
    }

    /// What is fetched takes the memory of bodies that arrive, and gives it back.
    @Test func fetchedBytesCountLikeThoseOfBodies() async throws {
        let site = try LoopbackSite(["/a": [.text("HTTP/1.1 200 OK\r\nContent-Length: 40001\r\n\r\n"), .bytes(Array(repeating: 1, count: 40_000)), .hold]])
        let server = try await Self.server {
            $0.maxHeldBytes = 100_000
            $0.media.timeoutSeconds = 5
        }
        let message = Self.asked(Self.part("http://127.0.0.1:\(site.port)/a"))
        let first = Task { try await server.chat(["messages": message]).status }
        while site.heads.isEmpty { try await Task.sleep(for: .milliseconds(5)) }
        try await Task.sleep(for: .milliseconds(100))
        let second = try await server.chat(["messages": message])
        #expect(second.status == 429, "\(second.text)")
        #expect(try await first.value == 400)
        #expect(try await server.chat().status == 200)
        await server.stop()
        site.close()
    }

    @Test func aClientThatLeavesEndsItsFetch() async throws {
        let site = try LoopbackSite(["/a": [.hold]])
        let server = try await Self.server { $0.media.timeoutSeconds = 600 }
        let body = TestServer.body(["messages": Self.asked(Self.part("http://127.0.0.1:\(site.port)/a"))]).serialized
        let client = try HTTPClient(port: server.port)
        try client.send("POST", "/v1/chat/completions", body: body)
        while site.heads.isEmpty { try await Task.sleep(for: .milliseconds(5)) }
        client.close()
        while site.departures == 0 { try await Task.sleep(for: .milliseconds(5)) }
        #expect(try await server.chat().status == 200)
        await server.stop()
        site.close()
    }

    @Test func moreImagesThanTheContextHoldsAreNotFetched() async throws {
        let site = try LoopbackSite(["/a": LoopbackSite.file(Self.picture)])
        let server = try await Self.server()
        let parts = Array(repeating: Self.part("http://127.0.0.1:\(site.port)/a"), count: TestServer.contextLength)
        let answer = try await server.chat(["messages": [["role": "user", "content": .array(parts)]]])
        #expect(answer.status == 400 && answer.text.contains("512 images are at least 512 tokens"), "\(answer.text)")
        #expect(site.heads.isEmpty)
        await server.stop()
        site.close()
    }

    @Test func filesAreReadBelowOneDirectory() async throws {
        let folder = FileManager.default.temporaryDirectory.path + "/vlm-media-\(UUID().uuidString)"
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(atPath: folder) }
        try Data(Self.picture).write(to: URL(fileURLWithPath: "\(folder)/a b.png"))
        let media = try LocalMedia(folder)
        let server = try await Self.server { $0.media.localDirectory = media }
        let answer = try await server.chat(["messages": Self.asked(Self.part("file://\(folder)/a%20b.png"))])
        #expect(answer.status == 200, "\(answer.text)")
        let refused = try await server.chat(["messages": Self.asked(Self.part("file:///etc/passwd"))])
        #expect(refused.status == 400 && refused.text.contains("messages[0].content[0]: the URL names no readable file"), "\(refused.text)")
        await server.stop()
    }
}
