import Foundation
import Testing

/// A busy server gives every request of every family what it gets alone: at all gears, in pieces, preempted, streamed, and from the
/// prefix cache where there is one.
@Suite struct FamilyServingTests {
    /// Layouts and generations of files that hold the same model: they differ in nothing that a server does.
    private static let twins = ["_hubstyle", "_v452", "_new", "_tied", "_sharded", "_reppen", "_base", "_ct_", "_gptq_", "_fp8_", "_gemv"]

    /// Models that keep a state of each sequence, which nobody else can go on with.
    private static let stateful: Set<String> = ["lfm2_vl", "minicpmv4_6", "qwen3_5"]

    /// One directory of each model that can chat.
    static let directories = FamilyParityTests.directories.filter { directory in
        let name = directory.lastPathComponent
        // Families with images have a template of their own where the directory has none.
        return !twins.contains { name.contains($0) }
            && ["chat_template.jinja", "image.png"].contains { FileManager.default.fileExists(atPath: directory.appending(path: $0).path) }
    }

    /// Tokens of each answer: more than two blocks.
    private static let length = 40

    @Test(arguments: directories) func everyRequestGetsWhatItGetsAlone(_ directory: URL) async throws {
        let space = try Workspace()
        let artifact = try space.compile(directory.path, "--precision", "exact")
        let requests = try Self.conversations(directory).map { messages in
            ["model": "m", "temperature": 0, "max_tokens": Self.length, "ignore_eos": true, "messages": messages] as [String: Any]
        }
        // Small blocks, so that short sequences share some and outgrow others.
        let common = ["--served-model-name", "m", "--block-size", "16"]
        let quiet = try Server(artifact, common + ["--max-num-seqs", "1", "--no-enable-prefix-caching"])
        var alone: [Answer] = []
        for request in requests { alone.append(try Answer(await quiet.chat(JSONSerialization.data(withJSONObject: request)))) }
        #expect(quiet.stop() == 0)
        #expect(alone.allSatisfy { $0.tokens == Self.length }, "\(directory.lastPathComponent): \(alone)")

        // Hardly more room than the longest needs: the others wait, or are preempted as they grow.
        let longest = alone.map { $0.promptTokens + Self.length + 15 }.max() ?? 0
        let bytes = try (longest / 16 + 2) * Self.bytesPerBlock(space, artifact)
        let narrow = common + ["--max-num-batched-tokens", "128", "--kv-cache-bytes", "\(bytes)"]
        var busy = try Server(artifact, narrow)
        // Where an image takes many times what a text does, the room for two of them is room for all texts.
        let mayPreempt = longest <= 1024
        var preemptions = 0.0
        // On a busy machine requests may come one after the other, and are asked again.
        for round in 0..<8 where round < 2 || (mayPreempt && preemptions == 0) {
            if round == 2 {
                // Prompts that are read in small parts may leave no two answers growing at once.
                #expect(busy.stop() == 0)
                busy = try Server(artifact, narrow + ["--no-paced-prompts"])
            }
            let answers = try await withThrowingTaskGroup(of: (Int, Answer).self) { group in
                for (index, request) in requests.enumerated() {
                    var request = request
                    if index % 2 == round % 2 {
                        request["stream"] = true
                        request["stream_options"] = ["include_usage": true]
                    }
                    let body = try JSONSerialization.data(withJSONObject: request)
                    group.addTask { [busy] in (index, try Answer(await busy.chat(body))) }
                }
                return try await group.reduce(into: [:]) { $0[$1.0] = $1.1 }
            }
            for (index, answer) in alone.enumerated() {
                #expect(answers[index] == answer, "\(directory.lastPathComponent), request \(index), round \(round)")
            }
            preemptions = try await busy.metric("vllm:num_preemptions_total")
        }
        #expect(preemptions > 0 || !mayPreempt, "\(directory.lastPathComponent) was not preempted")
        let hits = try await busy.metric("vllm:prefix_cache_hits_total")
        #expect((hits > 0) != Self.stateful.contains(directory.lastPathComponent), "\(directory.lastPathComponent): \(hits) hits in the prefix cache")
        #expect(busy.stop() == 0)
    }

    /// What a client gets, whole or in pieces.
    struct Answer: Equatable {
        var text = ""
        var promptTokens = 0
        var tokens = 0

        init(_ data: Data) throws {
            let whole = String(decoding: data, as: UTF8.self)
            let lines = whole.hasPrefix("data: ") ? whole.split(separator: "\n").map { $0.dropFirst("data: ".count) } : [whole[...]]
            for line in lines where line != "[DONE]" {
                let value = try JSONSerialization.jsonObject(with: Data(line.utf8)) as? [String: Any] ?? [:]
                if value["error"] != nil { text += whole }
                let choice = (value["choices"] as? [[String: Any]])?.first
                let message = (choice?["message"] ?? choice?["delta"]) as? [String: Any]
                text += message?["content"] as? String ?? ""
                if let usage = value["usage"] as? [String: Any] {
                    promptTokens = usage["prompt_tokens"] as? Int ?? 0
                    tokens = usage["completion_tokens"] as? Int ?? 0
                }
            }
        }
    }

    /// Texts of several lengths; with images where the model sees them: one, two, before and after the text, in a second turn.
    private static func conversations(_ directory: URL) throws -> [[[String: Any]]] {
        func user(_ text: String, _ images: [Data] = [], first: Bool = false) -> [String: Any] {
            ["role": "user", "content": images.isEmpty ? text : Server.content(text, images, questionFirst: first)]
        }
        let words = "one two three four five six seven eight nine ten eleven twelve"
        var all = [[user("Hello")], [user(words)], [user(words + " and " + words)], [user(words + ", then 13")], [user("Tell me more.")]]
        all.append([user("Hi"), ["role": "assistant", "content": "Yes?"], user(words)])
        let sees = FileManager.default.fileExists(atPath: directory.appending(path: "image.png").path)
        guard sees else { return all }
        let images = FamilyParityTests.folders[0].appending(path: "_images")
        let (tall, wide, small) = try (
            Data(contentsOf: images.appending(path: "77x333.png")), Data(contentsOf: images.appending(path: "320x240.png")),
            Data(contentsOf: images.appending(path: "37x53.png"))
        )
        all.append([user("What is this?", [tall])])
        all.append([user("What is that?", [wide], first: true)])
        all.append([user("Which is larger?", [small, wide])])
        all.append([user("Which is larger?", [small, wide])])
        all.append([user("One?", [small]), ["role": "assistant", "content": "A dog."], user("And this one?", [tall])])
        return all
    }

    private static func bytesPerBlock(_ space: Workspace, _ artifact: String) throws -> Int {
        let shown = try JSONSerialization.jsonObject(with: Data(space.cache("show", artifact, "--json").output.utf8)) as? [String: Any]
        let sizes = (shown?["cache"] as? [String: Any])?["bytesPerBlock"] as? [String: Int]
        return try #require(sizes?["16"])
    }
}
