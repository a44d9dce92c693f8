internal import Foundation
internal import Glibc

/// What the operating system says of this process.
package struct ProcessUsage: Sendable {
    package var residentBytes = 0
    package var virtualBytes = 0
    package var cpuSeconds = 0.0
    package var openFiles = 0
    /// Most files that may be open at once.
    package var openFilesMax = 0
    /// Seconds since 1970 at which the process began.
    package var startSeconds = 0.0

    package init() {}

    /// The figures of now; what cannot be read stays 0.
    package static func current() -> ProcessUsage {
        var usage = ProcessUsage()
        if let line = try? String(contentsOfFile: "/proc/self/statm", encoding: .utf8) {
            let pages = line.split(separator: " ").compactMap { Int($0) }
            let pageBytes = Int(sysconf(Int32(_SC_PAGESIZE)))
            if pages.count > 1 {
                usage.virtualBytes = pages[0] * pageBytes
                usage.residentBytes = pages[1] * pageBytes
            }
        }
        var times = rusage()
        if getrusage(RUSAGE_SELF.rawValue, &times) == 0 {
            usage.cpuSeconds = seconds(times.ru_utime) + seconds(times.ru_stime)
        }
        usage.openFiles = (try? FileManager.default.contentsOfDirectory(atPath: "/proc/self/fd").count) ?? 0
        var limit = rlimit()
        if getrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit) == 0 { usage.openFilesMax = Int(clamping: limit.rlim_cur) }
        usage.startSeconds = startSeconds() ?? 0
        return usage
    }

    /// The machine's start, and the process's behind it in ticks: the 20th field behind the name, which alone may hold parentheses and spaces.
    private static func startSeconds() -> Double? {
        guard let own = try? String(contentsOfFile: "/proc/self/stat", encoding: .utf8), let name = own.lastIndex(of: ")"),
            let machine = try? String(contentsOfFile: "/proc/stat", encoding: .utf8)
        else { return nil }
        let fields = own[name...].split(separator: " ").dropFirst()
        guard fields.count > 19, let ticks = Double(fields[fields.startIndex + 19]),
            let boot = machine.split(separator: "\n").first(where: { $0.hasPrefix("btime ") }), let began = Double(boot.dropFirst(6))
        else { return nil }
        return began + ticks / Double(sysconf(Int32(_SC_CLK_TCK)))
    }

    private static func seconds(_ time: timeval) -> Double { Double(time.tv_sec) + Double(time.tv_usec) * 1e-6 }

    /// Prometheus' text format, version 0.0.4.
    package var text: String {
        var text = ""
        render(into: &text)
        return text
    }

    func render(into text: inout String) {
        let values = [
            ("process_resident_memory_bytes", "gauge", "Memory in use.", Double(residentBytes)),
            ("process_virtual_memory_bytes", "gauge", "Addresses in use.", Double(virtualBytes)),
            ("process_cpu_seconds_total", "counter", "Processor time.", cpuSeconds),
            ("process_open_fds", "gauge", "Open files.", Double(openFiles)),
            ("process_max_fds", "gauge", "Most files that may be open.", Double(openFilesMax)),
            ("process_start_time_seconds", "gauge", "Start of the process, in seconds since 1970.", startSeconds),
        ]
        for (name, kind, help, value) in values {
            text += "# HELP \(name) \(help)\n# TYPE \(name) \(kind)\n\(name) \(Histogram.number(value))\n"
        }
    }
}
