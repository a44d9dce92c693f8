import Glibc

/// A file descriptor that closes itself; every failure is an `ArtifactError` that names the path.
final class OpenFile: Sendable {
    let descriptor: Int32
    let path: String

    private init(descriptor: Int32, path: String) {
        self.descriptor = descriptor
        self.path = path
    }

    deinit { close(descriptor) }

    /// Opens `path`, relative to `directory` when one is given.
    static func open(
        _ path: String, in directory: OpenFile? = nil, flags: Int32, mode: mode_t = 0o644
    ) throws(ArtifactError) -> OpenFile {
        let shown = directory.map { "\($0.path)/\(path)" } ?? path
        var descriptor: Int32 = -1
        repeat {
            descriptor = openat(directory?.descriptor ?? AT_FDCWD, path, flags | O_CLOEXEC, mode)
        } while descriptor < 0 && errno == EINTR
        guard descriptor >= 0 else { throw .errno("open", shown) }
        return OpenFile(descriptor: descriptor, path: shown)
    }

    /// Opens a file for reading; nil when there is none.
    static func reading(_ path: String, in directory: OpenFile? = nil) throws(ArtifactError) -> OpenFile? {
        // Nothing but regular files and directories is read, and opening another kind does not wait for its other end.
        let descriptor = openat(directory?.descriptor ?? AT_FDCWD, path, O_RDONLY | O_CLOEXEC | O_NONBLOCK)
        let shown = directory.map { "\($0.path)/\(path)" } ?? path
        if descriptor < 0 && (errno == ENOENT || errno == ENOTDIR) { return nil }
        guard descriptor >= 0 else { throw .errno("open", shown) }
        let file = OpenFile(descriptor: descriptor, path: shown)
        let kind = try file.status().st_mode & S_IFMT
        guard kind == S_IFREG || kind == S_IFDIR else { throw .system(operation: "open", path: shown, reason: "it is no regular file") }
        return file
    }

    static func directory(_ path: String, in parent: OpenFile? = nil) throws(ArtifactError) -> OpenFile {
        try open(path, in: parent, flags: O_RDONLY | O_DIRECTORY)
    }

    /// Creates or truncates a file for writing.
    static func create(_ path: String, in directory: OpenFile? = nil) throws(ArtifactError) -> OpenFile {
        try open(path, in: directory, flags: O_RDWR | O_CREAT | O_TRUNC | O_NOFOLLOW)
    }

    func status() throws(ArtifactError) -> stat {
        var status = stat()
        guard fstat(descriptor, &status) == 0 else { throw .errno("inspect", path) }
        return status
    }

    func write(_ bytes: UnsafeRawBufferPointer) throws(ArtifactError) {
        var rest = bytes
        while let base = rest.baseAddress, !rest.isEmpty {
            let count = Glibc.write(descriptor, base, min(rest.count, 1 << 30))
            if count < 0 && errno == EINTR { continue }
            guard count > 0 else { throw .errno("write", path) }
            rest = UnsafeRawBufferPointer(rebasing: rest[count...])
        }
    }

    func write(_ bytes: [UInt8]) throws(ArtifactError) {
        try bytes.withUnsafeBytes { bytes in Result { () throws(ArtifactError) in try write(bytes) } }.get()
    }

    /// Reads exactly `count` bytes from `offset`; nil when the file ends before.
    func read(at offset: Int, count: Int) throws(ArtifactError) -> [UInt8]? {
        var failure: ArtifactError?
        var filled = 0
        let bytes = [UInt8](unsafeUninitializedCapacity: count) { buffer, initialized in
            while filled < count, let base = buffer.baseAddress {
                let got = pread(descriptor, base + filled, count - filled, off_t(offset + filled))
                if got < 0 && errno == EINTR { continue }
                if got < 0 { failure = .errno("read", path) }
                guard got > 0 else { break }
                filled += got
            }
            initialized = filled
        }
        if let failure { throw failure }
        return filled == count ? bytes : nil
    }

    /// The whole file as it is now.
    ///
    /// - Throws: `refused` for a file of more than `most` bytes.
    func readAll(atMost most: Int = 64 << 20) throws(ArtifactError) -> [UInt8] {
        let size = Int(try status().st_size)
        guard size <= most else { throw .refused("\(path) has \(size) bytes, more than the \(most) that are read") }
        return try read(at: 0, count: size) ?? []
    }

    /// Waits until data and length are on the disk.
    func sync() throws(ArtifactError) {
        guard fsync(descriptor) == 0 else { throw .errno("flush", path) }
    }

    /// Takes an advisory lock that ends with the descriptor or its process; false when another owner has it.
    func tryLock(shared: Bool = false) -> Bool {
        flock(descriptor, (shared ? LOCK_SH : LOCK_EX) | LOCK_NB) == 0
    }

    /// Waits for the exclusive advisory lock.
    func lock() throws(ArtifactError) {
        while flock(descriptor, LOCK_EX) != 0 {
            guard errno == EINTR else { throw .errno("lock", path) }
        }
    }

    /// Takes the shared lock, waiting up to a second for one who holds the other kind, as `gc` does while it looks.
    ///
    /// Whoever else may read a file can lock it as well, so that nobody waits for ever.
    func lockShared() {
        for _ in 0..<100 {
            if tryLock(shared: true) { return }
            usleep(10_000)
        }
    }

    func unlock() { flock(descriptor, LOCK_UN) }

    /// Other processes that have this very file open, as far as this user may look into them.
    var otherHolders: [Int] {
        Directories.names(in: "/proc").compactMap { Int($0) }.sorted().filter { process in
            process != Int(getpid())
                && Directories.names(in: "/proc/\(process)/fd").contains { isStill(at: "/proc/\(process)/fd/\($0)") }
        }
    }

    /// Whether `path` still leads to this very file.
    func isStill(at path: String) -> Bool {
        var own = stat()
        var there = stat()
        return fstat(descriptor, &own) == 0 && stat(path, &there) == 0
            && own.st_dev == there.st_dev && own.st_ino == there.st_ino
    }
}

extension ArtifactError {
    /// The error that `errno` holds after a failed call.
    static func errno(_ operation: String, _ path: String) -> ArtifactError {
        let code = Glibc.errno
        switch code {
        case ENOSPC, EDQUOT, EFBIG: return .diskFull(path: path)
        default: return .system(operation: operation, path: path, reason: String(cString: strerror(code)))
        }
    }
}
