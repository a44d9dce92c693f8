import Foundation
import Testing

/// Fields that change which tokens come, and log probabilities, as transformers computes them with its own processors.
@Suite struct DecodingTests {
    private struct Item {
        var body: [String: Any]
        var text: String
        var tokens: Int
        var logprobs: [Double]
        var likeliest: [[Double]]
    }

    private func items() throws -> [Item] {
        let file = Workspace.fixtures.appending(path: "demo_decoding/expected.json")
        let record = try JSONSerialization.jsonObject(with: Data(contentsOf: file)) as? [String: Any]
        let samples = Workspace.repository.appending(path: "Artifacts/Demo/samples")
        return try (record?["items"] as? [[String: Any]] ?? []).map { item in
            let images = try (item["images"] as? [String] ?? []).map { try Data(contentsOf: samples.appending(path: $0)) }
            let content = Server.content(
                item["question"] as? String ?? "", images, questionFirst: item["question_first"] as? Bool ?? false)
            var body = item["fields"] as? [String: Any] ?? [:]
            body.merge(
                [
                    "model": "model", "temperature": 0, "max_tokens": 40, "logprobs": true, "top_logprobs": 5,
                    "messages": [["role": "user", "content": content]],
                ], uniquingKeysWith: { $1 })
            return Item(
                body: body, text: item["text"] as? String ?? "", tokens: (item["tokens"] as? [Int] ?? []).count,
                logprobs: item["logprobs"] as? [Double] ?? [], likeliest: item["likeliest"] as? [[Double]] ?? [])
        }
    }

    @Test func tokensAndLogProbabilitiesAreThoseOfTransformers() async throws {
        let space = try Workspace()
        let server = try Server(space.compile(Workspace.demoModel, "--precision", "exact"))
        let items = try items()
        #expect(items.count == 16)
        for item in items {
            let answer = try await server.chat(JSONSerialization.data(withJSONObject: item.body))
            let json = try JSONSerialization.jsonObject(with: answer) as? [String: Any]
            let choice = (json?["choices"] as? [[String: Any]])?.first
            #expect((choice?["message"] as? [String: Any])?["content"] as? String == item.text)
            let content = (choice?["logprobs"] as? [String: Any])?["content"] as? [[String: Any]] ?? []
            #expect(content.count == item.tokens)
            for (index, entry) in content.enumerated() where index < item.tokens {
                #expect(abs((entry["logprob"] as? Double ?? 1) - item.logprobs[index]) < 1e-3)
                let top = (entry["top_logprobs"] as? [[String: Any]] ?? []).map { $0["logprob"] as? Double ?? 1 }
                #expect(top.count == 5 && zip(top, item.likeliest[index]).allSatisfy { abs($0 - $1) < 1e-3 })
            }
        }
        #expect(server.stop() == 0)
    }

    /// Where the rules of vLLM and those of transformers come to the same: `make_beam_records.py`.
    @Test func searchesFindTheTextsOfTransformers() async throws {
        let space = try Workspace()
        let server = try Server(space.compile(Workspace.demoModel, "--precision", "exact"), "--max-num-seqs", "8", "--block-size", "16")
        let file = Workspace.fixtures.appending(path: "demo_beams/expected.json")
        let items = try (JSONSerialization.jsonObject(with: Data(contentsOf: file)) as? [String: Any])?["items"] as? [[String: Any]] ?? []
        #expect(items.count == 15)
        let samples = Workspace.repository.appending(path: "Artifacts/Demo/samples")
        for item in items {
            let images = try (item["images"] as? [String] ?? []).map { try Data(contentsOf: samples.appending(path: $0)) }
            let content = Server.content(item["question"] as? String ?? "", images, questionFirst: item["question_first"] as? Bool ?? false)
            let fields = item["fields"] as? [String: Any] ?? [:], width = fields["best_of"] as? Int ?? 0
            var body = fields
            body.merge(
                ["model": "model", "use_beam_search": true, "n": width, "logprobs": true, "messages": [["role": "user", "content": content]]],
                uniquingKeysWith: { $1 })
            let answer = try await server.chat(JSONSerialization.data(withJSONObject: body))
            let choices = (try JSONSerialization.jsonObject(with: answer) as? [String: Any])?["choices"] as? [[String: Any]] ?? []
            let texts = choices.map { ($0["message"] as? [String: Any])?["content"] as? String ?? "none" }
            #expect(texts == item["texts"] as? [String], "\(fields) \(item["question"] ?? ""): \(String(decoding: answer, as: UTF8.self).prefix(300))")
            let tokens = choices.map { ($0["logprobs"] as? [String: Any])?["content"] as? [[String: Any]] ?? [] }
            #expect(tokens.map(\.count) == (item["tokens"] as? [[Int]] ?? []).map(\.count))
            let sums = tokens.map { $0.reduce(0) { $0 + ($1["logprob"] as? Double ?? 1) } }
            #expect(zip(sums, item["logprobs"] as? [Double] ?? []).allSatisfy { abs($0 - $1) < 2e-3 }, "\(sums)")
        }
        #expect(server.stop() == 0)
    }

    /// Prompts of one and of two images, in batches of as many rows as have logits, and cached whole the second time.
    @Test func promptsHaveTheLogProbabilitiesOfTransformers() async throws {
        let space = try Workspace()
        let server = try Server(space.compile(Workspace.demoModel, "--precision", "exact"))
        let file = Workspace.fixtures.appending(path: "demo_decoding/expected.json")
        let record = try JSONSerialization.jsonObject(with: Data(contentsOf: file)) as? [String: Any]
        let prompts = record?["prompts"] as? [[String: Any]] ?? []
        #expect(prompts.count == 2)
        let samples = Workspace.repository.appending(path: "Artifacts/Demo/samples")
        for prompt in prompts + prompts {
            let images = try (prompt["images"] as? [String] ?? []).map { try Data(contentsOf: samples.appending(path: $0)) }
            let content = Server.content(prompt["question"] as? String ?? "", images, questionFirst: prompt["question_first"] as? Bool ?? false)
            let body: [String: Any] = [
                "model": "model", "temperature": 0, "max_tokens": 1, "prompt_logprobs": 5, "messages": [["role": "user", "content": content]],
            ]
            let answer = try await server.chat(JSONSerialization.data(withJSONObject: body))
            let json = try JSONSerialization.jsonObject(with: answer) as? [String: Any]
            let told = (json?["prompt_logprobs"] as? [Any] ?? []).dropFirst().map { $0 as? [String: [String: Any]] ?? [:] }
            let tokens = prompt["tokens"] as? [Int] ?? [], ranks = prompt["ranks"] as? [Int] ?? [], near = prompt["near"] as? [Int] ?? []
            let logprobs = prompt["logprobs"] as? [Double] ?? [], likeliest = prompt["likeliest"] as? [[Double]] ?? []
            #expect(told.count == tokens.count && tokens.count > 20)
            for (place, entries) in told.enumerated() where place < tokens.count {
                let own = entries["\(tokens[place])"]
                #expect(abs((own?["logprob"] as? Double ?? 1) - logprobs[place]) < 1e-3, "token \(place)")
                #expect(abs((own?["rank"] as? Int ?? 0) - ranks[place]) < near[place], "token \(place)")
                let top = entries.values.compactMap { $0["logprob"] as? Double }.sorted(by: >)
                #expect(top.count >= 5 && zip(top, likeliest[place]).allSatisfy { abs($0 - $1) < 1e-3 }, "token \(place)")
            }
        }
        #expect(server.stop() == 0)
    }

    /// What requests leave out comes from another file, or from nowhere.
    @Test func defaultsComeFromWhereTheServerIsTold() async throws {
        let space = try Workspace()
        let artifact = try space.compile(Workspace.demoModel)
        let folder = URL(fileURLWithPath: space.path("defaults"))
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        let question = Data(#"{"model": "model", "messages": [{"role": "user", "content": "Hello!"}], "ignore_eos": true}"#.utf8)
        func tokens(_ server: Server) async throws -> Int? {
            let json = try await JSONSerialization.jsonObject(with: server.chat(question)) as? [String: Any]
            return (json?["usage"] as? [String: Any])?["completion_tokens"] as? Int
        }
        try Data(#"{"max_new_tokens": 7, "do_sample": false}"#.utf8).write(to: folder.appending(path: "generation_config.json"))
        let server = try Server(artifact, "--generation-config", folder.path)
        #expect(try await tokens(server) == 7)
        #expect(server.stop() == 0)
        try Data(#"{"top_k": "all"}"#.utf8).write(to: folder.appending(path: "generation_config.json"))
        let refused = try Command("vlm-serve", [artifact, "--generation-config", folder.path]).run()
        #expect(refused.status == 1 && refused.errors.contains("top_k must be a whole number"), "\(refused.errors)")
    }

    /// Over the model's own tokens, whatever it would rather say.
    @Test func guidedAnswersAreWhatTheyMustBe() async throws {
        let space = try Workspace()
        let server = try Server(space.compile(Workspace.demoModel))
        func answer(_ fields: String) async throws -> (text: String, reason: String) {
            let body = #"{"model": "model", "messages": [{"role": "user", "content": "Hello!"}], "temperature": 1.5, "max_tokens": 120, \#(fields)}"#
            let json = try await JSONSerialization.jsonObject(with: server.chat(Data(body.utf8))) as? [String: Any]
            let choice = (json?["choices"] as? [[String: Any]])?.first
            return ((choice?["message"] as? [String: Any])?["content"] as? String ?? "", choice?["finish_reason"] as? String ?? "")
        }
        let schema = #"{"type": "object", "properties": {"name": {"type": "string", "maxLength": 8}, "count": {"type": "integer", "minimum": 1, "maximum": 250}}, "required": ["name", "count"]}"#
        for seed in 0..<6 {
            let (text, reason) = try await answer(#""seed": \#(seed), "response_format": {"type": "json_schema", "json_schema": {"name": "x", "schema": \#(schema)}}"#)
            let object = try JSONSerialization.jsonObject(with: Data(text.utf8)) as? [String: Any]
            #expect(reason == "stop" && object?.count == 2 && (object?["name"] as? String)?.unicodeScalars.count ?? 9 <= 8, "\(text)")
            #expect(1...250 ~= object?["count"] as? Int ?? 0, "\(text)")
        }
        let (date, _) = try await answer(#""guided_regex": "[12][0-9]{3}-(0[1-9]|1[0-2])""#)
        #expect(date.wholeMatch(of: /[12][0-9]{3}-(0[1-9]|1[0-2])/) != nil, "\(date)")
        let (choice, _) = try await answer(#""guided_choice": ["Größe", "大きさ"]"#)
        #expect(["Größe", "大きさ"].contains(choice))
        #expect(server.stop() == 0)
    }
}
