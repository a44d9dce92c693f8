import Glibc

/// Files and sockets that this process may have open.
enum OpenFiles {
    /// Kept for libraries, pipes and files beside connections.
    private static let others = 64

    /// Raises the soft limit to the hard one, up to what is useful, and says how many connections that leaves room for.
    static func connectionsMax() -> Int {
        var limit = rlimit()
        guard getrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit) == 0 else { return 1024 - others }
        let useful = rlim_t(16384)
        if limit.rlim_cur < useful {
            var raised = limit
            raised.rlim_cur = min(limit.rlim_max, useful)
            if setrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &raised) == 0 { limit = raised }
        }
        return max(Int(min(limit.rlim_cur, useful)) - others, 8)
    }
}
