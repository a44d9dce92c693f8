import Glibc

/// Reads a regular file line by line, in memory for one line.
package struct LineReader: ~Copyable {
    package struct Line {
        /// From 1.
        package var number: Int
        /// Without the break and the white space around; nil where there are more than are read.
        package var bytes: [UInt8]?
        /// Whether a break ends it.
        package var isWhole: Bool
    }

    private let path: String
    private let descriptor: Int32
    private let lineBytesMax: Int
    private var piece = [UInt8](repeating: 0, count: 1 << 18)
    /// What of `piece` is read from the file and not yet of a line.
    private var rest = 0..<0
    private var number = 0
    /// Bytes of the file up to the end of the last line.
    package private(set) var offset = 0

    /// - Throws: also for what is no regular file, unless it is a device that has nothing to read, as `/dev/null`.
    package init(_ path: String, lineBytesMax: Int) throws(FileError) {
        let descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK)
        guard descriptor >= 0 else { throw FileError(path: path, code: errno) }
        var status = stat()
        guard fstat(descriptor, &status) == 0, status.st_mode & S_IFMT == S_IFREG || Self.isEmptyDevice(descriptor, status) else {
            let code = status.st_mode & S_IFMT == S_IFDIR ? EISDIR : EINVAL
            close(descriptor)
            throw FileError(path: path, code: code)
        }
        (self.path, self.descriptor, self.lineBytesMax) = (path, descriptor, lineBytesMax)
    }

    deinit { close(descriptor) }

    private static func isEmptyDevice(_ descriptor: Int32, _ status: stat) -> Bool {
        var byte: UInt8 = 0
        return status.st_mode & S_IFMT == S_IFCHR && read(descriptor, &byte, 1) == 0
    }

    /// The next line; nil at the end of the file.
    package mutating func next() throws(FileError) -> Line? {
        var (bytes, isTooLong, count) = ([UInt8](), false, 0)
        number += 1
        while true {
            if rest.isEmpty { try fill() }
            let end = rest.isEmpty ? nil : piece[rest].firstIndex(of: 0x0A)
            var part = piece[rest.lowerBound..<(end ?? rest.upperBound)]
            count += part.count
            if bytes.isEmpty { part = part.drop(while: Self.isSpace) }
            isTooLong = isTooLong || bytes.count + part.count > lineBytesMax
            if isTooLong { bytes = [] } else { bytes += part }
            let isAtEnd = rest.isEmpty
            rest = (end.map { $0 + 1 } ?? rest.upperBound)..<rest.upperBound
            guard end != nil || isAtEnd else { continue }
            guard end != nil || count > 0 else { return nil }
            offset += count + (end == nil ? 0 : 1)
            while let last = bytes.last, Self.isSpace(last) { bytes.removeLast() }
            return Line(number: number, bytes: isTooLong ? nil : bytes, isWhole: end != nil)
        }
    }

    private static func isSpace(_ byte: UInt8) -> Bool { [0x09, 0x0D, 0x20].contains(byte) }

    private mutating func fill() throws(FileError) {
        while true {
            let count = piece.withUnsafeMutableBytes { [descriptor] in read(descriptor, $0.baseAddress, $0.count) }
            if count < 0, errno == EINTR { continue }
            guard count >= 0 else { throw FileError(path: path, code: errno) }
            rest = 0..<count
            return
        }
    }
}
