import Foundation
import Testing

/// `/v1/embeddings` of the demo model: transformers' last hidden state, of texts and of chats with images.
@Suite struct EmbeddingTests {
    private func embedding(_ server: Server, _ fields: [String: Any]) async throws -> [Double] {
        let data = try await server.post("/v1/embeddings", try JSONSerialization.data(withJSONObject: fields.merging(["model": "model"]) { $1 }))
        let json = try JSONSerialization.jsonObject(with: data) as? [String: Any]
        let first = (json?["data"] as? [[String: Any]])?.first
        return try #require(first?["embedding"] as? [Double], "\(String(decoding: data, as: UTF8.self).prefix(300))")
    }

    private func cosine(_ a: [Double], _ b: [Double]) -> Double {
        func dot(_ x: [Double], _ y: [Double]) -> Double { zip(x, y).reduce(0) { $0 + $1.0 * $1.1 } }
        return dot(a, b) / (dot(a, a) * dot(b, b)).squareRoot()
    }

    /// The least cosine of what is asked with what transformers said.
    private func leastCosine(_ server: Server) async throws -> Double {
        let file = Workspace.fixtures.appending(path: "demo_embeddings/expected.json")
        let record = try #require(JSONSerialization.jsonObject(with: Data(contentsOf: file)) as? [String: [[String: Any]]])
        let samples = Workspace.repository.appending(path: "Artifacts/Demo/samples")
        var (least, count) = (1.0, 0)
        func compare(_ found: [Double], _ item: [String: Any]) {
            let expected = item["embedding"] as? [Double] ?? []
            #expect(found.count == 256 && expected.count == 256 && abs(cosine(found, found) - 1) < 1e-9)
            least = min(least, cosine(found, expected))
            count += 1
        }
        for item in record["texts"] ?? [] {
            compare(try await embedding(server, ["input": item["text"] ?? ""]), item)
            compare(try await embedding(server, ["input": item["tokens"] ?? []]), item)
        }
        for item in record["chats"] ?? [] {
            let images = try (item["images"] as? [String] ?? []).map { try Data(contentsOf: samples.appending(path: $0)) }
            let content = Server.content(item["question"] as? String ?? "", images, questionFirst: item["question_first"] as? Bool ?? false)
            // The second time from the prefix cache.
            for _ in 0..<2 { compare(try await embedding(server, ["messages": [["role": "user", "content": content]]]), item) }
        }
        #expect(count == 12)
        return least
    }

    @Test func embeddingsAreThoseOfTransformers() async throws {
        let space = try Workspace()
        let exact = try Server(space.compile(Workspace.demoModel, "--precision", "exact"))
        #expect(try await leastCosine(exact) > 0.999999)
        #expect(exact.stop() == 0)
        let balanced = try Server(space.compile(Workspace.demoModel))
        #expect(try await leastCosine(balanced) > 0.999)
        #expect(balanced.stop() == 0)
    }
}
