import CommandLineSupport
import Glibc
import HTTPAPI
import Synchronization

/// The two files of a batch: requests that are read line by line, and results that are added to what an earlier run left.
final class BatchFiles: Sendable {
    private let input: String
    private let output: String
    let lineBytesMax: Int
    private let lines: Mutex<LineReader>
    /// Of the output.
    private let descriptor: Int32
    /// What has its result already.
    let record: BatchRecord

    /// Throws where the input cannot be read, or the output not be written or holds lines that are no results; leaves no trace.
    static func check(input: String, output: String) throws {
        do throws(FileError) { _ = try LineReader(input, lineBytesMax: 0) } catch { throw error.named("--input-file") }
        do throws(FileError) { try OutputFile.check(output) } catch { throw error.named("--output-file") }
        var status = stat()
        if stat(output, &status) == 0, status.st_mode & S_IFMT == S_IFREG { _ = try results(in: output) }
    }

    /// Takes the output for this process alone; what a crash left of its last line is cut off.
    ///
    /// - Throws: where the output holds lines that are no results, or another run writes there.
    init(input: String, output: String, lineBytesMax: Int) throws {
        (self.input, self.output, self.lineBytesMax) = (input, output, lineBytesMax)
        lines = Mutex(try LineReader(input, lineBytesMax: lineBytesMax))
        descriptor = open(output, O_RDWR | O_CREAT | O_CLOEXEC, 0o644)
        guard descriptor >= 0 else { throw FileError(path: output, code: errno) }
        guard flock(descriptor, LOCK_EX | LOCK_NB) == 0 else { throw LaunchError("another run writes to \(output)") }
        record = try Self.record(of: output, descriptor)
    }

    deinit { close(descriptor) }

    private static func record(of path: String, _ descriptor: Int32) throws -> BatchRecord {
        var status = stat()
        guard fstat(descriptor, &status) == 0 else { throw FileError(path: path, code: errno) }
        // A pipe or a terminal holds nothing of an earlier run.
        guard status.st_mode & S_IFMT == S_IFREG else { return BatchRecord() }
        let (record, whole) = try results(in: path)
        guard ftruncate(descriptor, whole) == 0, lseek(descriptor, 0, SEEK_END) >= 0 else { throw FileError(path: path, code: errno) }
        return record
    }

    /// What a regular file has of results, and up to where they are whole.
    private static func results(in path: String) throws -> (record: BatchRecord, bytes: Int) {
        var (record, whole) = (BatchRecord(), 0)
        var lines = try LineReader(path, lineBytesMax: .max)
        while let line = try lines.next() {
            let bytes = line.bytes ?? []
            if !line.isWhole, BatchResult.mayBegin(bytes) { break }
            guard bytes.isEmpty || line.isWhole && record.add(bytes) else {
                throw LaunchError("line \(line.number) of \(path) is no result of a batch; give another file for results")
            }
            whole = lines.offset
        }
        return (record, whole)
    }

    /// Lines of the input that are not empty.
    func countLines() throws -> Int {
        var lines = try LineReader(input, lineBytesMax: 0)
        var count = 0
        while let line = try lines.next() { if line.bytes?.isEmpty != true { count += 1 } }
        return count
    }

    /// The next line of the input that is not empty, with its number; nil in place of the bytes of one that is too long.
    func nextLine() throws -> (number: Int, bytes: [UInt8]?)? {
        try lines.withLock { lines in
            while let line = try lines.next() {
                if line.bytes?.isEmpty != true { return (line.number, line.bytes) }
            }
            return nil
        }
    }

    /// Adds to the results; they are in the file when it returns, whatever ends the process.
    func write(_ bytes: [UInt8]) throws {
        var start = 0
        while start < bytes.count {
            let count = bytes[start...].withUnsafeBytes { Glibc.write(descriptor, $0.baseAddress, $0.count) }
            if count < 0, errno == EINTR { continue }
            guard count > 0 else { throw FileError(path: output, code: errno) }
            start += count
        }
    }

    /// Makes sure that the results have arrived on the disk.
    func finish() throws {
        guard fsync(descriptor) == 0 || errno == EINVAL || errno == EROFS else { throw FileError(path: output, code: errno) }
    }
}
