internal import Foundation
internal import HostLimits

/// Memory that this process may still take.
package enum MachineMemory {
    /// What the kernel calls available, and not more than each control group leaves that the process is in, nor than
    /// the limit of its address space (`ulimit -v`) leaves.
    package static var availableBytes: Int {
        let groups = text("/proc/self/cgroup").map { ControlGroup.all(in: $0, controller: "memory") } ?? []
        let bounds = groups.compactMap(\.availableBytes) + [addressSpaceBytes].compactMap { $0 }
        return bounds.reduce(kernelBytes ?? 1 << 30, min)
    }

    /// Nil where no limit is set.
    private static var addressSpaceBytes: Int? {
        var limit = rlimit()
        guard getrlimit(__rlimit_resource_t(RLIMIT_AS.rawValue), &limit) == 0, let total = Int(exactly: limit.rlim_cur) else {
            return nil
        }
        let pages = text("/proc/self/statm")?.split(separator: " ").first.flatMap { Int($0) } ?? 0
        return max(total - pages * sysconf(Int32(_SC_PAGESIZE)), 0)
    }

    private static var kernelBytes: Int? {
        guard let text = text("/proc/meminfo") else { return nil }
        let line = text.split(separator: "\n").first { $0.hasPrefix("MemAvailable:") }
        guard let kilobytes = line?.split(separator: " ").dropFirst().first.flatMap({ Int($0) }) else { return nil }
        return kilobytes * 1024
    }

    fileprivate static func text(_ path: String) -> String? { try? String(contentsOfFile: path, encoding: .utf8) }
}

extension ControlGroup {
    private var limitFile: String { isUnified ? "memory.max" : "memory.limit_in_bytes" }
    private var usageFile: String { isUnified ? "memory.current" : "memory.usage_in_bytes" }
    /// Entry of `memory.stat` that counts cached files, which give way.
    private var cacheEntry: String { isUnified ? "file " : "total_cache " }

    /// Nil where the group sets no limit.
    fileprivate var availableBytes: Int? {
        guard let limit = number(limitFile), let used = number(usageFile) else { return nil }
        let statistics = MachineMemory.text(folder + "/memory.stat") ?? ""
        let cache = statistics.split(separator: "\n").first { $0.hasPrefix(cacheEntry) }
        let cacheBytes = cache?.split(separator: " ").last.flatMap { Int($0) } ?? 0
        return max(limit - used + cacheBytes, 0)
    }

    private func number(_ file: String) -> Int? {
        MachineMemory.text(folder + "/" + file).flatMap { Int($0.filter { !$0.isWhitespace }) }
    }
}
