import Glibc

/// A directory under construction: locked by its owner, so that others can tell it from one a dead process left.
final class TemporaryDirectory {
    let path: String
    private let handle: OpenFile
    /// Nil once the directory is no longer this object's.
    private var unfinished: Unfinished?

    /// Creates `parent/prefix<random>` after removing those whose owners are gone.
    init(in parent: String, prefix: String) throws(ArtifactError) {
        Self.removeStale(in: parent, prefix: prefix)
        (path, handle, unfinished) = try Unfinished.creating { () throws(ArtifactError) in try Self.create(in: parent, prefix: prefix) }
    }

    private static func create(in parent: String, prefix: String) throws(ArtifactError) -> (String, OpenFile, Unfinished) {
        // Others may remove an empty parent or a directory that is not locked yet; then it is tried again.
        for _ in 0..<8 {
            try Directories.create(parent)
            let path = "\(parent)/\(prefix)\(String(UInt64.random(in: .min ... .max), radix: 36))"
            guard mkdir(path, 0o755) == 0 else {
                if errno == EEXIST || errno == ENOENT { continue }
                throw .errno("create", path)
            }
            guard let handle = try OpenFile.reading(path), handle.tryLock(), handle.isStill(at: path) else { continue }
            return (path, handle, Unfinished { removeWhileWritten(path) })
        }
        throw .system(operation: "create a directory", path: parent, reason: "it does not stay there")
    }

    deinit { discard() }

    /// The opened directory.
    var directory: OpenFile { handle }

    /// Moves the directory to its final place; afterwards it is no longer temporary.
    func publish(as destination: String) throws(ArtifactError) {
        try handle.sync()
        try unfinished?.settle { () throws(ArtifactError) in try Directories.replace(destination, with: path) }
        unfinished = nil
        handle.unlock()
        if let parent = Directories.parent(of: destination) { try Directories.sync(parent) }
    }

    /// Removes the directory with all that is in it.
    func discard() {
        unfinished?.settle { try? Directories.remove(path) }
        unfinished = nil
    }

    /// Removes a directory in which another thread may still make files.
    private static func removeWhileWritten(_ path: String) {
        for _ in 0..<8 where Directories.exists(path) { try? Directories.remove(path) }
    }

    /// Removes directories of this kind that nobody holds.
    static func removeStale(in parent: String, prefix: String) {
        for name in Directories.names(in: parent) where name.hasPrefix(prefix) {
            let path = "\(parent)/\(name)"
            guard let handle = try? OpenFile.directory(path), handle.tryLock() else { continue }
            try? Directories.remove(path)
        }
    }
}
