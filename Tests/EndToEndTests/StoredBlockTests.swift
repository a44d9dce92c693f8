import Foundation
import Testing

/// A server that keeps its cached blocks on disk goes on from them when it is started again.
@Suite struct StoredBlockTests {
    private struct Answer: Equatable {
        var text: String
        var cached: Int

        init(_ data: Data) throws {
            let value = try JSONSerialization.jsonObject(with: data) as? [String: Any] ?? [:]
            let choice = (value["choices"] as? [[String: Any]])?.first
            text = (choice?["message"] as? [String: Any])?["content"] as? String ?? String(decoding: data, as: UTF8.self)
            let details = (value["usage"] as? [String: Any])?["prompt_tokens_details"] as? [String: Any]
            cached = details?["cached_tokens"] as? Int ?? 0
        }
    }

    /// A long text, an image, and a text under a salt.
    private func bodies() throws -> [Data] {
        let words = Array(repeating: "one two three four five six seven eight nine ten", count: 8).joined(separator: " and ")
        let image = try Data(contentsOf: FamilyParityTests.folders[0].appending(path: "_images/320x240.png"))
        let contents: [Any] = [words, Server.content("What is this?", [image], questionFirst: false), words]
        return try contents.enumerated().map { index, content in
            var body: [String: Any] = ["model": "m", "temperature": 0, "max_tokens": 12, "messages": [["role": "user", "content": content]]]
            if index == 2 { body["cache_salt"] = "mine" }
            return try JSONSerialization.data(withJSONObject: body)
        }
    }

    private func answers(_ server: Server, _ bodies: [Data]) async throws -> [Answer] {
        var found: [Answer] = []
        for body in bodies { found.append(try Answer(await server.chat(body))) }
        return found
    }

    @Test func aServerThatIsStartedAgainGoesOnFromItsBlocks() async throws {
        let space = try Workspace()
        let artifact = try space.compile(Workspace.demoModel)
        let (bodies, folder) = (try bodies(), space.path("blocks"))
        let flags = ["--served-model-name", "m", "--block-size", "16"]
        let plain = try Server(artifact, flags)
        let expected = try await answers(plain, bodies)
        #expect(plain.stop() == 0 && expected.allSatisfy { $0.cached == 0 })

        let stored = flags + ["--kv-cache-dir", folder, "--kv-cache-dir-size", "64Mi"]
        let first = try Server(artifact, stored)
        #expect(first.line(with: "prefix cache on disk: 0 blocks, 0 of at most 67108864 bytes in \(folder)") != nil)
        #expect(try await answers(first, bodies) == expected)
        // Another one is refused, once it has waited.
        let refused = try Command("vlm-serve", [artifact, "--port", "0"] + stored).run()
        #expect(refused.status == 1 && refused.errors.contains("error: --kv-cache-dir: another server has \(folder), and did not leave it in 10.0 s"), "\(refused.errors)")
        #expect(first.stop() == 0)

        let second = try Server(artifact, stored)
        let again = try await answers(second, bodies)
        #expect(again.map(\.text) == expected.map(\.text) && again.allSatisfy { $0.cached >= 16 }, "\(again)")
        let tokens = try await second.metric("vlm:stored_prefix_hits_total"), read = try await second.metric("vlm:stored_blocks_read_total")
        #expect(Int(tokens) == again.reduce(0) { $0 + $1.cached } && read * 16 == tokens)
        #expect(try await second.metric("vlm:stored_block_errors_total") == 0)
        // A kill loses nothing that was written before.
        kill(second.processID, SIGKILL)
        _ = second.stop()
        let third = try Server(artifact, stored)
        #expect(try await answers(third, bodies) == again)
        #expect(third.stop() == 0)
        // What is computed otherwise finds nothing.
        let exact = try Server(space.compile(Workspace.demoModel, "--precision", "exact"), stored)
        #expect(try await answers(exact, bodies).allSatisfy { $0.cached == 0 })
        #expect(exact.stop() == 0)
    }
}
