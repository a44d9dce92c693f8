import Foundation

/// This program's version, as `/version` and `--version` say it.
let serverVersion = "0.1.0"

/// Lines on stderr.
enum Console {
    static func say(_ line: String) { FileHandle.standardError.write(Data((line + "\n").utf8)) }

    static func error(_ message: String) { say("error: \(message)") }

    /// A line with the time of day, for what happens while the server runs.
    static func log(_ line: String) {
        var now = time(nil)
        var parts = tm()
        localtime_r(&now, &parts)
        func two(_ value: Int32) -> String { value < 10 ? "0\(value)" : "\(value)" }
        say("\(two(parts.tm_hour)):\(two(parts.tm_min)):\(two(parts.tm_sec)) \(line)")
    }

    /// Bytes as people say them.
    static func bytes(_ count: Int) -> String {
        let units = ["B", "KB", "MB", "GB", "TB"]
        var value = Double(count)
        var unit = 0
        while value >= 1000, unit < units.count - 1 {
            value /= 1000
            unit += 1
        }
        return unit == 0 ? "\(count) B" : "\((value * 10).rounded() / 10) \(units[unit])"
    }

    static func seconds(_ value: Double) -> String { "\((value * 1000).rounded() / 1000) s" }
}
