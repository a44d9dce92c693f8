import Glibc

/// Files that a person names: regular ones, pipes and `/dev/stdin` alike.
package enum InputFile {
    /// Most bytes that are read of one file: 64 MB.
    package static let largest = 64 << 20

    /// All bytes of the file at `path`; `-` is stdin.
    ///
    /// - Throws: `EFBIG` once there are more than `largest`.
    package static func read(_ path: String) throws(FileError) -> [UInt8] {
        let descriptor = path == "-" ? dup(STDIN_FILENO) : open(path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { throw FileError(path: path, code: errno) }
        defer { close(descriptor) }
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
    /// As in `errno`.
    let code: Int32

    package var description: String {
        if code == EFBIG { return "\(path): more than \(InputFile.largest >> 20) MB, the most that is read" }
        return "\(path): \(String(cString: strerror(code)))"
    }
}
