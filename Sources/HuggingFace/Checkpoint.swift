import Foundation
internal import JSON
package import Tensors

/// The weights of a HuggingFace model directory: one safetensors file, or shards named by an index.
///
/// Nothing is read but the headers until a tensor's bytes are touched.
package struct Checkpoint: Sendable {
    package let directory: String
    /// The files, in the order of their names.
    package let files: [SafetensorsFile]
    /// The tensors, sorted by name.
    package let tensors: [TensorView]
    /// Shards by tensors that the index says are in them and that are in none, which matters only where such a tensor is needed.
    package let absent: [String: String]
    private let indices: [String: Int]
    /// What is remembered of the files; nil where nothing is.
    let cache: DigestCache?

    /// The tensor of that name; nil when there is none.
    package subscript(name: String) -> TensorView? { indices[name].map { tensors[$0] } }

    /// Element type and shape of every tensor, by name.
    package var types: [String: TensorType] { Dictionary(uniqueKeysWithValues: tensors.map { ($0.name, $0.type) }) }

    /// Bytes of all tensors in the files.
    package var byteCount: Int { files.reduce(0) { $0 + $1.tensors.reduce(0) { $0 + $1.byteCount } } }

    /// Opens `model.safetensors`, else what `model.safetensors.index.json` names, in that directory (the order of transformers).
    ///
    /// Digests come from `cache` where it knows them, and go there.
    package init(directory: String, cache: DigestCache? = nil) throws(CheckpointError) {
        let (checkpoint, faults) = Self.examined(directory: directory, cache: cache)
        if let first = faults.first { throw first }
        guard let checkpoint else { throw CheckpointError(.missing, file: directory, "has no weights") }
        self = checkpoint
    }

    /// The tensors of those files that can be used, nil where there are none, and why the others cannot.
    package static func examined(directory: String, cache: DigestCache? = nil) -> (checkpoint: Checkpoint?, faults: [CheckpointError]) {
        var faults: [CheckpointError] = []
        var files: [SafetensorsFile] = []
        var absent: [String: String] = [:]
        do throws(CheckpointError) {
            let names = try list(directory)
            if names.contains("model.safetensors") {
                files = [try SafetensorsFile(path: directory + "/model.safetensors")]
            } else if names.contains("model.safetensors.index.json") {
                (files, absent) = try openShards(directory, &faults)
            } else {
                throw missingWeights(directory, names)
            }
            if files.flatMap(\.tensors).isEmpty, faults.isEmpty {
                throw CheckpointError(.malformed, file: directory, "holds safetensors files without a tensor")
            }
        } catch { faults.append(error) }
        let all = files.flatMap(\.tensors).sorted { $0.name.precedesExactly($1.name) }
        var owners: [String: String] = [:]
        let tensors = all.filter { tensor in
            guard let other = owners.updateValue(tensor.file.path, forKey: tensor.name) else { return true }
            faults.append(
                CheckpointError(
                    .inconsistent, file: tensor.file.path, tensor: tensor.name, "is also in \(other); a tensor may be in one shard only"))
            return false
        }
        guard !tensors.isEmpty else { return (nil, faults) }
        return (Checkpoint(directory: directory, files: files, tensors: tensors, absent: absent, cache: cache), faults)
    }

    /// The same files with these tensors, sorted by name.
    private init(
        directory: String, files: [SafetensorsFile], tensors: [TensorView], absent: [String: String], cache: DigestCache?
    ) {
        self.directory = directory
        self.files = files
        self.tensors = tensors
        self.absent = absent
        self.cache = cache
        indices = Dictionary(uniqueKeysWithValues: tensors.enumerated().map { ($1.name, $0) })
    }

    /// Whether digests of some of its files are remembered, of these or of earlier contents.
    package var wasDigestedBefore: Bool { files.contains { cache?.knows($0) ?? false } }

    /// The checkpoint without the tensor `copy` when `original` has the same type and the same bytes; else as it is.
    ///
    /// Reads both up to the first difference, unless their digests are remembered.
    package func dropping(_ copy: String, ifEqualTo original: String) -> Checkpoint {
        guard copy != original, let one = self[copy], let other = self[original], holdTheSame(one, other) else { return self }
        let rest = tensors.filter { $0.name != copy }
        return Checkpoint(directory: directory, files: files, tensors: rest, absent: absent, cache: cache)
    }

    /// The checkpoint with tensors of another one beside its own.
    ///
    /// - Parameter names: those that `other` has and this one has not.
    package func adding(_ names: [String], of other: Checkpoint) -> Checkpoint {
        let added = names.compactMap { self[$0] == nil ? other[$0] : nil }
        let places = Set(added.map(\.file.path))
        let all = (tensors + added).sorted { $0.name.precedesExactly($1.name) }
        return Checkpoint(
            directory: directory, files: files + other.files.filter { places.contains($0.path) }, tensors: all, absent: absent, cache: cache)
    }

    private func holdTheSame(_ one: TensorView, _ other: TensorView) -> Bool {
        guard one.type == other.type else { return false }
        let known = files.compactMap { cache?.digests(of: $0) }
        let digests = [one, other].compactMap { tensor in known.lazy.compactMap { $0[tensor.name] }.first }
        return digests.count == 2 ? digests[0] == digests[1] : one.holdsTheSame(as: other)
    }

    /// Throws when a file is not the one any more that was opened.
    package func requireUnchanged() throws(CheckpointError) {
        for file in files where FileIdentity(path: file.path) != file.file.identity {
            throw CheckpointError(.inconsistent, file: file.path, "changed while it was read; start again when nobody writes to it")
        }
    }

    /// The names of the entries of a directory; throws where there is none, or nothing in it.
    package static func list(_ directory: String) throws(CheckpointError) -> Set<String> {
        var isDirectory: ObjCBool = false
        guard FileManager.default.fileExists(atPath: directory, isDirectory: &isDirectory) else {
            throw CheckpointError(.missing, file: directory, "no such directory")
        }
        guard isDirectory.boolValue else {
            guard !directory.lowercased().hasSuffix(".gguf") else {
                throw CheckpointError(.unsupported, file: directory, "is a GGUF file, which is not read; give the model's HuggingFace directory, with safetensors")
            }
            throw CheckpointError(.missing, file: directory, "is a file; give the directory of a HuggingFace model")
        }
        guard let names = try? FileManager.default.contentsOfDirectory(atPath: directory) else {
            throw CheckpointError(.io, file: directory, "cannot list the directory; may you read it?")
        }
        guard !names.isEmpty else {
            throw CheckpointError(.missing, file: directory, "the directory is empty; give that of a HuggingFace model")
        }
        return Set(names)
    }

    /// What is said of a directory that `vlmc compile` has written; nil for others.
    static func artifact(_ directory: String, _ names: Set<String>) -> CheckpointError? {
        guard names.contains("manifest.json"), !names.contains("config.json") else { return nil }
        return CheckpointError(
            .unsupported, file: directory, "is an artifact, as its manifest.json says; give the directory of the model that it was compiled from")
    }

    private static func missingWeights(_ directory: String, _ names: Set<String>) -> CheckpointError {
        if let artifact = artifact(directory, names) { return artifact }
        let pickled = names.filter { name in [".bin", ".pth", ".pt", ".ckpt", ".pkl"].contains { name.hasSuffix($0) } }
        if let example = pickled.sorted().first {
            return CheckpointError(
                .unsupported, file: directory,
                "has weights only as Python pickles (\(example)), which can run any code when read and are refused; "
                    + "save the model again with save_pretrained(safe_serialization=True)")
        }
        if let gguf = names.filter({ $0.hasSuffix(".gguf") }).sorted().first {
            return CheckpointError(.unsupported, file: directory, "has weights only as GGUF (\(gguf)); give the HuggingFace safetensors instead")
        }
        if let other = names.filter({ $0.hasSuffix(".safetensors") }).sorted().first {
            return CheckpointError(
                .missing, file: directory,
                "has \(other), but neither model.safetensors nor model.safetensors.index.json, which says what belongs together")
        }
        return CheckpointError(.missing, file: directory, "has no weights: neither model.safetensors nor model.safetensors.index.json")
    }

    /// Opens the shards of an index that are there; returns them, and by the tensors that are in none of them where they should be.
    private static func openShards(
        _ directory: String, _ faults: inout [CheckpointError]
    ) throws(CheckpointError) -> (files: [SafetensorsFile], absent: [String: String]) {
        let path = directory + "/model.safetensors.index.json"
        guard let map = try JSONValue(contentsOf: path)["weight_map"]?.objectValue, !map.isEmpty else {
            throw CheckpointError(.malformed, file: path, "has no weight_map")
        }
        var namesByShard: [String: [String]] = [:]
        for (tensor, value) in map {
            guard let shard = value.stringValue else {
                throw CheckpointError(.malformed, file: path, tensor: tensor, "is mapped to \(value.kind), not to a file name")
            }
            guard !shard.contains("/"), !shard.contains("\0"), shard.hasSuffix(".safetensors"), !shard.hasPrefix(".") else {
                throw CheckpointError(
                    .malformed, file: path, tensor: tensor,
                    "is mapped to \"\(shard)\"; a shard must be a .safetensors file in the model's own directory")
            }
            namesByShard[shard, default: []].append(tensor)
        }
        var files: [SafetensorsFile] = []
        var absent: [String: String] = [:]
        for (shard, names) in namesByShard.sorted(by: { $0.key < $1.key }) {
            let shardPath = directory + "/" + shard
            var file: SafetensorsFile?
            do throws(CheckpointError) {
                if FileManager.default.fileExists(atPath: shardPath) { file = try SafetensorsFile(path: shardPath) }
            } catch { faults.append(error) }
            for name in names where file?[name] == nil { absent[name] = shard }
            if let file { files.append(file) }
        }
        guard !files.isEmpty || !faults.isEmpty else {
            let shard = namesByShard.keys.sorted().first ?? ""
            throw CheckpointError(
                .missing, file: "\(directory)/\(shard)", "this shard, named by model.safetensors.index.json, is missing; download it")
        }
        return (files, absent.filter { name, _ in !files.contains { $0[name] != nil } })
    }
}

extension JSONValue {
    /// Reads a JSON file of at most 64 MiB.
    package init(contentsOf path: String) throws(CheckpointError) {
        let file = try MappedFile(path: path)
        guard file.byteCount <= 64 << 20 else { throw CheckpointError(.malformed, file: path, "is too large for a JSON file of a model") }
        try self.init(Array(file.bytes), of: path)
        withExtendedLifetime(file) {}
    }
}
