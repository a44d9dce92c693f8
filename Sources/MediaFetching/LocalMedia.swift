internal import Glibc
internal import NIOPosix

/// The directory in which images of `file:` URLs may lie.
package struct LocalMedia: Sendable {
    /// Without symbolic links, with a slash at its end.
    private let root: String

    /// - Throws: where there is no such directory.
    package init(_ directory: String) throws(MediaError) {
        guard let real = realpath(directory, nil) else {
            throw MediaError("\(directory): \(String(cString: strerror(errno)))")
        }
        defer { free(real) }
        var status = stat()
        guard stat(real, &status) == 0, status.st_mode & S_IFMT == S_IFDIR else { throw MediaError("\(directory) is no directory") }
        let path = String(cString: real)
        root = path.hasSuffix("/") ? path : path + "/"
    }

    /// Linux's `O_PATH`, which Glibc's module lacks.
    private static let pathOnly: Int32 = 0o10_000_000

    /// The same words for what does not exist, lies elsewhere, is no file or cannot be read.
    private static func refused(_ detail: String) -> MediaError {
        MediaError("the URL names no readable file in the directory that is served (--allowed-local-media-path)", detail: detail)
    }

    /// The file at a path, which must be regular and lie in the directory once all symbolic links are followed.
    ///
    /// What is opened is what is looked at, and what is looked at is what is read: nobody can put another file in its place meanwhile.
    ///
    /// - Parameters:
    ///   - bytesMax: a larger file is refused.
    ///   - take: told of bytes before they are read.
    package func file(at path: String, bytesMax: Int, take: @escaping @Sendable (_ count: Int) throws(MediaError) -> Void) async throws -> [UInt8] {
        try await NIOThreadPool.singleton.runIfActive { try read(path, bytesMax, take) }
    }

    private func read(_ path: String, _ bytesMax: Int, _ take: (Int) throws(MediaError) -> Void) throws(MediaError) -> [UInt8] {
        guard path.hasPrefix("/"), !path.utf8.contains(0) else { throw Self.refused("the path must be absolute") }
        // Opening by O_PATH does nothing to devices and waits for no writer of a pipe.
        let found = open(path, Self.pathOnly | O_CLOEXEC)
        guard found >= 0 else { throw Self.refused(String(cString: strerror(errno))) }
        defer { close(found) }
        var status = stat()
        guard fstat(found, &status) == 0, status.st_mode & S_IFMT == S_IFREG else { throw Self.refused("it is no regular file") }
        let link = "/proc/self/fd/\(found)"
        guard let real = Self.target(of: link), real.hasPrefix(root) else { throw Self.refused("it lies elsewhere") }
        let descriptor = open(link, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { throw Self.refused(String(cString: strerror(errno))) }
        defer { close(descriptor) }
        let size = Int(status.st_size)
        guard size <= bytesMax else { throw MediaError.tooLarge(limit: bytesMax) }
        try take(size)
        return try Self.bytes(of: descriptor, atMost: size)
    }

    private static func target(of link: String) -> String? {
        let bytes = [UInt8](unsafeUninitializedCapacity: Int(PATH_MAX)) { buffer, count in
            count = max(0, buffer.withMemoryRebound(to: CChar.self) { buffer in buffer.baseAddress.map { readlink(link, $0, buffer.count) } ?? 0 })
        }
        return bytes.isEmpty ? nil : String(validating: bytes, as: UTF8.self)
    }

    /// The bytes of a file that had so many when it was looked at; one that grows is cut.
    private static func bytes(of descriptor: Int32, atMost size: Int) throws(MediaError) -> [UInt8] {
        var failure: Int32 = 0
        let bytes = [UInt8](unsafeUninitializedCapacity: size) { buffer, count in
            while count < size {
                let step = Glibc.read(descriptor, buffer.baseAddress.map { $0 + count }, size - count)
                if step < 0, errno == EINTR { continue }
                if step < 0 { failure = errno }
                guard step > 0 else { break }
                count += step
            }
        }
        guard failure == 0 else { throw refused(String(cString: strerror(failure))) }
        return bytes
    }
}
