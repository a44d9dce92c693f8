import Foundation
import Testing

/// `vlm-serve run-batch` with the demo model: files of requests, crashes and what follows them.
@Suite struct BatchFileTests {
    private let space: Workspace
    private let artifact: String

    init() throws {
        space = try Workspace()
        artifact = try space.compile(Workspace.demoModel)
    }

    private func request(_ id: String, _ question: String, maxTokens: Int = 24) throws -> String {
        let image = try Data(contentsOf: Workspace.repository.appending(path: "Artifacts/Demo/samples/shapes-two.jpg"))
        let body: [String: Any] = [
            "model": "model", "temperature": 0, "max_tokens": maxTokens, "ignore_eos": true,
            "messages": [["role": "user", "content": Server.content(question, [image], questionFirst: false)]],
        ]
        let line: [String: Any] = ["custom_id": id, "method": "POST", "url": "/v1/chat/completions", "body": body]
        return String(decoding: try JSONSerialization.data(withJSONObject: line), as: UTF8.self)
    }

    private func path(_ name: String) -> String { space.path(name) }

    private func run(_ input: String, _ output: String, _ flags: String...) throws -> Command.Outcome {
        try Command("vlm-serve", ["run-batch", "-i", path(input), "-o", path(output), artifact, "--max-num-seqs", "2"] + flags).run()
    }

    private func results(_ name: String) throws -> [[String: Any]] {
        try String(contentsOfFile: path(name), encoding: .utf8).split(separator: "\n").compactMap {
            try JSONSerialization.jsonObject(with: Data($0.utf8)) as? [String: Any]
        }
    }

    /// What each request was answered, by its name.
    private func texts(_ name: String) throws -> [String: String] {
        let pairs = try results(name).map { result -> (String, String) in
            let response = result["response"] as? [String: Any]
            let choice = ((response?["body"] as? [String: Any])?["choices"] as? [[String: Any]])?.first
            let text = (choice?["message"] as? [String: Any])?["content"] as? String ?? choice?["text"] as? String
            return (result["custom_id"] as? String ?? "?", text ?? "no answer")
        }
        #expect(Set(pairs.map(\.0)).count == pairs.count, "a request has several results")
        return Dictionary(pairs, uniquingKeysWith: { first, _ in first })
    }

    @Test func linesAreAnsweredAsByTheServer() async throws {
        let lines = [
            try request("picture", "What do you see?"),
            #"{"custom_id": "text", "method": "POST", "url": "/v1/completions", "body": {"model": "model", "prompt": "A large", "max_tokens": 8, "temperature": 0, "ignore_eos": true}}"#,
            "", "no JSON", #"{"custom_id": "far", "method": "GET", "url": "/v1/models", "body": {}}"#,
            #"{"custom_id": "wrong", "method": "POST", "url": "/v1/completions", "body": {"model": "model", "prompt": "a", "top_p": 7}}"#,
            #"{"custom_id": "text", "url": "/v1/completions", "body": {"model": "model", "prompt": "again"}}"#,
            #"{"custom_id": "stream", "url": "/v1/completions", "body": {"model": "model", "prompt": "a", "stream": true}}"#,
            #"{"custom_id": "response", "url": "/v1/responses", "body": {"model": "model", "input": "A large", "max_output_tokens": 8}}"#,
        ]
        try (lines.joined(separator: "\n") + "\n").write(toFile: path("in.jsonl"), atomically: true, encoding: .utf8)
        let outcome = try run("in.jsonl", "out.jsonl")
        #expect(outcome.status == 0 && outcome.output == "" && outcome.errors.contains("8 requests: 3 answered, 5 with errors"), "\(outcome.errors)")
        let found = try results("out.jsonl")
        #expect(found.count == 8)
        func result(_ line: Int) -> [String: Any]? { found.first { $0["id"] as? String == "batch_req_\(line)" } }
        func message(_ line: Int) -> String { (result(line)?["error"] as? [String: Any])?["message"] as? String ?? "none" }
        for (line, word) in [(4, "no JSON"), (5, "method must be POST"), (6, "top_p"), (7, "same custom_id"), (8, "stream must be false")] {
            #expect(message(line).contains(word), "\(message(line))")
        }
        #expect(result(4)?["custom_id"] is NSNull && result(4)?["response"] is NSNull && result(1)?["error"] is NSNull)
        #expect(((result(9)?["response"] as? [String: Any])?["body"] as? [String: Any])?["object"] as? String == "response")
        #expect((result(6)?["response"] as? [String: Any])?["status_code"] as? Int == 400)

        let server = try Server(artifact, "--max-num-seqs", "2")
        let body = try JSONSerialization.jsonObject(with: Data(lines[0].utf8)) as? [String: Any]
        let answer = try await server.chat(try JSONSerialization.data(withJSONObject: body?["body"] ?? [:]))
        let choice = ((try JSONSerialization.jsonObject(with: answer) as? [String: Any])?["choices"] as? [[String: Any]])?.first
        let response = (result(1)?["response"] as? [String: Any])?["body"] as? [String: Any]
        let own = (response?["choices"] as? [[String: Any]])?.first
        #expect((own?["message"] as? [String: Any])?["content"] as? String == (choice?["message"] as? [String: Any])?["content"] as? String)
        #expect(server.stop() == 0)

        // Nothing is left to do, and nothing is written twice.
        let before = try Data(contentsOf: URL(fileURLWithPath: path("out.jsonl")))
        let again = try run("in.jsonl", "out.jsonl")
        #expect(again.status == 0 && again.errors.contains("8 had results before"), "\(again.errors)")
        #expect(try Data(contentsOf: URL(fileURLWithPath: path("out.jsonl"))) == before)
    }

    /// The process is killed in the middle, a line is torn, and the same command ends with the results of a run that nobody disturbed.
    @Test func aCrashLosesNothing() throws {
        let lines = try (0..<24).map { try request("r\($0)", "What is in picture \($0)?", maxTokens: 40) }
        try (lines.joined(separator: "\n") + "\n").write(toFile: path("in.jsonl"), atomically: true, encoding: .utf8)
        #expect(try run("in.jsonl", "whole.jsonl").status == 0)
        let expected = try texts("whole.jsonl")
        #expect(expected.count == 24 && Set(expected.values).count > 1 && !expected.values.contains("no answer"))

        let running = try Command("vlm-serve", ["run-batch", "-i", path("in.jsonl"), "-o", path("out.jsonl"), artifact, "--max-num-seqs", "2"]).start()
        while (try? results("out.jsonl").count) ?? 0 < 5, running.process.isRunning { Thread.sleep(forTimeInterval: 0.005) }
        kill(running.process.processIdentifier, SIGKILL)
        running.process.waitUntilExit()
        let survived = try texts("out.jsonl")
        #expect((5..<24).contains(survived.count), "\(survived.count) results before the crash")
        let torn = try FileHandle(forWritingTo: URL(fileURLWithPath: path("out.jsonl")))
        try torn.seekToEnd()
        try torn.write(contentsOf: Data(#"{"id":"batch_req_20","custom_id":"r19","resp"#.utf8))
        try torn.close()

        let outcome = try run("in.jsonl", "out.jsonl")
        #expect(outcome.status == 0 && outcome.errors.contains("\(survived.count) had results before"), "\(outcome.errors)")
        #expect(try texts("out.jsonl") == expected)
    }

    @Test func filesOfOthersAreLeftAlone() throws {
        try "{}\n".write(toFile: path("in.jsonl"), atomically: true, encoding: .utf8)
        for text in ["my notes\n", "my notes"] {
            try text.write(toFile: path("notes.txt"), atomically: true, encoding: .utf8)
            let outcome = try run("in.jsonl", "notes.txt")
            #expect(outcome.status == 1 && outcome.errors.contains("is no result of a batch"), "\(outcome.errors)")
            #expect(try String(contentsOfFile: path("notes.txt"), encoding: .utf8) == text)
        }
        let nothing = try Command("vlm-serve", ["run-batch", "-i", "/dev/null", "-o", path("out.jsonl"), artifact]).run()
        #expect(nothing.status == 0 && nothing.errors.hasSuffix("no requests: the input holds none\n"), "\(nothing.errors)")
        let one = try run("in.jsonl", "one.jsonl")
        #expect(one.status == 0 && one.errors.hasSuffix("1 request: 0 answered, 1 with errors\n"), "\(one.errors)")
        let none = try run("none.jsonl", "out.jsonl")
        #expect(none.status == 1 && none.errors.contains("none.jsonl: No such file"), "\(none.errors)")
        let usage = try Command("vlm-serve", ["run-batch", artifact]).run()
        #expect(usage.status == 64 && usage.errors.contains("--input-file"), "\(usage.errors)")
        #expect(try Command("vlm-serve", ["run-batch", "--help"]).run().output.contains("USAGE: vlm-serve run-batch"))
    }
}
