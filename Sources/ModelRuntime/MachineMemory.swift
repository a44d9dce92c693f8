internal import Foundation

/// Memory that this process may still take.
package enum MachineMemory {
    /// What the kernel calls available, and not more than each control group leaves that the process is in, nor than
    /// the limit of its address space (`ulimit -v`) leaves.
    package static var availableBytes: Int {
        let groups = text("/proc/self/cgroup").map(ControlGroup.all(in:)) ?? []
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

/// A control group that bounds memory, of either version.
private struct ControlGroup {
    var folder: String
    var limitFile: String
    var usageFile: String
    /// Entry of `memory.stat` that counts cached files, which give way.
    var cacheEntry: String

    /// The groups that `/proc/self/cgroup` names, and those around them; inside a container they may not be there.
    static func all(in listing: String) -> [ControlGroup] {
        var groups: [ControlGroup] = []
        for line in listing.split(separator: "\n") {
            let fields = line.split(separator: ":", maxSplits: 2, omittingEmptySubsequences: false)
            guard fields.count == 3 else { continue }
            let isUnified = fields[1].isEmpty
            guard isUnified || fields[1].split(separator: ",").contains("memory") else { continue }
            let root = isUnified ? "/sys/fs/cgroup" : "/sys/fs/cgroup/memory"
            var names = fields[2].split(separator: "/")
            while true {
                let folder = ([root] + names.map(String.init)).joined(separator: "/")
                groups.append(isUnified ? .unified(folder) : .legacy(folder))
                guard names.popLast() != nil else { break }
            }
        }
        return groups
    }

    private static func unified(_ folder: String) -> ControlGroup {
        ControlGroup(folder: folder, limitFile: "memory.max", usageFile: "memory.current", cacheEntry: "file ")
    }

    private static func legacy(_ folder: String) -> ControlGroup {
        ControlGroup(
            folder: folder, limitFile: "memory.limit_in_bytes", usageFile: "memory.usage_in_bytes", cacheEntry: "total_cache ")
    }

    /// Nil where the group sets no limit.
    var availableBytes: Int? {
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
