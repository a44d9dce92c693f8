@preconcurrency import Glibc
import Synchronization

/// Lines for people, on stderr, whatever it is: a terminal, a file, a full disk, a pipe that nobody reads.
package enum StandardError {
    /// One writer at a time, so that room in a pipe is still there when it is written to.
    private static let turn = Mutex(())

    /// Writes `text`; what fails, or finds no room within `waitMilliseconds`, is dropped.
    ///
    /// - Parameter waitMilliseconds: −1 waits for ever.
    package static func write(_ text: String, waitMilliseconds: Int32 = -1) {
        var text = text
        text.withUTF8 { bytes in
            turn.withLock { _ in write(UnsafeRawBufferPointer(bytes), waitMilliseconds) }
        }
    }

    /// A line, or several, as people may see them: terminal sequences are shown, not sent.
    package static func say(_ text: String) { write(text.visible(keeping: ["\n", "\t"]) + "\n") }

    /// The last words of a process, on a line of their own; other threads may be in the middle of one, or stuck.
    static func sayLast(_ line: String) {
        var text = (isatty(STDERR_FILENO) == 1 ? "\n" : "") + line + "\n"
        text.withUTF8 { write(UnsafeRawBufferPointer($0), 100) }
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

/// Results for people and scripts, on stdout.
package enum StandardOutput {
    private static let isTerminal = isatty(STDOUT_FILENO) == 1

    /// Writes text at once: as it is to files and pipes, terminal sequences shown and not sent to a terminal.
    package static func write(_ text: String) throws(OutputError) {
        let bytes = Array((isTerminal ? text.visible(keeping: ["\n", "\t"]) : text).utf8)
        guard fwrite(bytes, 1, bytes.count, stdout) == bytes.count, fflush(stdout) == 0 else { throw OutputError(code: errno) }
    }

    /// Makes sure that everything printed has arrived.
    package static func finish() throws(OutputError) {
        guard fflush(stdout) == 0, ferror(stdout) == 0 else { throw OutputError(code: errno) }
    }
}

/// Output that did not arrive.
package struct OutputError: Error, CustomStringConvertible {
    /// As in `errno`.
    let code: Int32

    /// Whether nobody reads any more, as with `| head`: no failure, but nothing is left to do.
    package var isReaderGone: Bool { code == EPIPE }

    package var description: String { "cannot write to stdout: \(String(cString: strerror(code)))" }
}
