import Foundation

/// A regular file mapped read-only into memory, unmapped when the last reference goes.
///
/// Bytes enter memory as they are touched and stay in the system's page cache; they are not private memory.
package final class MappedFile: Sendable {
    package let path: String
    package let identity: FileIdentity
    private nonisolated(unsafe) let base: UnsafeMutableRawPointer?

    package var byteCount: Int { identity.byteCount }

    /// The file's bytes, valid while this object lives.
    package var bytes: UnsafeRawBufferPointer { UnsafeRawBufferPointer(start: base, count: base == nil ? 0 : byteCount) }

    /// Throws `.missing` for a file that is not there, or for which Git LFS left its pointer.
    package init(path: String) throws(CheckpointError) {
        let descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK)
        guard descriptor >= 0 else {
            let missing = errno == ENOENT
            throw CheckpointError(missing ? .missing : .io, file: path, missing ? "no such file" : "cannot open: \(systemMessage())")
        }
        defer { close(descriptor) }
        var status = stat()
        guard fstat(descriptor, &status) == 0 else {
            throw CheckpointError(.io, file: path, "cannot read its size: \(systemMessage())")
        }
        guard status.st_mode & S_IFMT == S_IFREG else { throw ModelLocation.irregular(path, status.st_mode) }
        let identity = FileIdentity(status)
        var base: UnsafeMutableRawPointer?
        if identity.byteCount > 0 {
            base = mmap(nil, identity.byteCount, PROT_READ, MAP_PRIVATE, descriptor, 0)
            guard base != MAP_FAILED else { throw CheckpointError(.io, file: path, "cannot map: \(systemMessage())") }
        }
        self.path = path
        self.identity = identity
        self.base = base
        guard !LargeFilePointer.isPointer(bytes) else { throw LargeFilePointer.error(path) }
    }

    deinit {
        if let base { munmap(base, byteCount) }
    }

    /// Tells the system that these bytes will be read soon, in order.
    package func willRead(_ range: Range<Int>) { advise(range, MADV_WILLNEED) }

    /// Tells the system that these bytes need no place in memory any more.
    package func didRead(_ range: Range<Int>) { advise(range, MADV_DONTNEED) }

    private func advise(_ range: Range<Int>, _ advice: Int32) {
        let page = Int(getpagesize())
        let start = range.lowerBound / page * page
        guard let base, start < range.upperBound, range.upperBound <= byteCount else { return }
        madvise(base + start, range.upperBound - start, advice)
    }
}

/// What tells whether a file is still the one that was read: device, inode, size, and when contents and anything else last
/// changed. The last of them nobody can put back.
package struct FileIdentity: Sendable, Hashable {
    package var device: UInt64
    package var inode: UInt64
    package var byteCount: Int
    /// Nanoseconds since 1970.
    package var modified, changed: Int

    init(_ status: stat) {
        device = UInt64(status.st_dev)
        inode = UInt64(status.st_ino)
        byteCount = Int(status.st_size)
        modified = Int(status.st_mtim.tv_sec) &* 1_000_000_000 &+ Int(status.st_mtim.tv_nsec)
        changed = Int(status.st_ctim.tv_sec) &* 1_000_000_000 &+ Int(status.st_ctim.tv_nsec)
    }

    /// The identity of the file at that path now; nil when there is none.
    package init?(path: String) {
        var status = stat()
        guard stat(path, &status) == 0 else { return nil }
        self.init(status)
    }
}

/// The system's words for the last failed call.
func systemMessage() -> String { String(cString: strerror(errno)) }
