import Foundation
import FoundationNetworking

/// A running `vlm-serve` on a free loopback port.
final class Server: @unchecked Sendable {
    private let running: Running
    private let url: URL

    init(_ artifact: String, _ flags: String...) throws {
        running = try Command("vlm-serve", [artifact, "--host", "127.0.0.1", "--port", "0"] + flags).start()
        guard let line = running.line(with: "listening on "), let word = line.split(separator: " ").last,
            let url = URL(string: String(word))
        else { throw Workspace.CompileFailure(message: "vlm-serve ended") }
        self.url = url
        for _ in 0..<600 where !isReady { Thread.sleep(forTimeInterval: 0.05) }
    }

    var processID: Int32 { running.process.processIdentifier }

    func stop() -> Int32 { running.stop() }

    /// The line of standard error with these words, which is waited for.
    func line(with words: String) -> String? { running.line(with: words) }

    private var isReady: Bool { (try? Data(contentsOf: url.appending(path: "health"))) != nil }

    /// A question's content with the pictures, which stand before or after it.
    static func content(_ question: String, _ pictures: [Data], questionFirst: Bool) -> [[String: Any]] {
        var content: [[String: Any]] = pictures.map { picture in
            ["type": "image_url", "image_url": ["url": "data:image;base64,\(picture.base64EncodedString())"]]
        }
        content.insert(["type": "text", "text": question], at: questionFirst ? 0 : content.count)
        return content
    }

    /// The bytes of the answer to a chat request, a JSON object.
    func chat(_ body: Data) async throws -> Data {
        var request = URLRequest(url: url.appending(path: "v1/chat/completions"), timeoutInterval: 300)
        request.httpMethod = "POST"
        request.setValue("application/json", forHTTPHeaderField: "Content-Type")
        request.httpBody = body
        return try await URLSession.shared.data(for: request).0
    }

    /// A number of `/metrics`, summed over its labels.
    func metric(_ name: String) async throws -> Double {
        let text = String(decoding: try await URLSession.shared.data(from: url.appending(path: "metrics")).0, as: UTF8.self)
        return text.split(separator: "\n").filter { $0.hasPrefix(name + "{") }.compactMap { Double($0.split(separator: " ").last ?? "") }
            .reduce(0, +)
    }

    /// The greedy answer to a question that stands before or after its pictures.
    func ask(_ question: String, _ pictures: [Data], questionFirst: Bool, model: String = "model") async throws -> String {
        let body: [String: Any] = [
            "model": model, "temperature": 0, "max_tokens": 48,
            "messages": [["role": "user", "content": Self.content(question, pictures, questionFirst: questionFirst)]],
        ]
        let data = try await chat(try JSONSerialization.data(withJSONObject: body))
        let reply = try JSONSerialization.jsonObject(with: data) as? [String: Any]
        let message = ((reply?["choices"] as? [[String: Any]])?.first?["message"] as? [String: Any])?["content"] as? String
        return message ?? String(decoding: data, as: UTF8.self)
    }
}
