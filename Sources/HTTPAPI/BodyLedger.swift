internal import Glibc
internal import Serving

/// Which bodies hold how much of the memory for bodies, and which of them give way when it is full: a value without clocks.
///
/// Bodies that arrive slowly for what they hold give way first, then those of the peer that holds most, as long as it holds
/// more than the peer that asks. A body that is whole keeps its memory until it is parsed.
package struct BodyLedger: Sendable {
    package typealias ID = Int

    /// What becomes of a body that wants to grow.
    package enum Growth: Equatable {
        /// It may; the bodies of these IDs have given way.
        case granted(gaveWay: [ID])
        /// There is no room.
        case refused
    }

    private struct Entry {
        var peer: String
        var held = 0
        var isWhole = false
        /// Bytes a second of late, as of `seen`: what arrived counts less the longer it is ago.
        private var rate = 0.0
        private var seen: Duration

        init(peer: String, at now: Duration) {
            self.peer = peer
            seen = now
        }

        /// Whether it would take too long to send what it holds at the rate of late.
        func isSlow(at now: Duration) -> Bool {
            rate(at: now) * BodyLedger.patience.seconds < Double(held)
        }

        mutating func count(_ more: Int, at now: Duration) {
            rate = rate(at: now) + Double(more) / BodyLedger.memory.seconds
            seen = now
            held += more
        }

        private func rate(at now: Duration) -> Double {
            rate * exp(-(now - seen).seconds / BodyLedger.memory.seconds)
        }
    }

    /// How long ago what arrived is still of late: the time constant of an exponential average.
    private static let memory = Duration.seconds(1)
    /// In which a body must be able to send again what it holds; else it is slow. One that stops is slow after 3.4 s.
    private static let patience = Duration.seconds(30)

    private let limit: MemoryLimit
    private var entries: [ID: Entry] = [:]
    private var nextID = 0
    package private(set) var used = 0

    /// - Parameter limit: of all bodies together.
    package init(limit: MemoryLimit) { self.limit = limit }

    /// A body of which nothing has arrived.
    package mutating func open(peer: String, at now: Duration) -> ID {
        nextID += 1
        entries[nextID] = Entry(peer: peer, at: now)
        return nextID
    }

    /// `more` bytes arrive; nobody gives way where it would not be enough. A body that gave way stays refused.
    package mutating func grow(_ id: ID, by more: Int, at now: Duration) -> Growth {
        guard let own = entries[id] else { return .refused }
        var gaveWay: [ID] = []
        if !limit.admits(more, own: own.held, used: used) {
            var next = self
            while !limit.admits(more, own: own.held, used: next.used) {
                guard let loser = next.loser(for: id, more, at: now) else { return .refused }
                next.close(loser)
                gaveWay.append(loser)
            }
            self = next
        }
        entries[id]?.count(more, at: now)
        used += more
        return .granted(gaveWay: gaveWay)
    }

    /// The body has arrived; it gives way no more.
    package mutating func complete(_ id: ID) { entries[id]?.isWhole = true }

    /// The body's bytes are free, unless it gave way before.
    package mutating func close(_ id: ID) { used -= entries.removeValue(forKey: id)?.held ?? 0 }

    /// Who gives way so that `id` may take `more`: of the slow bodies, or of the peer that holds most, the largest. Nil when that is
    /// `id` itself, or nobody.
    private func loser(for id: ID, _ more: Int, at now: Duration) -> ID? {
        let arriving = entries.filter { !$0.value.isWhole && $0.value.held > 0 }
        if let slowest = arriving.filter({ $0.value.isSlow(at: now) }).max(by: { $0.value.held < $1.value.held }) {
            return slowest.key == id ? nil : slowest.key
        }
        let others = arriving.filter { $0.key != id }
        guard let own = entries[id]?.peer else { return nil }
        var shares: [String: Int] = [:]
        for entry in entries.values { shares[entry.peer, default: 0] += entry.held }
        func share(_ peer: String) -> Int { shares[peer, default: 0] }
        let richer = others.values.filter { $0.peer != own && share($0.peer) - $0.held >= share(own) + more }
        guard let richest = richer.map(\.peer).max(by: { share($0) < share($1) }) else { return nil }
        return others.filter { $0.value.peer == richest }.max { $0.value.held < $1.value.held }?.key
    }
}
