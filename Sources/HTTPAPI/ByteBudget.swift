internal import Synchronization

/// Bounds the bytes of requests that are held in memory at once; who asks for more waits in line.
final class ByteBudget: Sendable {
    private struct State {
        var used = 0
        var line: [(count: Int, continuation: CheckedContinuation<Void, Never>)] = []
    }
    private let limit: Int
    private let state = Mutex(State())

    /// - Parameter limit: bytes; a single larger request is let through alone.
    init(limit: Int) { self.limit = limit }

    /// Bytes set aside until the last reference goes.
    final class Reservation: Sendable {
        private let budget: ByteBudget
        private let count: Int

        fileprivate init(_ budget: ByteBudget, _ count: Int) {
            self.budget = budget
            self.count = count
        }

        deinit { budget.release(count) }
    }

    func reserve(_ count: Int) async -> Reservation {
        await withCheckedContinuation { continuation in
            let isFree = state.withLock { state in
                guard state.line.isEmpty, state.used == 0 || state.used + count <= limit else {
                    state.line.append((count, continuation))
                    return false
                }
                state.used += count
                return true
            }
            if isFree { continuation.resume() }
        }
        return Reservation(self, count)
    }

    private func release(_ count: Int) {
        let next = state.withLock { state in
            state.used -= count
            var next: [CheckedContinuation<Void, Never>] = []
            while let first = state.line.first, state.used == 0 || state.used + first.count <= limit {
                state.used += first.count
                next.append(first.continuation)
                state.line.removeFirst()
            }
            return next
        }
        for continuation in next { continuation.resume() }
    }
}
