internal import Glibc
internal import NIOCore
internal import Synchronization

/// The memory of bodies that arrive or wait to be parsed.
final class ArrivingBodies: Sendable {
    private struct State {
        var ledger: BodyLedger
        var channels: [BodyLedger.ID: any Channel] = [:]
    }
    private let began = ContinuousClock.now
    private let state: Mutex<State>

    /// - Parameter limit: bytes of all together.
    init(limit: Int) { state = Mutex(State(ledger: BodyLedger(limit: MemoryLimit(bytes: limit)))) }

    /// One body's part of it, until the last reference goes.
    final class Room: Sendable {
        private let bodies: ArrivingBodies
        private let id: BodyLedger.ID

        fileprivate init(_ bodies: ArrivingBodies, _ id: BodyLedger.ID) {
            self.bodies = bodies
            self.id = id
        }

        deinit { bodies.close(id) }

        /// Takes memory for bytes that have arrived; false, and nothing taken, when there is none or this body gave way.
        func grow(by more: Int) -> Bool { bodies.grow(id, by: more) }

        /// The whole body has arrived; false when it gave way to others before.
        func complete() -> Bool { bodies.complete(id) }
    }

    /// Room for the body that arrives on `channel`, with nothing taken yet.
    func open(_ channel: any Channel) -> Room {
        let now = ContinuousClock.now - began
        return state.withLock { state in
            let id = state.ledger.open(peer: channel.peer, at: now)
            state.channels[id] = channel
            return Room(self, id)
        }
    }

    private func grow(_ id: BodyLedger.ID, by more: Int) -> Bool {
        let now = ContinuousClock.now - began
        let gaveWay: [any Channel]? = state.withLock { state in
            guard case .granted(let losers) = state.ledger.grow(id, by: more, at: now) else { return nil }
            return losers.compactMap { state.channels.removeValue(forKey: $0) }
        }
        for channel in gaveWay ?? [] { channel.triggerUserOutboundEvent(ConnectionRules.BodyGivesWay(), promise: nil) }
        return gaveWay != nil
    }

    private func complete(_ id: BodyLedger.ID) -> Bool {
        state.withLock { state in
            state.ledger.complete(id)
            return state.channels.removeValue(forKey: id) != nil
        }
    }

    private func close(_ id: BodyLedger.ID) {
        state.withLock { state in
            state.ledger.close(id)
            state.channels[id] = nil
        }
    }
}

extension Channel {
    /// Who is at the other end.
    var peer: String { peerName(of: remoteAddress?.ipAddress ?? "") }
}

/// What counts as one peer: an IPv4 address, also in the form that a dual-stack socket gives it, or the /64 network that a site
/// is given of IPv6 addresses.
///
/// Clients behind one proxy are one peer: names of peers in headers may be anything.
package func peerName(of address: String) -> String {
    var bytes = [UInt8](repeating: 0, count: 16)
    guard inet_pton(AF_INET6, address, &bytes) == 1 else { return address }
    if bytes.prefix(12) == [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xFF, 0xFF] { return bytes.suffix(4).map(String.init).joined(separator: ".") }
    return bytes.prefix(8).map { String($0, radix: 16) }.joined(separator: ":")
}
