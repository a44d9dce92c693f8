internal import Synchronization

/// Bounds the bytes of requests that are held in memory at once.
final class ByteBudget: Sendable {
    private struct Waiter {
        var id: Int
        var count: Int
        var continuation: CheckedContinuation<Bool, Never>
    }
    private struct State {
        var used = 0
        var line: [Waiter] = []
        var nextID = 0
        /// Waiters that were cancelled before they stood in line.
        var cancelled: Set<Int> = []

        /// Whether there is room for `count` beside the rest; one that is too large for all has room when it is alone.
        func fits(_ count: Int, limit: Int) -> Bool { used <= 0 || used + count <= limit }
    }
    private let limit: Int
    private let state = Mutex(State())

    /// - Parameter limit: bytes; a single larger request is let through alone.
    init(limit: Int) { self.limit = limit }

    /// Bytes set aside until the last reference goes.
    final class Reservation: Sendable {
        private let budget: ByteBudget
        private let count: Mutex<Int>

        fileprivate init(_ budget: ByteBudget, _ count: Int) {
            self.budget = budget
            self.count = Mutex(count)
        }

        deinit { budget.change(by: -count.withLock { $0 }) }

        /// Sets more aside; false, and nothing changed, when there is no room now.
        func grow(by more: Int) -> Bool {
            count.withLock { count in
                guard budget.take(more, beside: count) else { return false }
                count += more
                return true
            }
        }

        /// Corrects the bytes to what is really held; more than there is room for makes others wait.
        func settle(at new: Int) {
            let change = count.withLock { count in
                defer { count = new }
                return new - count
            }
            budget.change(by: change)
        }
    }

    /// Sets nothing aside yet.
    func open() -> Reservation { Reservation(self, 0) }

    /// Waits in line until there is room for `count` bytes; a cancelled task leaves the line and throws.
    func reserve(_ count: Int) async throws(CancellationError) -> Reservation {
        let id = state.withLock { state in
            state.nextID += 1
            return state.nextID
        }
        let isGranted = await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                stand(Waiter(id: id, count: count, continuation: continuation))
            }
        } onCancel: {
            leave(id)
        }
        state.withLock { _ = $0.cancelled.remove(id) }
        guard isGranted else { throw CancellationError() }
        return Reservation(self, count)
    }

    private func stand(_ waiter: Waiter) {
        let isGranted: Bool? = state.withLock { state in
            if state.cancelled.contains(waiter.id) { return false }
            guard state.line.isEmpty, state.fits(waiter.count, limit: limit) else {
                state.line.append(waiter)
                return nil
            }
            state.used += waiter.count
            return true
        }
        if let isGranted { waiter.continuation.resume(returning: isGranted) }
    }

    private func leave(_ id: Int) {
        let waiter: Waiter? = state.withLock { state in
            guard let place = state.line.firstIndex(where: { $0.id == id }) else {
                state.cancelled.insert(id)
                return nil
            }
            return state.line.remove(at: place)
        }
        waiter?.continuation.resume(returning: false)
        // Who stood behind may be smaller.
        change(by: 0)
    }

    /// Takes `count` bytes for one that holds `own` already, if there is room beside the others.
    private func take(_ count: Int, beside own: Int) -> Bool {
        state.withLock { state in
            guard state.used - own <= 0 || state.used + count <= limit else { return false }
            state.used += count
            return true
        }
    }

    private func change(by count: Int) {
        let next = state.withLock { state in
            state.used += count
            var next: [Waiter] = []
            while let first = state.line.first, state.fits(first.count, limit: limit) {
                state.used += first.count
                next.append(first)
                state.line.removeFirst()
            }
            return next
        }
        for waiter in next { waiter.continuation.resume(returning: true) }
    }
}
