@preconcurrency import Glibc

/// Lines for people, on stderr; what cannot be written is dropped.
package enum StandardError {
    package static func write(_ text: String) {
        var bytes = Array(text.utf8)[...]
        while !bytes.isEmpty {
            let count = bytes.withUnsafeBytes { Glibc.write(STDERR_FILENO, $0.baseAddress, $0.count) }
            if count < 0 && errno == EINTR { continue }
            guard count > 0 else { return }
            bytes = bytes.dropFirst(count)
        }
    }

    package static func say(_ line: String) { write(line + "\n") }
}

/// Results for people and scripts, on stdout.
package enum StandardOutput {
    /// Writes text at once.
    package static func write(_ text: String) throws(OutputError) {
        let bytes = Array(text.utf8)
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
