import CommandLineSupport

/// Lines on stderr that are no part of a log. A line that cannot be written is dropped: nobody who fails to read may stop or hold up the server.
enum Console {
    /// Waits a second for a reader that is slow; terminal sequences in names and paths are shown, not sent.
    static func say(_ line: String) { StandardError.write(line.visible(keeping: ["\n"]) + "\n", waitMilliseconds: 1000) }

    static func error(_ message: String) { say("error: \(message)") }

    static func seconds(_ value: Double) -> String { "\((value * 1000).rounded() / 1000) s" }
}
