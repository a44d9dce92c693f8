import Foundation

/// What `huggingface_hub` leaves of a download that did not end.
package enum UnfinishedDownload {
    /// The parts of files that are still to come, by their paths: in the cache beside the blobs, in other directories under `.cache`.
    package static func parts(of directory: String) -> [String] {
        let folders = ["\(directory)/.cache/huggingface/download", "\(directory)/../../blobs"]
        return folders.flatMap { folder -> [String] in
            let names = (try? FileManager.default.contentsOfDirectory(atPath: folder)) ?? []
            let path = URL(fileURLWithPath: folder).standardizedFileURL.path
            return names.filter { $0.hasSuffix(".incomplete") }.sorted().map { "\(path)/\($0)" }
        }
    }
}

/// Whether a link is there that leads nowhere.
func isDangling(_ path: String) -> Bool {
    let files = FileManager.default
    return !files.fileExists(atPath: path) && (try? files.destinationOfSymbolicLink(atPath: path)) != nil
}

/// What is said about such a link.
func danglingLink(_ path: String) -> CheckpointError {
    CheckpointError(.missing, file: path, "is a link to a file that is not there; download the model again")
}

extension Checkpoint {
    /// The shards that the index names and that are not there, with what is said about each.
    package var missingShards: [CheckpointError] {
        Set(absent.values).sorted().compactMap { shard in
            let path = "\(directory)/\(shard)"
            guard !FileManager.default.fileExists(atPath: path) else { return nil }
            if isDangling(path) { return danglingLink(path) }
            let count = absent.values.count { $0 == shard }
            let tensors = count == 1 ? "1 tensor" : "\(count) tensors"
            return CheckpointError(
                .missing, file: path, "this shard, to which model.safetensors.index.json gives \(tensors), is missing; download it")
        }
    }
}
