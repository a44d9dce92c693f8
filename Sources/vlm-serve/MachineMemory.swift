import Foundation

/// Memory that this process may still take.
enum MachineMemory {
    /// What the kernel calls available, and not more than the control group leaves.
    static var availableBytes: Int {
        min(kernelBytes ?? 1 << 30, groupBytes ?? .max)
    }

    private static var kernelBytes: Int? {
        guard let text = try? String(contentsOfFile: "/proc/meminfo", encoding: .utf8) else { return nil }
        let line = text.split(separator: "\n").first { $0.hasPrefix("MemAvailable:") }
        guard let kilobytes = line?.split(separator: " ").dropFirst().first.flatMap({ Int($0) }) else { return nil }
        return kilobytes * 1024
    }

    private static var groupBytes: Int? {
        let folder = "/sys/fs/cgroup/memory."
        guard let limit = number(folder + "max"), let used = number(folder + "current") else { return nil }
        let statistics = (try? String(contentsOfFile: folder + "stat", encoding: .utf8)) ?? ""
        let cache = statistics.split(separator: "\n").first { $0.hasPrefix("file ") }
        let cacheBytes = cache?.split(separator: " ").last.flatMap { Int($0) } ?? 0
        return max(limit - used + cacheBytes, 0)
    }

    private static func number(_ path: String) -> Int? {
        guard let text = try? String(contentsOfFile: path, encoding: .utf8) else { return nil }
        return Int(text.filter { !$0.isWhitespace })
    }
}
