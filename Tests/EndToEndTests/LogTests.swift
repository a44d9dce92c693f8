import Foundation
import Testing

/// What `vlm-serve` writes to stderr while it runs.
@Suite struct LogTests {
    private static let stamp = #"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}\.[0-9]{3}Z"#

    @Test func linesBeginWithTimeAndLevel() async throws {
        let space = try Workspace()
        let server = try Server(space.compile(Workspace.demoModel), "--max-num-seqs", "2", "--api-key", "k")
        let concurrency = try #require(server.line(with: "maximum concurrency"))
        let pattern = try Regex("^" + Self.stamp + " info: maximum concurrency for [0-9]+ tokens per request: 2.0 \\(the KV cache holds [0-9.]+, --max-num-seqs is 2\\)$")
        #expect(concurrency.contains(pattern), "\(concurrency)")
        _ = try await server.ask("xylophone", [], questionFirst: true)
        let request = try #require(server.line(with: "POST /v1/chat/completions"))
        #expect(request.contains(try Regex("^" + Self.stamp + " info: POST /v1/chat/completions 401 ")), "\(request)")
        #expect(server.stop() == 0)
        #expect(server.line(with: " info: drained") != nil)
    }

    @Test(arguments: [SIGHUP, SIGQUIT, SIGINT])
    func signalsThatAskForTheEndDrain(number: Int32) async throws {
        let space = try Workspace()
        let server = try Server(space.compile(Workspace.demoModel))
        #expect(server.line(with: "listening on") != nil)
        #expect(server.stop(by: number) == 0)
        #expect(server.line(with: " info: drained") != nil)
    }

    @Test func jsonHasTheFiguresOfARequestAndNoneOfItsWords() async throws {
        let space = try Workspace()
        let server = try Server(space.compile(Workspace.demoModel), "--log-format", "json")
        func fields(_ words: String) throws -> [String: Any] {
            let line = try #require(server.line(with: words))
            let object = try JSONSerialization.jsonObject(with: Data(line.utf8)) as? [String: Any]
            #expect((object?["time"] as? String)?.wholeMatch(of: try Regex(Self.stamp)) != nil, "\(line)")
            return try #require(object)
        }
        #expect(try fields("listening on")["level"] as? String == "info")
        let answer = try await server.ask("xylophone", [], questionFirst: true)
        let request = try fields("/v1/chat/completions")
        #expect(request["method"] as? String == "POST" && request["path"] as? String == "/v1/chat/completions" && request["status"] as? Int == 200)
        #expect((request["request_id"] as? String)?.isEmpty == false && (request["ms"] as? Double ?? 0) > 0)
        #expect((request["prompt_tokens"] as? Int ?? 0) > 0 && (request["completion_tokens"] as? Int ?? 0) > 0)
        #expect(!"\(request)".contains("xylophone") && (answer.isEmpty || !"\(request)".contains(answer)))
        #expect(server.stop() == 0)
        #expect(try fields("drained")["level"] as? String == "info")
    }
}
