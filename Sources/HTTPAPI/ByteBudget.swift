internal import Serving
internal import Synchronization

/// Bounds the bytes of what is made of requests; who finds no room waits. Small requests pass those that wait, and peers take turns.
final class ByteBudget: Sendable {
    private struct Waiter {
        var id: Int
        var count: Int
        var continuation: CheckedContinuation<Bool, Never>
    }
    private struct State {
        var used = 0
        var queue = FairQueue<Waiter>()
        var nextID = 0
        /// Waiters that were cancelled before they were queued.
        var cancelled: Set<Int> = []
    }
    private let limit: MemoryLimit
    private let state = Mutex(State())

    /// - Parameter limit: bytes; a single larger request is let through alone.
    init(limit: Int) { self.limit = MemoryLimit(bytes: limit) }

    /// Bytes set aside until the last reference goes.
    final class Reservation: Sendable {
        private let budget: ByteBudget
        private let count: Mutex<Int>

        fileprivate init(_ budget: ByteBudget, _ count: Int) {
            self.budget = budget
            self.count = Mutex(count)
        }

        deinit { budget.change(by: -count.withLock { $0 }) }

        /// Corrects the bytes to what is really held; more than there is room for makes others wait.
        func settle(at new: Int) {
            let change = count.withLock { count in
                defer { count = new }
                return new - count
            }
            budget.change(by: change)
        }
    }

    /// Waits until there is room for `count` bytes; a cancelled task leaves the queue and throws.
    func reserve(_ count: Int, peer: String) async throws(CancellationError) -> Reservation {
        let id = state.withLock { state in
            state.nextID += 1
            return state.nextID
        }
        let isGranted = await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                enqueue(Waiter(id: id, count: count, continuation: continuation), peer)
            }
        } onCancel: {
            leave(id)
        }
        state.withLock { _ = $0.cancelled.remove(id) }
        guard isGranted else { throw CancellationError() }
        return Reservation(self, count)
    }

    private func enqueue(_ waiter: Waiter, _ peer: String) {
        let isGranted: Bool? = state.withLock { state in
            if state.cancelled.contains(waiter.id) { return false }
            guard state.queue.isEmpty || limit.isSmall(waiter.count), limit.admits(waiter.count, own: 0, used: state.used) else {
                state.queue.append(waiter, peer: peer)
                return nil
            }
            state.used += waiter.count
            return true
        }
        if let isGranted { waiter.continuation.resume(returning: isGranted) }
    }

    private func leave(_ id: Int) {
        let waiter: Waiter? = state.withLock { state in
            let waiter = state.queue.remove { $0.id == id }
            if waiter == nil { state.cancelled.insert(id) }
            return waiter
        }
        waiter?.continuation.resume(returning: false)
        // The next request in the queue may need less.
        change(by: 0)
    }

    private func change(by count: Int) {
        let next = state.withLock { state in
            state.used += count
            var next: [Waiter] = []
            while let first = state.queue.first, limit.admits(first.count, own: 0, used: state.used) {
                state.used += first.count
                next.append(first)
                _ = state.queue.popFirst()
            }
            return next
        }
        for waiter in next { waiter.continuation.resume(returning: true) }
    }
}
