import Foundation
import TestClient

/// A running `vlm-serve` on a free loopback port.
final class Server: @unchecked Sendable {
    private let running: Running
    private let port: Int

    convenience init(_ artifact: String, _ flags: String...) throws { try self.init(artifact, flags) }

    init(_ artifact: String, _ flags: [String], environment: [String: String] = [:]) throws {
        running = try Command("vlm-serve", [artifact, "--host", "127.0.0.1", "--port", "0"] + flags, environment: environment).start()
        guard let line = running.line(with: "listening on "), let port = line.split(separator: ":").last.flatMap({ Int($0.prefix { $0.isNumber }) }) else {
            throw Workspace.CompileFailure(message: "vlm-serve ended")
        }
        self.port = port
        for _ in 0..<600 {
            if isReady { break }
            Thread.sleep(forTimeInterval: 0.05)
        }
    }

    var processID: Int32 { running.process.processIdentifier }

    func stop(by number: Int32 = SIGTERM) -> Int32 { running.stop(by: number) }

    /// The line of standard error with these words, which is waited for.
    func line(with words: String) -> String? { running.line(with: words) }

    private var isReady: Bool { (try? Self.answer(port, "GET", "/health"))?.status == 200 }

    private static func answer(_ port: Int, _ method: String, _ path: String, body: Data = Data()) throws -> HTTPClient.Answer {
        let client = try HTTPClient(port: port, patience: 300)
        try client.send(method, path, body: Array(body))
        return try client.answer()
    }

    /// A question's content with the images, which stand before or after it.
    static func content(_ question: String, _ images: [Data], questionFirst: Bool) -> [[String: Any]] {
        var content: [[String: Any]] = images.map { image in
            ["type": "image_url", "image_url": ["url": "data:image;base64,\(image.base64EncodedString())"]]
        }
        content.insert(["type": "text", "text": question], at: questionFirst ? 0 : content.count)
        return content
    }

    /// The bytes of the answer to a chat request, a JSON object.
    func chat(_ body: Data) async throws -> Data { try await post("/v1/chat/completions", body) }

    /// The bytes of the answer to a body.
    func post(_ path: String, _ body: Data) async throws -> Data {
        try await blocking { [port] in Data(try Self.answer(port, "POST", path, body: body).body) }
    }

    /// A number of `/metrics`, summed over its labels.
    func metric(_ name: String) async throws -> Double {
        let text = try await blocking { [port] in try Self.answer(port, "GET", "/metrics").text }
        let lines = text.split(separator: "\n").filter { $0.hasPrefix(name + "{") }
        return lines.compactMap { Double($0.split(separator: " ").last ?? "") }.reduce(0, +)
    }

    /// The greedy answer to a question that stands before or after its images.
    func ask(_ question: String, _ images: [Data], questionFirst: Bool, model: String = "model") async throws -> String {
        let body: [String: Any] = [
            "model": model, "temperature": 0, "max_tokens": 48,
            "messages": [["role": "user", "content": Self.content(question, images, questionFirst: questionFirst)]],
        ]
        let data = try await chat(try JSONSerialization.data(withJSONObject: body))
        let reply = try JSONSerialization.jsonObject(with: data) as? [String: Any]
        let message = ((reply?["choices"] as? [[String: Any]])?.first?["message"] as? [String: Any])?["content"] as? String
        return message ?? String(decoding: data, as: UTF8.self)
    }
}
