import Foundation
import Testing

/// `vlmc doctor`: whole texts, on a machine whose rates are given; `VLM_BLESS=1` writes them again.
@Suite struct DoctorTests {
    private static let machine = #"{"processor": "a processor", "features": [], "rates": {"read GB/s": 10, "f32 GFLOP/s": 50, "f32 linear GFLOP/s": 40}}"#

    /// What is said of a directory, its place written as `DIR`.
    private func doctor(_ directory: String, in space: Workspace, _ flags: String...) throws -> Command.Outcome {
        let machine = space.path("machine.json")
        try Data(Self.machine.utf8).write(to: URL(filePath: machine))
        let arguments = ["doctor", directory, "--machine", machine, "--target", "cpu", "--threads", "2"] + flags
        var outcome = try Command("vlmc", arguments, environment: ["VLM_STORE": space.store]).run()
        #expect(outcome.errors.isEmpty, "\(outcome.errors)")
        #expect(!FileManager.default.fileExists(atPath: space.store))
        outcome.output = outcome.output.replacing(directory, with: "DIR")
        return outcome
    }

    private func expect(_ outcome: Command.Outcome, _ name: String, status: Int32) throws {
        #expect(outcome.status == status)
        let file = Workspace.fixtures.appending(path: "doctor/\(name).txt")
        if ProcessInfo.processInfo.environment["VLM_BLESS"] == "1" {
            try FileManager.default.createDirectory(at: file.deletingLastPathComponent(), withIntermediateDirectories: true)
            try Data(outcome.output.utf8).write(to: file)
        }
        let expected = try String(contentsOf: file, encoding: .utf8)
        #expect(outcome.output == expected, "VLM_BLESS=1 writes \(name).txt again")
    }

    private func edit(_ file: String, _ change: (inout [String: Any]) -> Void) throws {
        let url = URL(filePath: file)
        var members = try #require(JSONSerialization.jsonObject(with: Data(contentsOf: url)) as? [String: Any])
        change(&members)
        try JSONSerialization.data(withJSONObject: members, options: .sortedKeys).write(to: url)
    }

    @Test func aSoundModel() throws {
        let space = try Workspace()
        try expect(doctor(Workspace.demoModel, in: space), "sound", status: 0)
        let json = try doctor(Workspace.demoModel, in: space, "--json", "--decode-gears", "1,3", "--max-model-len", "2048")
        try expect(json, "sound.json", status: 0)
    }

    @Test func aQuantizedModel() throws {
        let space = try Workspace()
        try expect(doctor(Workspace.fixtures.appending(path: "qwen2_vl_awq").path, in: space), "quantized", status: 0)
    }

    /// What vlmc compile says is among what is said here.
    @Test func everyFaultAtOnce() throws {
        let space = try Workspace()
        let model = try space.copyOfDemo()
        let pointer = "version https://git-lfs.github.com/spec/v1\noid sha256:4d7a21\nsize 17301504\n"
        try Data(pointer.utf8).write(to: URL(filePath: model + "/tokenizer.json"))
        let processor = model + "/preprocessor_config.json"
        try Data(contentsOf: URL(filePath: processor)).prefix(100).write(to: URL(filePath: processor))
        for name in ["chat_template.json", "chat_template.jinja"] { try FileManager.default.removeItem(atPath: "\(model)/\(name)") }
        try edit(model + "/config.json") { config in
            config["quantization_config"] = ["quant_method": "bitsandbytes", "load_in_4bit": true]
            config["architectures"] = ["Qwen3VLMoeForConditionalGeneration"]
        }
        let weights = URL(filePath: model + "/model.safetensors")
        try Data(contentsOf: weights).prefix(1_000_000).write(to: weights)
        let outcome = try doctor(model, in: space)
        // The list of known architectures grows.
        let known = /the known ones are: [A-Za-z0-9_, ]+/
        try expect(Command.Outcome(status: outcome.status, output: outcome.output.replacing(known, with: "the known ones are: …"), errors: ""), "faults", status: 1)
        let refused = try space.vlmc("compile", model)
        #expect(refused.status == 1 && refused.errors.contains("is a Git LFS pointer"), "\(refused.errors)")
    }

    /// Pipes, sockets and directories in place of files keep nobody waiting, and nothing else from being told.
    @Test func filesOfOtherKinds() throws {
        let space = try Workspace()
        let model = try space.copyOfDemo()
        for name in ["generation_config.json", "tokenizer_config.json", "chat_template.jinja"] { try FileManager.default.removeItem(atPath: "\(model)/\(name)") }
        #expect(mkfifo(model + "/generation_config.json", 0o600) == 0)
        #expect(mkfifo(model + "/chat_template.jinja", 0o600) == 0)
        try FileManager.default.createDirectory(atPath: model + "/tokenizer_config.json", withIntermediateDirectories: true)
        try FileManager.default.createDirectory(atPath: model + "/chat_templates", withIntermediateDirectories: true)
        #expect(mkfifo(model + "/chat_templates/default.jinja", 0o600) == 0)
        try expect(doctor(model, in: space), "other-kinds", status: 1)
        try FileManager.default.removeItem(atPath: model + "/config.json")
        try FileManager.default.createDirectory(atPath: model + "/config.json", withIntermediateDirectories: true)
        #expect(mkfifo(model + "/spare.safetensors", 0o600) == 0)
        try expect(doctor(model, in: space), "no-config-file", status: 1)
    }

    /// A folder of HuggingFace's cache in which a shard and a small file are links to blobs that have not come yet.
    @Test func halfADownload() throws {
        let space = try Workspace()
        let files = FileManager.default
        let folder = space.path("models--acme--tiny-vlm")
        for name in ["blobs", "refs", "snapshots/0a1b"] {
            try files.createDirectory(atPath: "\(folder)/\(name)", withIntermediateDirectories: true)
        }
        try Data("0a1b".utf8).write(to: URL(filePath: folder + "/refs/main"))
        for name in try files.contentsOfDirectory(atPath: Workspace.demoModel) where name != "tokenizer_config.json" {
            let shard = name == "model.safetensors" ? "model-00001-of-00002.safetensors" : name
            try files.copyItem(atPath: "\(Workspace.demoModel)/\(name)", toPath: "\(folder)/blobs/of-\(name)")
            try files.createSymbolicLink(atPath: "\(folder)/snapshots/0a1b/\(shard)", withDestinationPath: "../../blobs/of-\(name)")
        }
        let index = #"{"weight_map": {"model.norm.weight": "model-00001-of-00002.safetensors", "lost": "model-00002-of-00002.safetensors"}}"#
        try Data(index.utf8).write(to: URL(filePath: folder + "/snapshots/0a1b/model.safetensors.index.json"))
        for (name, blob) in [("model-00002-of-00002.safetensors", "4d7a21"), ("tokenizer_config.json", "99ab")] {
            try files.createSymbolicLink(atPath: "\(folder)/snapshots/0a1b/\(name)", withDestinationPath: "../../blobs/\(blob)")
        }
        try Data("part".utf8).write(to: URL(filePath: folder + "/blobs/4d7a21.incomplete"))
        try expect(doctor(folder, in: space), "half-a-download", status: 1)

        // A shard that nothing needs is no fault.
        try Data("{}".utf8).write(to: URL(filePath: folder + "/blobs/99ab"))
        let needless = try doctor(folder, in: space)
        #expect(needless.status == 0 && needless.output.contains("warning: "), "\(needless.output)")
    }

    @Test func shardsThatAreNeededAreNamed() throws {
        let space = try Workspace()
        let model = try space.copyOfDemo()
        try FileManager.default.moveItem(atPath: model + "/model.safetensors", toPath: model + "/one.safetensors")
        try Data(#"{"weight_map": {"visual.merger.ln_q.weight": "one.safetensors", "a": "two.safetensors", "b": "three.safetensors"}}"#.utf8)
            .write(to: URL(filePath: model + "/model.safetensors.index.json"))
        try edit(model + "/config.json") { config in
            var text = config["text_config"] as? [String: Any] ?? [:]
            text["num_hidden_layers"] = 7
            text["layer_types"] = nil
            config["text_config"] = text
        }
        try expect(doctor(model, in: space), "missing-shards", status: 1)
    }

    @Test(arguments: ["truncated", "empty", "nowhere", "a-file"]) func noModelAtAll(_ kind: String) throws {
        let space = try Workspace()
        let model = space.path("model")
        switch kind {
        case "truncated":
            try FileManager.default.createDirectory(atPath: model, withIntermediateDirectories: true)
            try Data(#"{"architectures": ["Qwen2VL"#.utf8).write(to: URL(filePath: model + "/config.json"))
        case "empty": try FileManager.default.createDirectory(atPath: model, withIntermediateDirectories: true)
        case "a-file": try Data("text".utf8).write(to: URL(filePath: model))
        default: break
        }
        try expect(doctor(model, in: space), kind, status: 1)
    }

    /// Eight gigabytes that are not on the disk are told from their header.
    @Test func weightsAreNotRead() throws {
        let space = try Workspace()
        let model = try space.copyOfDemo()
        let file = URL(filePath: model + "/model.safetensors")
        let data = try Data(contentsOf: file)
        let length = data.prefix(8).reversed().reduce(0) { $0 << 8 | Int($1) }
        var header = try #require(JSONSerialization.jsonObject(with: data[8..<8 + length]) as? [String: Any])
        let vocabulary = 1 << 24
        let name = try #require(header.keys.first { $0.hasSuffix("embed_tokens.weight") })
        header[name] = ["dtype": "BF16", "shape": [vocabulary, 256], "data_offsets": [0, vocabulary * 512]] as [String: Any]
        var end = vocabulary * 512
        for key in header.keys.sorted() where key != name && key != "__metadata__" {
            var entry = try #require(header[key] as? [String: Any])
            let offsets = try #require(entry["data_offsets"] as? [Int])
            entry["data_offsets"] = [end, end + offsets[1] - offsets[0]]
            end += offsets[1] - offsets[0]
            header[key] = entry
        }
        let text = try JSONSerialization.data(withJSONObject: header)
        try (withUnsafeBytes(of: UInt64(text.count).littleEndian) { Data($0) } + text).write(to: file)
        let handle = try FileHandle(forWritingTo: file)
        try handle.truncate(atOffset: UInt64(8 + text.count + end))
        try handle.close()
        try edit(model + "/config.json") { config in
            var section = config["text_config"] as? [String: Any] ?? [:]
            section["vocab_size"] = vocabulary
            config["text_config"] = section
        }
        let start = ContinuousClock.now
        let outcome = try doctor(model, in: space)
        #expect(outcome.status == 0 && outcome.output.contains("8.61 GB in 1 file"), "\(outcome.output)")
        #expect(ContinuousClock.now - start < .seconds(20))
    }
}
