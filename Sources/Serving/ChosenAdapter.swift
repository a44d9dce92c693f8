/// The adapter that a request is answered with, of those that the model was loaded with.
package struct ChosenAdapter: Sendable, Hashable {
    /// Its place among them.
    package var index: Int
    /// Digest of what it is made of: blocks of the KV cache are found again for equal adapters alone.
    package var digest: ContentDigest

    package init(index: Int, digest: ContentDigest) {
        self.index = index
        self.digest = digest
    }
}

/// How many sequences run and wait that are answered with an adapter.
package struct AdapterLoad: Sendable, Equatable {
    package var name: String
    package var running = 0
    package var waiting = 0

    package init(name: String) { self.name = name }
}

extension Scheduler {
    /// Whether a sequence with an adapter may run beside those that do; what waits behind it waits too.
    func admits(_ adapter: ChosenAdapter?) -> Bool {
        guard let adapter, !running.contains(where: { $0.adapter?.index == adapter.index }) else { return true }
        return runningAdapters < limits.maxAdapters
    }

    /// How many adapters running sequences have.
    package var runningAdapters: Int {
        running.indices.count { index in
            guard let adapter = running[index].adapter?.index else { return false }
            return !running[..<index].contains { $0.adapter?.index == adapter }
        }
    }
}
