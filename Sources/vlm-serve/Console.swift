import CommandLineSupport
import Glibc

/// Lines on stderr. A line that cannot be written is dropped: nobody who fails to read may stop or hold up the server.
enum Console {
    /// Waits a second for a reader that is slow; terminal sequences in names and paths are shown, not sent.
    static func say(_ line: String) { StandardError.write(line.visible(keeping: ["\n"]) + "\n", waitMilliseconds: 1000) }

    static func error(_ message: String) { say("error: \(message)") }

    /// A line with the time of day, for what happens while the server runs; dropped when it cannot be written at once.
    ///
    /// Words of clients stand in it: line breaks and terminal sequences are shown, not sent.
    static func log(_ line: String) {
        var now = time(nil)
        var parts = tm()
        localtime_r(&now, &parts)
        func two(_ value: Int32) -> String { value < 10 ? "0\(value)" : "\(value)" }
        let stamp = "\(two(parts.tm_hour)):\(two(parts.tm_min)):\(two(parts.tm_sec))"
        StandardError.write("\(stamp) \(line.visible())\n", waitMilliseconds: 0)
    }

    static func seconds(_ value: Double) -> String { "\((value * 1000).rounded() / 1000) s" }
}
