import Glibc
import Tooling

/// Lines on stderr. A line that cannot be written is dropped: nobody who fails to read may stop or hold up the server.
enum Console {
    /// Waits a second for a reader that is slow.
    static func say(_ line: String) { StandardError.write(line + "\n", waitMilliseconds: 1000) }

    static func error(_ message: String) { say("error: \(message)") }

    /// A line with the time of day, for what happens while the server runs; dropped when it cannot be written at once.
    static func log(_ line: String) {
        var now = time(nil)
        var parts = tm()
        localtime_r(&now, &parts)
        func two(_ value: Int32) -> String { value < 10 ? "0\(value)" : "\(value)" }
        let stamp = "\(two(parts.tm_hour)):\(two(parts.tm_min)):\(two(parts.tm_sec))"
        StandardError.write("\(stamp) \(line)\n", waitMilliseconds: 0)
    }

    static func seconds(_ value: Double) -> String { "\((value * 1000).rounded() / 1000) s" }
}
