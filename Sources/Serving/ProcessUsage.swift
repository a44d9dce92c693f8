internal import Foundation
internal import Glibc

/// What the operating system says of this process.
package struct ProcessUsage: Sendable {
    package var residentBytes = 0
    package var virtualBytes = 0
    package var cpuSeconds = 0.0
    package var openFiles = 0

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
        return usage
    }

    private static func seconds(_ time: timeval) -> Double { Double(time.tv_sec) + Double(time.tv_usec) * 1e-6 }

    func render(into text: inout String) {
        let values = [
            ("process_resident_memory_bytes", "gauge", "Memory in use.", Double(residentBytes)),
            ("process_virtual_memory_bytes", "gauge", "Addresses in use.", Double(virtualBytes)),
            ("process_cpu_seconds_total", "counter", "Processor time.", cpuSeconds),
            ("process_open_fds", "gauge", "Open files.", Double(openFiles)),
        ]
        for (name, kind, help, value) in values {
            text += "# HELP \(name) \(help)\n# TYPE \(name) \(kind)\n\(name) \(Histogram.number(value))\n"
        }
    }
}
