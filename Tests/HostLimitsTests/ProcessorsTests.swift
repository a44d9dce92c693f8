import HostLimits
import Testing

/// How many threads follow from the files of `/proc` and `/sys`.
@Suite struct ProcessorsTests {
    private static let status = "/proc/self/status", groups = "/proc/self/cgroup", online = "/sys/devices/system/cpu/online"

    /// A machine of `cores` cores, each of so many processors, whose numbers lie `cores` apart.
    private static func machine(cores: Int, perCore: Int = 1, mask: String? = nil) -> [String: String] {
        var files = [online: "0-\(cores * perCore - 1)\n"]
        files[status] = "Name:\tvlm\nCpus_allowed:\tff\nCpus_allowed_list:\t\(mask ?? "0-\(cores * perCore - 1)")\nMems_allowed:\t1\n"
        for processor in 0..<cores * perCore {
            let siblings = (0..<perCore).map { String(processor % cores + $0 * cores) }.joined(separator: ",")
            files["/sys/devices/system/cpu/cpu\(processor)/topology/thread_siblings_list"] = siblings + "\n"
        }
        return files
    }

    private static func processors(_ files: [String: String], otherwise count: Int = 8) -> Processors {
        Processors(otherwise: count) { files[$0] }
    }

    @Test func secondThreadsOfCoresDoNotCount() {
        let whole = Self.processors(Self.machine(cores: 16, perCore: 2))
        #expect(whole.threads == 16 && whole.allowed == 32 && whole.reason == "one per core of 32 processors")
        let plain = Self.processors(Self.machine(cores: 2))
        #expect(plain.threads == 2 && plain.quota == nil && plain.reason == "one per core")
    }

    @Test(arguments: [
        ("0", 1, "one per core in the affinity mask"), ("0,4", 1, "one per core of 2 processors in the affinity mask"),
        ("0-2,6", 3, "one per core of 4 processors in the affinity mask"), ("4-7", 4, "one per core in the affinity mask"),
    ])
    func theAffinityMaskBounds(mask: String, threads: Int, reason: String) {
        let processors = Self.processors(Self.machine(cores: 4, perCore: 2, mask: mask))
        #expect(processors.threads == threads && processors.reason == reason)
    }

    private static let quotas: [(String, Double?)] = [
        ("max 100000\n", nil), ("150000 100000\n", 1.5), ("400000 100000", 4), ("1000 100000", 0.01), ("0 100000", nil), ("100000", nil),
        ("100000 0", nil), ("-1 100000", nil), ("a b", nil), ("", nil), ("1 2 3", nil), ("99999999999999999999 1", nil),
    ]

    @Test(arguments: quotas) func quotasOfVersion2(text: String, quota: Double?) { #expect(Processors.quota(text) == quota) }

    @Test func theSmallestQuotaOfNestedGroupsWins() {
        var files = Self.machine(cores: 8)
        files[Self.groups] = "0::/kubepods/pod1/container\n"
        files["/sys/fs/cgroup/kubepods/pod1/container/cpu.max"] = "max 100000\n"
        #expect(Self.processors(files).quota == nil)
        files["/sys/fs/cgroup/kubepods/cpu.max"] = "600000 100000\n"
        files["/sys/fs/cgroup/kubepods/pod1/cpu.max"] = "150000 100000\n"
        #expect(Self.processors(files).threads == 2)
        #expect(Self.processors(files).reason == "for a quota of 1.5 processors")
        files["/sys/fs/cgroup/cpu.max"] = "50000 100000\n"
        #expect(Self.processors(files).threads == 1)
        // A quota of more than there is.
        files = Self.machine(cores: 2)
        files[Self.groups] = "0::/\n"
        files["/sys/fs/cgroup/cpu.max"] = "9223372036854775807 1\n"
        #expect(Self.processors(files).threads == 2 && Self.processors(files).reason == "one per core")
    }

    @Test func quotasOfVersion1() {
        var files = Self.machine(cores: 8)
        files[Self.groups] = "4:memory:/a\n3:cpu,cpuacct:/a/b\n1:name=systemd:/\n"
        files["/sys/fs/cgroup/cpu/a/b/cpu.cfs_quota_us"] = "-1\n"
        files["/sys/fs/cgroup/cpu/a/b/cpu.cfs_period_us"] = "100000\n"
        #expect(Self.processors(files).threads == 8)
        files["/sys/fs/cgroup/cpu/a/cpu.cfs_quota_us"] = "250000\n"
        #expect(Self.processors(files).threads == 8, "without a period")
        files["/sys/fs/cgroup/cpu/a/cpu.cfs_period_us"] = "100000\n"
        #expect(Self.processors(files).quota == 2.5 && Self.processors(files).threads == 3)
        files["/sys/fs/cgroup/cpu,cpuacct/cpu.cfs_quota_us"] = "100000\n"
        files["/sys/fs/cgroup/cpu,cpuacct/cpu.cfs_period_us"] = "100000\n"
        #expect(Self.processors(files).threads == 1)
    }

    @Test func filesThatSayNothingAreNoBound() {
        #expect(Self.processors([:], otherwise: 6).threads == 6)
        let odd = [Self.status: "Cpus_allowed_list:\tall\n", Self.groups: "nonsense\n0::\n1:cpu\n", Self.online: "many"]
        #expect(Self.processors(odd, otherwise: 3).threads == 3)
        // A mask without topology: each processor is a core.
        #expect(Self.processors([Self.status: "Cpus_allowed_list:\t0-4,9\n"], otherwise: 3).threads == 6)
    }

    private static let written: [(String, [Int]?)] = [
        ("0-3,8\n", [0, 1, 2, 3, 8]), ("5", [5]), ("1,1,0", [0, 1]), ("", nil), ("3-1", nil), ("1-2-3", nil), ("-1", nil),
        ("0-999999999", nil), ("a", nil),
    ]

    @Test(arguments: written) func lists(text: String, numbers: [Int]?) { #expect(Processors.numbers(text) == numbers) }

    @Test func thisProcessMayUseSomething() {
        let now = Processors.ofThisProcess
        #expect(now.threads >= 1 && now.threads <= now.cores && now.cores <= now.allowed && now.allowed <= now.online)
    }
}
