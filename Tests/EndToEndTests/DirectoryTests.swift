import Foundation
import Testing

/// What real model directories hold, in a copy of the demo model.
@Suite struct DirectoryTests {
    /// Rewrites a JSON file of a directory; a file that is not there is an empty object.
    private func edit(_ file: String, _ change: (inout [String: Any]) -> Void) throws {
        let url = URL(filePath: file)
        var members: [String: Any] = [:]
        if let data = try? Data(contentsOf: url) { members = try #require(JSONSerialization.jsonObject(with: data) as? [String: Any]) }
        change(&members)
        try JSONSerialization.data(withJSONObject: members).write(to: url)
    }

    /// Takes the tokens of images out of tokenizer.json and gives them to `body`.
    private func takeVisionTokens(_ model: String, _ body: ([[String: Any]]) throws -> Void) throws {
        var taken: [[String: Any]] = []
        try edit(model + "/tokenizer.json") { members in
            let tokens = members["added_tokens"] as? [[String: Any]] ?? []
            let isText = { (token: [String: Any]) in (token["id"] as? Int).map { $0 < 764 } ?? true }
            members["added_tokens"] = tokens.filter(isText)
            taken = tokens.filter { !isText($0) }
        }
        try body(taken)
    }

    private static let imageIDs = "[764, 766, 765]\n"

    @Test func tokensOfImagesMayBeDeclaredBesideTheTokenizer() throws {
        let space = try Workspace()
        let model = try space.copyOfDemo()
        try takeVisionTokens(model) { tokens in
            try edit(model + "/tokenizer_config.json") { members in
                members["added_tokens_decoder"] = Dictionary(uniqueKeysWithValues: tokens.map { ("\($0["id"] ?? 0)", $0) })
            }
        }
        let text = "<|vision_start|><|image_pad|><|vision_end|>\n"
        let artifact = try space.compile(model)
        #expect(try space.vlmc("tokenize", artifact, input: text).output == Self.imageIDs)

        try FileManager.default.removeItem(atPath: model + "/tokenizer_config.json")
        let refused = try space.vlmc("compile", model)
        #expect(refused.status == 1 && refused.errors.contains("<|image_pad|>"), "\(refused.errors)")
        #expect(refused.errors.contains("tokenizer_config.json (not there), added_tokens.json (not there)"))

        try Data(#"{"<|vision_start|>": 764, "<|vision_end|>": 765, "<|image_pad|>": 766}"#.utf8)
            .write(to: URL(filePath: model + "/added_tokens.json"))
        #expect(try space.vlmc("tokenize", space.compile(model), input: text).output == Self.imageIDs)
    }

    /// The first of the files that hold a template counts, as for transformers' processors.
    @Test func templatesAreLookedForInOrder() throws {
        let space = try Workspace()
        let model = try space.copyOfDemo()
        let context = space.path("context.json")
        try Data("{}".utf8).write(to: URL(filePath: context))
        try edit(model + "/processor_config.json") { $0["chat_template"] = "processor" }
        try edit(model + "/chat_template.json") { $0["chat_template"] = "legacy" }
        try Data("raw".utf8).write(to: URL(filePath: model + "/chat_template.jinja"))
        try FileManager.default.createDirectory(atPath: model + "/chat_templates", withIntermediateDirectories: true)
        try Data("folder".utf8).write(to: URL(filePath: model + "/chat_templates/default.jinja"))
        try edit(model + "/tokenizer_config.json") { $0["chat_template"] = [["name": "default", "template": "tokenizer"]] }
        for (file, words) in [
            ("processor_config.json", "processor"), ("chat_template.json", "legacy"), ("chat_template.jinja", "raw"),
            ("chat_templates/default.jinja", "folder"), ("tokenizer_config.json", "tokenizer"),
        ] {
            #expect(try space.vlmc("render", model, "--context", context).output == words)
            try FileManager.default.removeItem(atPath: "\(model)/\(file)")
        }
        #expect(try space.vlmc("render", model, "--context", context).errors.contains("has no chat template"))
    }

    @Test func aModelWithoutATemplateIsServedWithAWarning() async throws {
        let space = try Workspace()
        let model = try space.copyOfDemo()
        for name in ["chat_template.json", "chat_template.jinja"] { try FileManager.default.removeItem(atPath: "\(model)/\(name)") }
        let outcome = try space.vlmc("compile", model)
        #expect(outcome.status == 0 && outcome.errors.contains("warning: \(model) has no chat template"), "\(outcome.errors)")
        try await refusesChats(outcome.output, "the model has no chat template")
    }

    @Test func aBrokenTemplateIsAWarningWithItsPlace() async throws {
        let space = try Workspace()
        let model = try space.copyOfDemo()
        try FileManager.default.removeItem(atPath: model + "/chat_template.json")
        try Data("{% for m in messages %}\n{{ m.role }\n{% endfor %}".utf8).write(to: URL(filePath: model + "/chat_template.jinja"))
        let outcome = try space.vlmc("compile", model)
        #expect(outcome.status == 0)
        #expect(outcome.errors.contains("warning: \(model)/chat_template.jinja: chat template, line 2, column 11: "), "\(outcome.errors)")
        try await refusesChats(outcome.output, "the model's template for chats does not parse")
    }

    /// The server says at its start what it says to each client.
    private func refusesChats(_ compiled: String, _ words: String) async throws {
        let server = try Server(compiled.trimmingCharacters(in: .newlines))
        #expect(server.line(with: "warning: \(words)") != nil)
        let answer = try await server.ask("Hello?", [], questionFirst: true)
        #expect(answer.contains(words) && answer.contains("invalid_request_error"), "\(answer)")
        #expect(server.stop() == 0)
    }

    /// Keys that nobody reads, and values that mean "all".
    @Test func whatTransformersReadsIsRead() throws {
        let space = try Workspace()
        let model = try space.copyOfDemo()
        let config = model + "/config.json"
        let text = try String(contentsOfFile: config, encoding: .utf8)
        try text.replacing("\"text_config\": {", with: "\"text_config\": {\"some_limit\": Infinity, \"other\": [NaN, -Infinity],")
            .write(toFile: config, atomically: true, encoding: .utf8)
        try edit(model + "/generation_config.json") { $0["top_k"] = -1 }
        let weights = model + "/model.safetensors"
        let shard = "model-00001-of-00002.safetensors"
        let names = try headerNames(weights)
        try FileManager.default.moveItem(atPath: weights, toPath: "\(model)/\(shard)")
        var map = Dictionary(uniqueKeysWithValues: names.map { ($0, shard) })
        map["lm_head.weight"] = "model-00002-of-00002.safetensors"
        try edit(model + "/model.safetensors.index.json") { $0["weight_map"] = map }
        #expect(try space.vlmc("compile", model).status == 0)

        // The shard without the tensor that the index names.
        let header = #"{"other":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}"#
        let length = withUnsafeBytes(of: UInt64(header.utf8.count).littleEndian) { Array($0) }
        try Data(length + Array(header.utf8) + [0, 0, 0, 0]).write(to: URL(filePath: "\(model)/model-00002-of-00002.safetensors"))
        let outcome = try space.vlmc("compile", model)
        #expect(outcome.status == 1 && outcome.errors.contains("does not use: other"), "\(outcome.errors)")
    }

    @Test func aShardThatIsNeededIsAskedFor() throws {
        let space = try Workspace()
        let model = try space.copyOfDemo()
        let names = try headerNames(model + "/model.safetensors")
        try FileManager.default.moveItem(atPath: model + "/model.safetensors", toPath: model + "/one.safetensors")
        var map = Dictionary(uniqueKeysWithValues: names.map { ($0, "one.safetensors") })
        map["lm_head.weight"] = "two.safetensors"
        try edit(model + "/model.safetensors.index.json") { $0["weight_map"] = map }
        try edit(model + "/config.json") { config in
            config["tie_word_embeddings"] = false
            var text = config["text_config"] as? [String: Any] ?? [:]
            text["tie_word_embeddings"] = false
            config["text_config"] = text
        }
        let outcome = try space.vlmc("compile", model)
        #expect(outcome.status == 1 && outcome.errors.contains("\"lm_head.weight\": is missing"), "\(outcome.errors)")
        #expect(outcome.errors.contains("in two.safetensors: download that file again"))
        #expect(!FileManager.default.fileExists(atPath: space.store))
    }

    /// The names of the tensors of a safetensors file.
    private func headerNames(_ file: String) throws -> [String] {
        let data = try Data(contentsOf: URL(filePath: file))
        let length = data.prefix(8).reversed().reduce(0) { $0 << 8 | Int($1) }
        let header = try JSONSerialization.jsonObject(with: data[8..<8 + length]) as? [String: Any]
        return try #require(header).keys.filter { $0 != "__metadata__" }
    }

    @Test(arguments: [
        "model.safetensors", "config.json", "generation_config.json", "tokenizer.json", "tokenizer_config.json", "preprocessor_config.json",
        "chat_template.jinja", "chat_template.json",
    ])
    func pointersOfGitLFSAreNamed(_ name: String) throws {
        let space = try Workspace()
        let model = try space.copyOfDemo()
        try Data("version https://git-lfs.github.com/spec/v1\noid sha256:4d7a21\nsize 17301504\n".utf8)
            .write(to: URL(filePath: "\(model)/\(name)"))
        let outcome = try space.vlmc("compile", model)
        #expect(outcome.status == 1)
        #expect(outcome.errors.contains("\(model)/\(name): is a Git LFS pointer, not the file; run git lfs pull"), "\(outcome.errors)")
        #expect(!FileManager.default.fileExists(atPath: space.store))
    }

    /// Blobs, links to them by snapshot, and `refs/main`, as `huggingface_hub` downloads.
    @Test func theCacheOfHuggingFaceIsServedByOwnerAndName() async throws {
        let space = try Workspace()
        let files = FileManager.default
        let folder = space.path("models--acme--tiny-vlm")
        for name in ["blobs", "refs", "snapshots/0a1b"] {
            try files.createDirectory(atPath: "\(folder)/\(name)", withIntermediateDirectories: true)
        }
        for name in try files.contentsOfDirectory(atPath: Workspace.demoModel) {
            try files.copyItem(atPath: "\(Workspace.demoModel)/\(name)", toPath: "\(folder)/blobs/of-\(name)")
            try files.createSymbolicLink(atPath: "\(folder)/snapshots/0a1b/\(name)", withDestinationPath: "../../blobs/of-\(name)")
        }
        try Data("0a1b".utf8).write(to: URL(filePath: folder + "/refs/main"))
        let artifact = try space.compile(folder)
        #expect(try space.compile(folder + "/snapshots/0a1b/") == artifact)
        #expect(try space.cache("ls").output.contains("acme/tiny-vlm"))
        #expect(try space.cache("show", "acme/tiny-vlm").status == 0)
        let server = try Server(artifact)
        for name in ["acme/tiny-vlm", "acme/tiny-vlm/", "/models/acme/tiny-vlm"] {
            #expect(try await server.ask("Hi", [], questionFirst: true, model: name).contains("model_not_found") == false, "\(name)")
        }
        #expect(try await server.ask("Hi", [], questionFirst: true, model: "tiny-vlm").contains("model_not_found"))
        #expect(server.stop() == 0)
    }

    /// A name is not part of what is cached: the same artifact goes by the new one.
    @Test func aRenamedDirectoryIsServedUnderItsNewName() async throws {
        let space = try Workspace()
        let model = try space.copyOfDemo()
        let artifact = try space.compile(model)
        let renamed = space.path("renamed")
        try FileManager.default.moveItem(atPath: model, toPath: renamed)
        let outcome = try space.vlmc("compile", renamed)
        #expect(outcome.output == artifact + "\n" && outcome.errors.contains("cache hit"), "\(outcome.errors)")
        let server = try Server(artifact)
        #expect(try await server.ask("Hi", [], questionFirst: true, model: "renamed").contains("model_not_found") == false)
        #expect(server.stop() == 0)
        #expect(try space.cache("ls").output.contains("renamed"))
        #expect(try space.cache("verify", artifact).status == 0)
    }
}
