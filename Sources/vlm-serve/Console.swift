import Glibc
import Synchronization

/// This program's version, as `/version` and `--version` say it.
let serverVersion = "0.1.0"

/// Lines on stderr. A line that cannot be written is dropped: nobody who fails to read may stop or hold up the server.
enum Console {
    /// Waits a second for a reader that is slow.
    static func say(_ line: String) { LogStream.write(line + "\n", waitMilliseconds: 1000) }

    static func error(_ message: String) { say("error: \(message)") }

    /// A line with the time of day, for what happens while the server runs; dropped when it cannot be written at once.
    static func log(_ line: String) {
        var now = time(nil)
        var parts = tm()
        localtime_r(&now, &parts)
        func two(_ value: Int32) -> String { value < 10 ? "0\(value)" : "\(value)" }
        let stamp = "\(two(parts.tm_hour)):\(two(parts.tm_min)):\(two(parts.tm_sec))"
        LogStream.write("\(stamp) \(line)\n", waitMilliseconds: 0)
    }

    static func seconds(_ value: Double) -> String { "\((value * 1000).rounded() / 1000) s" }
}

/// File descriptor 2, whatever it is: a terminal, a file, a full disk, a pipe that nobody reads.
enum LogStream {
    /// One writer at a time, so that room in a pipe is still there when it is written to.
    private static let turn = Mutex(())

    /// Writes `text`; what finds no room within `waitMilliseconds`, or fails, is dropped.
    static func write(_ text: String, waitMilliseconds: Int32) {
        var text = text
        text.withUTF8 { bytes in
            turn.withLock { _ in write(UnsafeRawBufferPointer(bytes), waitMilliseconds) }
        }
    }

    private static func write(_ bytes: UnsafeRawBufferPointer, _ waitMilliseconds: Int32) {
        // A pipe that is ready takes as much without blocking.
        let most = Int(PIPE_BUF)
        var start = 0
        while start < bytes.count {
            var ready = pollfd(fd: STDERR_FILENO, events: Int16(POLLOUT), revents: 0)
            let count = poll(&ready, 1, waitMilliseconds)
            if count < 0, errno == EINTR { continue }
            guard count > 0, ready.revents & Int16(POLLOUT) != 0 else { return }
            let piece = UnsafeRawBufferPointer(rebasing: bytes[start..<min(start + most, bytes.count)])
            let written = Glibc.write(STDERR_FILENO, piece.baseAddress, piece.count)
            if written < 0, errno == EINTR { continue }
            guard written > 0 else { return }
            start += written
        }
    }
}
