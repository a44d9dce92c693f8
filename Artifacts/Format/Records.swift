import Glibc

/// What tells one state of a file from another without reading it.
package struct FileStamp: Sendable, Hashable {
    package let device: UInt64
    package let inode: UInt64
    package let bytes: Int
    /// Nanoseconds since 1970 of the last change of contents.
    package let modified: Int
    /// Nanoseconds since 1970 of the last change of anything.
    package let changed: Int

    /// The present state of the file at `path`; take it before reading the file.
    package init(path: String) throws(ArtifactError) {
        var status = stat()
        guard stat(path, &status) == 0 else { throw .errno("inspect", path) }
        device = UInt64(status.st_dev)
        inode = UInt64(status.st_ino)
        bytes = Int(status.st_size)
        modified = Int(status.st_mtim.tv_sec) * 1_000_000_000 + Int(status.st_mtim.tv_nsec)
        changed = Int(status.st_ctim.tv_sec) * 1_000_000_000 + Int(status.st_ctim.tv_nsec)
    }

    /// The name of records about this state of the file.
    package var recordName: String { "\(device)-\(inode)-\(bytes)-\(modified)-\(changed)" }
}

extension Store {
    /// Kinds of small facts that the store remembers.
    package enum RecordKind: String, Sendable, CaseIterable {
        /// Digests of a checkpoint file, by its stamp.
        case digests
        /// Measured rates of a machine.
        case machines
    }

    /// A remembered fact; nil when there is none. The caller judges whether it still makes sense.
    package func record(_ kind: RecordKind, _ name: String) -> [UInt8]? {
        try? OpenFile.reading(recordPath(kind, name))?.readAll()
    }

    /// Remembers a fact; a reader sees either the old or the new one whole.
    package func setRecord(_ kind: RecordKind, _ name: String, _ bytes: [UInt8]) throws(ArtifactError) {
        let path = recordPath(kind, name)
        try Directories.create("\(recordsPath)/\(kind.rawValue)")
        let temporary = "\(path).\(getpid()).tmp"
        do throws(ArtifactError) {
            let file = try OpenFile.create(temporary)
            try file.write(bytes)
            try file.sync()
            guard rename(temporary, path) == 0 else { throw .errno("create", path) }
        } catch {
            unlink(temporary)
            throw error
        }
    }

    private func recordPath(_ kind: RecordKind, _ name: String) -> String {
        let safe = name.utf8.allSatisfy { $0 > 32 && $0 < 127 && $0 != UInt8(ascii: "/") } && name.utf8.count < 128
        return "\(recordsPath)/\(kind.rawValue)/\(safe ? name : Digest.of(Array(name.utf8)))"
    }
}
