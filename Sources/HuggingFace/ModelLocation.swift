import Foundation

/// Where a model's files are, and the name by which people know it.
///
/// A folder of HuggingFace's cache, `models--OWNER--NAME`, stands for the snapshot that its `refs/main` names, or for the only one. A
/// snapshot there is called `OWNER/NAME`; any other directory by its last component.
package struct ModelLocation: Sendable, Hashable {
    package let path: String
    package let name: String

    /// Throws `.missing` for a folder of the cache from which no snapshot can be chosen. Other directories need not exist.
    package init(_ given: String) throws(CheckpointError) {
        if let folder = Self.repository(given) {
            path = try Self.snapshot(of: folder)
        } else {
            path = Self.withoutTrailingSlashes(given)
        }
        let parts = URL(fileURLWithPath: path).standardizedFileURL.pathComponents
        let isSnapshot = parts.count >= 3 && parts[parts.count - 2] == "snapshots"
        name = (isSnapshot ? Self.repositoryName(parts[parts.count - 3]) : nil) ?? parts.last ?? given
    }

    /// Most bytes of a file that is not mapped: JSON, templates and tokenizers.
    private static let textBytesMax = 256 << 20

    /// What is wrong with the files that a model directory is read from, before any is opened, in the order of their names.
    var unusableFiles: [CheckpointError] {
        let names = ((try? FileManager.default.contentsOfDirectory(atPath: path)) ?? []).sorted()
        return names.compactMap { name in
            let isText = [".json", ".jinja", ".model", ".tiktoken"].contains { name.hasSuffix($0) }
            guard isText || name.hasSuffix(".safetensors") else { return nil }
            return Self.fault(of: "\(path)/\(name)", bytesMax: isText ? Self.textBytesMax : .max)
        }
    }

    /// Why a file is not to be read: of a pipe one would wait for ever, and a device or a sparse file would not end. Nil where nothing is.
    static func fault(of file: String, bytesMax: Int = textBytesMax) -> CheckpointError? {
        var status = stat()
        guard stat(file, &status) == 0 else { return nil }
        guard status.st_mode & S_IFMT == S_IFREG else { return irregular(file, status.st_mode) }
        guard status.st_size <= bytesMax else { return CheckpointError(.malformed, file: file, "has \(status.st_size) bytes; at most \(bytesMax) are read") }
        return nil
    }

    static func irregular(_ file: String, _ mode: mode_t) -> CheckpointError {
        let kinds = [S_IFDIR: "a directory", S_IFIFO: "a pipe", S_IFSOCK: "a socket"]
        return CheckpointError(.malformed, file: file, "is not a regular file, but \(kinds[mode & S_IFMT] ?? "a device")")
    }

    private static let prefix = "models--"

    /// `OWNER/NAME`, or `NAME` of a repository without an owner; nil for a folder that is none of the cache.
    private static func repositoryName(_ folder: String) -> String? {
        guard folder.hasPrefix(prefix), folder.count > prefix.count else { return nil }
        return String(folder.dropFirst(prefix.count)).replacing("--", with: "/")
    }

    /// The folder of the cache when that, or the folder of its snapshots, is given and not a model's own.
    private static func repository(_ given: String) -> String? {
        let path = withoutTrailingSlashes(given)
        let parts = URL(fileURLWithPath: path).standardizedFileURL.pathComponents
        let files = FileManager.default
        guard let last = parts.last, !files.fileExists(atPath: path + "/config.json") else { return nil }
        if repositoryName(last) != nil { return files.fileExists(atPath: path + "/snapshots") ? path : nil }
        guard last == "snapshots", parts.count >= 2, repositoryName(parts[parts.count - 2]) != nil else { return nil }
        return URL(fileURLWithPath: path).standardizedFileURL.deletingLastPathComponent().path
    }

    private static func snapshot(of folder: String) throws(CheckpointError) -> String {
        let snapshots = folder + "/snapshots"
        let names = ((try? FileManager.default.contentsOfDirectory(atPath: snapshots)) ?? []).filter { !$0.hasPrefix(".") }.sorted()
        guard !names.isEmpty else {
            throw CheckpointError(.missing, file: snapshots, "holds no snapshot; download the model again")
        }
        guard let main = try mainReference(folder) else {
            if names.count == 1 { return "\(snapshots)/\(names[0])" }
            throw CheckpointError(
                .missing, file: folder, "has no refs/main to choose by; give one of its snapshots: \(names.joined(separator: ", "))")
        }
        guard names.contains(main) else {
            throw CheckpointError(
                .missing, file: folder + "/refs/main",
                "names the snapshot \(main), which is not there; download the model again, or give one of: "
                    + names.joined(separator: ", "))
        }
        return "\(snapshots)/\(main)"
    }

    /// The snapshot that `refs/main` names; nil where there is no such file.
    private static func mainReference(_ folder: String) throws(CheckpointError) -> String? {
        let path = folder + "/refs/main"
        guard FileManager.default.fileExists(atPath: path) else { return nil }
        let file = try MappedFile(path: path)
        guard file.byteCount <= 256 else { throw CheckpointError(.malformed, file: path, "is too large for the name of a snapshot") }
        return String(decoding: file.bytes, as: UTF8.self).trimmingCharacters(in: .whitespacesAndNewlines)
    }

    private static func withoutTrailingSlashes(_ path: String) -> String {
        var rest = path[...]
        while rest.count > 1, rest.last == "/" { rest.removeLast() }
        return String(rest)
    }
}
