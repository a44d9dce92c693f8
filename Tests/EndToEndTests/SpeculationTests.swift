import Foundation
import Testing

/// A server that guesses tokens ahead answers as one that does not.
@Suite struct SpeculationTests {
    private static var schema: [String: Any] {
        [
            "type": "object", "required": ["a", "b"],
            "properties": [
                "a": ["type": "array", "items": ["type": "integer"], "maxItems": 4, "minItems": 4],
                "b": ["enum": ["red red red", "blue blue blue"]],
            ],
        ]
    }

    /// Greedy and drawn, with penalties, guides, log probabilities, stops, images and several answers.
    private func bodies() throws -> [[String: Any]] {
        let fields: [[String: Any]] = [
            ["temperature": 0], ["temperature": 0.8, "seed": 1], ["temperature": 1.2, "seed": 2, "n": 2, "top_p": 0.9],
            ["temperature": 0, "repetition_penalty": 1.1, "presence_penalty": 0.2, "frequency_penalty": 0.1],
            ["temperature": 0, "logprobs": 3],
            ["temperature": 0.7, "seed": 4, "top_k": 5, "logprobs": 2], ["temperature": 0, "guided_json": Self.schema],
            ["temperature": 0.9, "seed": 5, "guided_json": Self.schema],
            ["temperature": 0, "stop": ["red", " is"]], ["temperature": 0, "min_tokens": 20, "logit_bias": ["10": 2]],
        ]
        let prompts = [
            "What do you see? A red square and a red square and a red square and a", "one two three one two three one two", "A large",
        ]
        return prompts.flatMap { prompt in
            fields.map { $0.merging(["model": "model", "prompt": prompt, "max_tokens": 48], uniquingKeysWith: { $1 }) }
        }
    }

    private func answers(_ server: Server, _ bodies: [[String: Any]], atOnce: Int) async throws -> [String] {
        var texts = Array(repeating: "", count: bodies.count)
        for first in stride(from: 0, to: bodies.count, by: atOnce) {
            try await withThrowingTaskGroup(of: (Int, String).self) { group in
                for index in first..<min(first + atOnce, bodies.count) {
                    // Objects that are guided have their keys in the order of the schema.
                    let body = try JSONSerialization.data(withJSONObject: bodies[index], options: .sortedKeys)
                    group.addTask {
                        let answer = try await JSONSerialization.jsonObject(with: server.post("/v1/completions", body)) as? [String: Any]
                        let count = (answer?["usage"] as? [String: Any])?["completion_tokens"]
                        let told = try JSONSerialization.data(
                            withJSONObject: [answer?["choices"] ?? [], count ?? []], options: .sortedKeys)
                        return (index, String(decoding: told, as: UTF8.self))
                    }
                }
                for try await (index, text) in group { texts[index] = text }
            }
        }
        return texts
    }

    @Test func answersAreThoseWithoutGuesses() async throws {
        let space = try Workspace()
        let artifact = try space.compile(Workspace.demoModel)
        let bodies = try bodies()
        let plain = try Server(artifact, "--no-enable-prefix-caching", "--block-size", "16")
        let expected = try await answers(plain, bodies, atOnce: 1)
        #expect(expected.allSatisfy { $0.contains("finish_reason") })
        #expect(plain.stop() == 0)
        for (flags, atOnce) in [
            (
                [
                    "--speculative-config",
                    #"{"method": "ngram", "num_speculative_tokens": 5, "prompt_lookup_max": 4, "prompt_lookup_min": 1}"#, "--block-size",
                    "16",
                ], 1
            ),
            // A cache that is short, and several at once.
            (
                [
                    "--speculative-model", "[ngram]", "--num-speculative-tokens", "3", "--ngram-prompt-lookup-max", "2", "--block-size",
                    "16", "--kv-cache-bytes", "1Mi", "--max-model-len", "128",
                ], 3
            ),
        ] {
            let server = try Server(artifact, flags)
            #expect(server.line(with: "speculation  up to ") != nil)
            let found = try await answers(server, bodies, atOnce: atOnce)
            for index in bodies.indices { #expect(found[index] == expected[index], "\(bodies[index])") }
            let accepted = try await server.metric("vllm:spec_decode_num_accepted_tokens_total")
            let guessed = try await server.metric("vllm:spec_decode_num_draft_tokens_total"),
                drafts = try await server.metric("vllm:spec_decode_num_drafts_total")
            #expect(drafts > 0 && guessed >= drafts && accepted > 0 && accepted <= guessed, "\(drafts), \(guessed), \(accepted)")
            #expect(server.stop() == 0)
        }
    }

    /// The demo model guesses for itself, and so does one of its shape with random weights: what comes of it is the same, and how much comes true is not.
    @Test func draftModelsChangeNoAnswer() async throws {
        let space = try Workspace()
        let artifact = try space.compile(Workspace.demoModel)
        let other = try space.copyOfDemo()
        try randomize(other + "/model.safetensors")
        let bodies = try bodies()
        let plain = try Server(artifact, "--no-enable-prefix-caching", "--block-size", "16")
        let expected = try await answers(plain, bodies, atOnce: 1)
        #expect(plain.stop() == 0)
        for (flags, atOnce, isItself) in [
            (["--speculative-model", artifact, "--num-speculative-tokens", "4", "--block-size", "16"], 1, true),
            (["-md", artifact, "--draft-max", "3", "--block-size", "16", "--kv-cache-bytes", "2Mi", "--max-model-len", "128"], 3, true),
            (["--speculative-config", #"{"model": "\#(other)", "num_speculative_tokens": 4}"#, "--store", space.store, "--block-size", "16"], 3, false),
        ] {
            let server = try Server(artifact, flags)
            #expect(server.line(with: "speculation  up to \(flags.contains("3") ? 3 : 4) tokens, guessed by model, ") != nil)
            let found = try await answers(server, bodies, atOnce: atOnce)
            for index in bodies.indices { #expect(found[index] == expected[index], "\(bodies[index])") }
            let accepted = try await server.metric("vllm:spec_decode_num_accepted_tokens_total")
            let guessed = try await server.metric("vllm:spec_decode_num_draft_tokens_total")
            #expect(guessed > 0 && (isItself ? accepted > guessed / 3 : accepted < guessed / 4), "\(accepted) of \(guessed)")
            #expect(server.stop() == 0)
        }
    }

    /// EAGLE heads of both kinds, of which two know most of what their model says and one knows nothing: both are compiled by the server, the answers are the
    /// model's own, also to pictures.
    @Test(arguments: [("chain", "chain_third", 0.4), ("chain", "chain_first", 0.4), ("qwen2_vl", "third", 0.0)])
    func headsChangeNoAnswer(name: String, head: String, share: Double) async throws {
        let space = try Workspace()
        let eagle = Workspace.fixtures.appending(path: "eagle")
        let directory = name == "chain" ? eagle.appending(path: name).path : Workspace.fixtures.appending(path: name).path
        let bodies = try bodies()
        let common = ["--store", space.store, "--block-size", "16", "--served-model-name", "model"]
        let plain = try Server(directory, common + ["--no-enable-prefix-caching"])
        let expected = try await answers(plain, bodies, atOnce: 1)
        #expect(plain.stop() == 0)
        let headDirectory = eagle.appending(path: head).path
        for (flags, atOnce) in [
            (["--speculative-model", headDirectory, "--num-speculative-tokens", "4"], 1),
            (["--speculative-config", #"{"method": "\#(head == "chain_first" ? "eagle" : "eagle3")", "model": "\#(headDirectory)", "num_speculative_tokens": 4}"#], 3),
        ] {
            let server = try Server(directory, flags + common)
            #expect(server.line(with: "speculation  up to 4 tokens, guessed by \(head), ") != nil)
            let found = try await answers(server, bodies, atOnce: atOnce)
            for index in bodies.indices { #expect(found[index] == expected[index], "\(bodies[index])") }
            let accepted = try await server.metric("vllm:spec_decode_num_accepted_tokens_total")
            let guessed = try await server.metric("vllm:spec_decode_num_draft_tokens_total")
            #expect(guessed > 0 && accepted >= share * guessed, "\(accepted) of \(guessed)")
            #expect(server.stop() == 0)
        }
        // What the compiler made of each is served as artifacts; a model that shows nothing is an error.
        let (model, own) = (try space.compile(directory, "--speculative-model", headDirectory), try space.compile(headDirectory, "--head-of", directory))
        let server = try Server(model, ["--speculative-model", own, "--num-speculative-tokens", "2"])
        #expect(server.stop() == 0)
        let other = try Command("vlm-serve", [space.compile(directory), "--speculative-model", own]).run()
        #expect(other.status == 1 && other.errors.contains("gives no hidden states that a head could read"), "\(other.errors)")
    }

    /// Replaces the weights by random ones from 1/128 to 1/64, of either sign.
    private func randomize(_ path: String) throws {
        var bytes = [UInt8](try Data(contentsOf: URL(filePath: path)))
        let header = bytes[..<8].reversed().reduce(0) { $0 << 8 | Int($1) }
        var state: UInt64 = 1
        for index in stride(from: 8 + header, to: bytes.count - 1, by: 2) {
            state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
            bytes[index] = UInt8(truncatingIfNeeded: state >> 33)
            bytes[index + 1] = state >> 63 == 0 ? 0x3C : 0xBC
        }
        try Data(bytes).write(to: URL(filePath: path))
    }

    @Test func otherDraftModelsAreErrors() throws {
        let space = try Workspace()
        let artifact = try space.compile(Workspace.demoModel)
        let other = try space.compile(Workspace.fixtures.appending(path: "qwen2_vl").path)
        let head = space.path("head"), eagle = Workspace.fixtures.appending(path: "eagle/third").path
        try FileManager.default.createDirectory(atPath: head, withIntermediateDirectories: true)
        try Data(#"{"architectures": ["MedusaModel"], "model_type": "medusa"}"#.utf8).write(to: URL(filePath: head + "/config.json"))
        for (draft, message) in [
            (other, "--speculative-model \(other): its token "), (head, "--speculative-model \(head): MedusaModel guesses from another model's hidden states"),
            (eagle, "--speculative-model \(eagle) is the directory of a head, and \(artifact) an artifact"),
            (space.path("nothing"), "nothing"),
        ] {
            let outcome = try Command("vlm-serve", [artifact, "--speculative-model", draft, "--num-speculative-tokens", "2"]).run()
            #expect(outcome.status == 1 && outcome.errors.contains(message), "\(outcome.errors)")
        }
        let many = try Command("vlm-serve", [artifact, "--speculative-model", artifact, "--num-speculative-tokens", "99"]).run()
        #expect(many.status == 1 && many.errors.contains("--num-speculative-tokens 99 is more than the artifact's greatest gear of"), "\(many.errors)")
    }
}
