import Foundation
import HuggingFace
import Tensors
import Testing

@Suite struct CheckpointTests {
    @Test func readsShards() throws {
        let directory = try TemporaryDirectory()
        try directory.write("one.safetensors", vectors: ["b": [1], "c": [2, 3]])
        try directory.write("two.safetensors", vectors: ["a": [4]])
        try directory.write(
            "model.safetensors.index.json", #"{"weight_map":{"a":"two.safetensors","b":"one.safetensors","c":"one.safetensors"}}"#)
        let checkpoint = try Checkpoint(directory: directory.path)
        #expect(checkpoint.tensors.map(\.name) == ["a", "b", "c"])
        #expect(checkpoint.types["c"] == TensorType(.f32, [2]))
        #expect(checkpoint["a"]?.withBytes { $0.loadUnaligned(as: Float.self) } == 4)
        #expect(checkpoint.byteCount == 16)
    }

    /// What nobody needs may be missing; a model that needs it says so.
    @Test func entriesOfTheIndexMayLeadNowhere() throws {
        let directory = try TemporaryDirectory()
        try directory.write("one.safetensors", vectors: ["a": [1], "b": [2]])
        try directory.write(
            "model.safetensors.index.json",
            #"{"weight_map":{"a":"one.safetensors","b":"gone.safetensors","y":"gone.safetensors","z":"one.safetensors"}}"#)
        let checkpoint = try Checkpoint(directory: directory.path)
        #expect(checkpoint.tensors.map(\.name) == ["a", "b"])
        #expect(checkpoint.absent == ["y": "gone.safetensors", "z": "one.safetensors"])
        #expect(checkpoint.dropping("b", ifEqualTo: "a").absent.count == 2)
    }

    @Test(arguments: ["git-lfs.github.com", "hawser.github.com"]) func pointersOfGitLFSAreNamed(host: String) throws {
        let directory = try TemporaryDirectory()
        let pointer = "version https://\(host)/spec/v1\noid sha256:4d7a\nsize 17301504\n"
        try directory.write("model.safetensors", pointer)
        let error = checkpointError { _ = try Checkpoint(directory: directory.path) }
        #expect(error?.file == directory.path + "/model.safetensors")
        #expect(error?.message == "is a Git LFS pointer, not the file; run git lfs pull in the model's repository")
        try directory.write("config.json", pointer)
        #expect(checkpointError { _ = try ModelDirectory(directory.path).config() }?.message.contains("git lfs pull") == true)
    }

    /// A copy is one of type, shape and bytes.
    @Test func dropsCopies() throws {
        let directory = try TemporaryDirectory()
        try directory.write("model.safetensors", vectors: ["a": [1, 2], "b": [1, 2], "c": [1, 3], "d": [1], "e": [], "f": []])
        let checkpoint = try Checkpoint(directory: directory.path)
        let dropped = checkpoint.dropping("b", ifEqualTo: "a")
        #expect(dropped.tensors.map(\.name) == ["a", "c", "d", "e", "f"])
        #expect(dropped["b"] == nil && dropped["c"]?.name == "c")
        #expect(dropped.byteCount == checkpoint.byteCount)
        #expect(try dropped.digests().checkpoint != checkpoint.digests().checkpoint)
        #expect(checkpoint.dropping("e", ifEqualTo: "f").tensors.count == 5)
        for (copy, original) in [("c", "a"), ("d", "a"), ("a", "a"), ("a", "z"), ("z", "a")] {
            #expect(checkpoint.dropping(copy, ifEqualTo: original).tensors.count == 6)
        }
    }

    @Test(arguments: [
        (#"{"weight_map":{"a":"gone.safetensors"}}"#, "missing"),
        (#"{"weight_map":{"a":"../one.safetensors"}}"#, "own directory"),
        (#"{"weight_map":{"a":"/etc/passwd"}}"#, "own directory"),
        (#"{"weight_map":{"a":"pytorch_model.bin"}}"#, "own directory"),
        (#"{"weight_map":{"a":3}}"#, "an integer"),
        (#"{"weight_map":{}}"#, "weight_map"),
        (#"{"weight_map":["a"]}"#, "weight_map"),
        (#"{"weight_map":{"a":"one.safetensors","b":"two.safetensors"}}"#, "also in"),
        ("{", "JSON"),
    ])
    func refusesIndex(index: String, message: String) throws {
        let directory = try TemporaryDirectory()
        try directory.write("one.safetensors", vectors: ["a": [1]])
        try directory.write("two.safetensors", vectors: ["a": [1], "b": [2]])
        try directory.write("model.safetensors.index.json", index)
        let error = checkpointError { _ = try Checkpoint(directory: directory.path) }
        #expect("\(error, default: "no error")".contains(message))
    }

    @Test func refusesDirectoriesWithoutSafetensors() throws {
        func message(_ names: [String]) throws -> String {
            let directory = try TemporaryDirectory()
            for name in names { try directory.write(name, "x") }
            return "\(checkpointError { _ = try Checkpoint(directory: directory.path) }, default: "no error")"
        }
        #expect(try message([]).contains("empty"))
        #expect(try message(["config.json"]).contains("no weights"))
        #expect(try message(["pytorch_model.bin"]).contains("pickle"))
        #expect(try message(["consolidated.00.pth"]).contains("pickle"))
        #expect(try message(["model.gguf"]).contains("GGUF"))
        #expect(try message(["manifest.json", "golden.bin"]).contains("is an artifact"))
        #expect(try message(["model-00001-of-00002.safetensors"]).contains("index.json"))
        #expect(checkpointError { _ = try Checkpoint(directory: "/nowhere/at/all") }?.reason == .missing)
    }

    @Test func digestsDependOnWeightsNotOnShards() throws {
        let one = try TemporaryDirectory()
        try one.write("model.safetensors", vectors: ["a": [1, 2], "b": [3]])
        let two = try TemporaryDirectory()
        try two.write("x.safetensors", vectors: ["a": [1, 2]])
        try two.write("y.safetensors", vectors: ["b": [3]])
        try two.write("model.safetensors.index.json", #"{"weight_map":{"a":"x.safetensors","b":"y.safetensors"}}"#)
        let digests = try Checkpoint(directory: one.path).digests()
        let sharded = try Checkpoint(directory: two.path).digests()
        #expect(digests.checkpoint == sharded.checkpoint)
        // SHA-256 of the bytes 00 00 40 40, the float 3.
        #expect(digests.tensors["b"] == "ea2845900b5856c9bf354b1aa9761b5aa6888e5ed61738fe9579ca42bc0f6054")
        try two.write("y.safetensors", vectors: ["b": [4]])
        let changed = try Checkpoint(directory: two.path).digests()
        #expect(changed.checkpoint != digests.checkpoint)
        #expect(changed.tensors["a"] == digests.tensors["a"])
    }

    @Test(arguments: [(DType.bf16, [0x80, 0x7F], "infinite"), (.bf16, [0xC0, 0xFF], "NaN"), (.f16, [0x01, 0x7C], "NaN"), (.f32, [0, 0, 0xC0, 0x7F], "NaN"), (.f64, [0, 0, 0, 0, 0, 0, 0xF0, 0xFF], "infinite")])
    func refusesWeightsThatAreNotFinite(dtype: DType, element: [UInt8], kind: String) throws {
        let directory = try TemporaryDirectory()
        var writer = SafetensorsWriter()
        let count = 10_001
        var bytes = Array(repeating: UInt8(0x11), count: count * element.count)
        bytes.replaceSubrange(9_000 * element.count..<9_001 * element.count, with: element)
        writer.add("fine", dtype, shape: [1], bytes: Array(repeating: 0x7B, count: element.count))
        writer.add("layer.weight", dtype, shape: [count], bytes: bytes)
        try writer.write(to: directory.path + "/model.safetensors")
        let error = checkpointError { _ = try Checkpoint(directory: directory.path).digests() }
        #expect(error?.reason == .notFinite)
        #expect(error?.tensor == "layer.weight")
        #expect(error?.message.contains("element 9000 is \(kind)") == true)
    }
}

@Suite struct DigestCacheTests {
    @Test func remembersUntilTheFileChanges() throws {
        let directory = try TemporaryDirectory()
        let cache = directory.digestCache()
        try directory.write("model.safetensors", vectors: ["a": [1, 2]])
        let first = try Checkpoint(directory: directory.path, cache: cache).digests()
        #expect(first.readByteCount == 8)
        let second = try Checkpoint(directory: directory.path, cache: cache).digests()
        #expect(second.readByteCount == 0)
        #expect(second.tensors == first.tensors)
        try directory.write("model.safetensors", vectors: ["a": [1, 3]])
        let third = try Checkpoint(directory: directory.path, cache: cache).digests()
        #expect(third.readByteCount == 8)
        #expect(third.checkpoint != first.checkpoint)
    }

    /// What is remembered is wrong on purpose: it shows that no weight is read.
    @Test func comparesTensorsByWhatItRemembers() throws {
        let directory = try TemporaryDirectory()
        let cache = directory.digestCache()
        func left(_ cache: DigestCache?) throws -> [String] {
            try Checkpoint(directory: directory.path, cache: cache).dropping("b", ifEqualTo: "a").tensors.map(\.name)
        }
        try directory.write("model.safetensors", vectors: ["a": [1, 2], "b": [1, 3]])
        #expect(try left(cache) == ["a", "b"])
        cache.remember(["a": "same", "b": "same"], of: try SafetensorsFile(path: directory.path + "/model.safetensors"))
        #expect(try left(cache) == ["a"])
        #expect(try left(nil) == ["a", "b"])
    }

    /// As `tar` leaves files that were packed for reproducible builds.
    @Test func noticesAChangeWhoseTimeWasPutBack() throws {
        let directory = try TemporaryDirectory()
        let cache = directory.digestCache()
        try directory.write("model.safetensors", vectors: ["a": [1, 2]])
        let checkpoint = try Checkpoint(directory: directory.path, cache: cache)
        let first = try checkpoint.digests()
        try checkpoint.requireUnchanged()
        directory.flipLastByteUnseen("model.safetensors")
        #expect(checkpointError { try checkpoint.requireUnchanged() }?.reason == .inconsistent)
        let changed = try Checkpoint(directory: directory.path, cache: cache).digests()
        #expect(changed.checkpoint != first.checkpoint)
    }

    @Test func ignoresDamagedEntries() throws {
        let directory = try TemporaryDirectory()
        let cache = directory.digestCache()
        try directory.write("model.safetensors", vectors: ["a": [1, 2]])
        let truth = try Checkpoint(directory: directory.path, cache: cache).digests()
        let names = try FileManager.default.contentsOfDirectory(atPath: directory.path)
        let entry = URL(fileURLWithPath: directory.path + "/" + (try #require(names.first { $0.hasSuffix(".json") })))
        let bytes = Array(try Data(contentsOf: entry))
        for index in stride(from: 0, to: bytes.count, by: 3) {
            for damaged in [Array(bytes[..<index]), bytes.enumerated().map { $0 == index ? $1 ^ 1 : $1 }] {
                try Data(damaged).write(to: entry)
                #expect(try Checkpoint(directory: directory.path, cache: cache).digests().checkpoint == truth.checkpoint)
            }
        }
    }

    @Test func worksWithoutAStore() throws {
        let directory = try TemporaryDirectory()
        try directory.write("model.safetensors", vectors: ["a": [1, 2]])
        let cache = DigestCache(read: { _ in nil }, write: { _, _ in throw POSIXError(.EACCES) })
        #expect(try Checkpoint(directory: directory.path, cache: cache).digests().readByteCount == 8)
    }
}
