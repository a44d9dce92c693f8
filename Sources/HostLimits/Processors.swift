internal import Foundation

/// What this process may use of the machine's processors, and the number of threads that follows from it.
package struct Processors: Sendable, Equatable {
    /// Processors of the machine that are on line.
    package let online: Int
    /// Those that the affinity mask allows; a core may be several of them.
    package let allowed: Int
    /// Cores among the allowed ones.
    package let cores: Int
    /// The time that control groups leave, in processors; nil where none sets a quota.
    package let quota: Double?

    /// What is so now; a quota or an affinity mask may change while the process runs.
    package static var ofThisProcess: Processors {
        Processors(otherwise: max(1, ProcessInfo.processInfo.activeProcessorCount)) { try? String(contentsOfFile: $0, encoding: .utf8) }
    }

    /// - Parameters:
    ///   - count: processors where the files say nothing.
    ///   - file: the text of a file of `/proc` or `/sys`; nil where there is none.
    package init(otherwise count: Int, file: (String) -> String?) {
        let mask = file("/proc/self/status").flatMap(Self.affinityMask) ?? Array(0..<count)
        allowed = mask.count
        online = max(file("/sys/devices/system/cpu/online").flatMap(Self.numbers)?.count ?? count, allowed)
        let firsts = mask.map { processor in
            file("/sys/devices/system/cpu/cpu\(processor)/topology/thread_siblings_list").flatMap(Self.numbers)?.min() ?? processor
        }
        cores = Set(firsts).count
        let groups = file("/proc/self/cgroup").map { ControlGroup.all(in: $0, controller: "cpu") } ?? []
        quota = groups.compactMap { Self.quota(of: $0, file) }.min()
    }

    /// Threads that compute unless a person says otherwise: one per core, and not more than the quota, rounded up, can keep at work.
    package var threads: Int {
        guard let quota else { return cores }
        return max(1, Int(min(quota.rounded(.up), Double(cores))))
    }

    /// Why there are so many `threads`.
    package var reason: String {
        if let quota, Int(min(quota.rounded(.up), Double(cores))) < cores {
            return "for a quota of \((quota * 100).rounded() / 100) processors"
        }
        return "one per core" + (cores < allowed ? " of \(allowed) processors" : "") + (allowed < online ? " in the affinity mask" : "")
    }

    /// The line `Cpus_allowed_list` of `/proc/self/status`.
    private static func affinityMask(_ status: String) -> [Int]? {
        let name = "Cpus_allowed_list:"
        return status.split(separator: "\n").first { $0.hasPrefix(name) }.flatMap { numbers(String($0.dropFirst(name.count))) }
    }

    /// More processors than any machine has: what names more is no list of them.
    private static let numbersMax = 1 << 16

    /// The numbers of a list such as `0-3,8`, ascending and each once; nil for what is none.
    package static func numbers(_ list: String) -> [Int]? {
        var found: Set<Int> = []
        for part in list.split(separator: ",") {
            let ends = part.split(separator: "-", omittingEmptySubsequences: false).map { natural($0) }
            guard ends.count <= 2, let first = ends[0], let last = ends[ends.count - 1], first <= last, last < numbersMax else {
                return nil
            }
            found.formUnion(first...last)
        }
        return found.isEmpty ? nil : found.sorted()
    }

    /// The quota of one group; nil where it sets none.
    private static func quota(of group: ControlGroup, _ file: (String) -> String?) -> Double? {
        if group.isUnified { return file(group.folder + "/cpu.max").flatMap { quota($0) } }
        guard let quota = file(group.folder + "/cpu.cfs_quota_us").flatMap({ natural($0) }), quota > 0 else { return nil }
        guard let period = file(group.folder + "/cpu.cfs_period_us").flatMap({ natural($0) }), period > 0 else { return nil }
        return Double(quota) / Double(period)
    }

    /// What a `cpu.max` grants, in processors: `QUOTA PERIOD` in microseconds; nil for `max PERIOD` and for what is neither.
    package static func quota(_ text: String) -> Double? {
        let words = text.split { $0.isWhitespace }
        guard words.count == 2, let quota = natural(words[0]), let period = natural(words[1]), quota > 0, period > 0 else { return nil }
        return Double(quota) / Double(period)
    }

    private static func natural(_ text: some StringProtocol) -> Int? {
        Int(String(text.filter { !$0.isWhitespace })).flatMap { $0 >= 0 ? $0 : nil }
    }
}
