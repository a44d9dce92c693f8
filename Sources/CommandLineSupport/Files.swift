import Glibc

/// Files that a person names: regular ones, pipes that somebody writes to, and `/dev/stdin`.
package enum InputFile {
    /// Most bytes that are read of one file: 64 MB.
    package static let largest = 64 << 20

    /// All bytes of the file at `path`; `-` is stdin.
    ///
    /// - Throws: `EFBIG` once there are more than `largest`, `ENXIO` for a named pipe to which nobody writes.
    package static func read(_ path: String, largest: Int = largest) throws(FileError) -> [UInt8] {
        let descriptor = path == "-" ? fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, 0) : open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK)
        guard descriptor >= 0 else { throw FileError(path: path, code: errno) }
        defer { close(descriptor) }
        if path != "-" { try awaitWriter(descriptor, path) }
        var bytes: [UInt8] = []
        var piece = [UInt8](repeating: 0, count: 1 << 16)
        while true {
            let count = Glibc.read(descriptor, &piece, piece.count)
            if count < 0 && errno == EINTR { continue }
            guard count >= 0 else { throw FileError(path: path, code: errno) }
            if count == 0 { return bytes }
            guard bytes.count + count <= largest else { throw FileError(path: path, code: EFBIG) }
            bytes += piece[..<count]
        }
    }
}

extension InputFile {
    /// How long a named pipe may wait for its first writer.
    private static let writerWaitMilliseconds: Int32 = 2000

    /// Returns once reading may wait, since somebody writes or the file is no pipe.
    ///
    /// A pipe that has something to read is ready, and so is one whose last writer is gone. One without a writer yet is neither, and reading
    /// it gives its end; with a writer that is silent, reading would have to wait.
    private static func awaitWriter(_ descriptor: Int32, _ path: String) throws(FileError) {
        var status = stat()
        guard fstat(descriptor, &status) == 0 else { throw FileError(path: path, code: errno) }
        if status.st_mode & S_IFMT == S_IFIFO {
            var first = pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)
            if poll(&first, 1, writerWaitMilliseconds) == 0, !hasWriter(path) { throw FileError(path: path, code: ENXIO) }
        }
        _ = fcntl(descriptor, F_SETFL, fcntl(descriptor, F_GETFL) & ~O_NONBLOCK)
    }

    /// Whether somebody has the pipe open for writing: only then a second reader finds it empty and not at its end.
    private static func hasWriter(_ path: String) -> Bool {
        let descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK)
        guard descriptor >= 0 else { return false }
        defer { close(descriptor) }
        var byte: UInt8 = 0
        return Glibc.read(descriptor, &byte, 1) < 0 && errno == EAGAIN
    }
}

/// Files that a person wants written.
package enum OutputFile {
    /// Throws when `path` cannot be written, before there is anything to write; leaves no trace.
    package static func check(_ path: String) throws(FileError) {
        let parent = path.lastIndex(of: "/").map { $0 == path.startIndex ? "/" : String(path[..<$0]) } ?? "."
        let exists = access(path, F_OK) == 0
        guard access(exists ? path : parent, W_OK) == 0 else { throw FileError(path: path, code: errno) }
        var status = stat()
        if exists, stat(path, &status) == 0, status.st_mode & S_IFMT == S_IFDIR { throw FileError(path: path, code: EISDIR) }
    }

    /// Writes the whole file, in place of what was there; half a file is removed.
    package static func write(_ bytes: [UInt8], to path: String) throws(FileError) {
        let descriptor = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o644)
        guard descriptor >= 0 else { throw FileError(path: path, code: errno) }
        defer { close(descriptor) }
        var rest = bytes[...]
        while !rest.isEmpty {
            let count = rest.withUnsafeBytes { Glibc.write(descriptor, $0.baseAddress, $0.count) }
            if count < 0 && errno == EINTR { continue }
            guard count > 0 else {
                let code = errno
                var status = stat()
                if fstat(descriptor, &status) == 0, status.st_mode & S_IFMT == S_IFREG { unlink(path) }
                throw FileError(path: path, code: code)
            }
            rest = rest.dropFirst(count)
        }
    }

    /// Creates a directory and its parents where they are missing.
    package static func createDirectory(_ path: String) throws(FileError) {
        if mkdir(path, 0o755) == 0 { return }
        if errno == ENOENT, let slash = path.lastIndex(of: "/"), slash != path.startIndex {
            try createDirectory(String(path[..<slash]))
            if mkdir(path, 0o755) == 0 { return }
        }
        let code = errno
        var status = stat()
        guard code == EEXIST, stat(path, &status) == 0, status.st_mode & S_IFMT == S_IFDIR else {
            throw FileError(path: path, code: code)
        }
    }
}

/// A file that cannot be read or written, and why.
package struct FileError: Error, CustomStringConvertible {
    let path: String
    /// As in `errno`; `EINVAL` for what is no regular file where only such will do.
    let code: Int32
    /// Before the path: what names it; empty for nothing.
    private var name = ""

    package init(path: String, code: Int32) { (self.path, self.code) = (path, code) }

    /// The same, with the flag that names the file.
    package func named(_ flag: String) -> FileError {
        var error = self
        error.name = flag + " "
        return error
    }

    package var description: String { name + fact }

    private var fact: String {
        if code == EINVAL { return "\(path): not a regular file" }
        if code == ENXIO { return "\(path): a pipe to which nobody writes" }
        if code == EFBIG { return "\(path): more than \(InputFile.largest >> 20) MB, the most that is read" }
        return "\(path): \(String(cString: strerror(code)))"
    }
}
