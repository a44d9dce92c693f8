internal import Synchronization

/// Bounds the bytes of requests that are held in memory at once. Large requests leave an eighth of it to small ones, which
/// pass those that wait.
final class ByteBudget: Sendable {
    private struct Waiter {
        var id: Int
        var count: Int
        var continuation: CheckedContinuation<Bool, Never>
    }
    private struct State {
        var used = 0
        var queue: [Waiter] = []
        var nextID = 0
        /// Waiters that were cancelled before they were queued.
        var cancelled: Set<Int> = []

    }
    /// Requests up to this many bytes are small.
    private static let smallBytes = 4 << 20
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

    private func isSmall(_ count: Int) -> Bool { count <= min(Self.smallBytes, limit / 8) }

    /// Whether there is room for `more` beside what others use, for one that then holds `total`; one that is too large for
    /// all has room when it is alone.
    private func fits(_ more: Int, total: Int, beside used: Int) -> Bool {
        let own = total - more
        return used - own <= 0 || used + more <= (isSmall(total) ? limit : limit - limit / 8)
    }

    private func fits(_ count: Int, _ state: State) -> Bool { fits(count, total: count, beside: state.used) }

    /// Sets nothing aside yet.
    func open() -> Reservation { Reservation(self, 0) }

    /// Waits until there is room for `count` bytes; a cancelled task leaves the queue and throws.
    func reserve(_ count: Int) async throws(CancellationError) -> Reservation {
        let id = state.withLock { state in
            state.nextID += 1
            return state.nextID
        }
        let isGranted = await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                enqueue(Waiter(id: id, count: count, continuation: continuation))
            }
        } onCancel: {
            leave(id)
        }
        state.withLock { _ = $0.cancelled.remove(id) }
        guard isGranted else { throw CancellationError() }
        return Reservation(self, count)
    }

    private func enqueue(_ waiter: Waiter) {
        let isGranted: Bool? = state.withLock { state in
            if state.cancelled.contains(waiter.id) { return false }
            guard state.queue.isEmpty || isSmall(waiter.count), fits(waiter.count, state) else {
                state.queue.append(waiter)
                return nil
            }
            state.used += waiter.count
            return true
        }
        if let isGranted { waiter.continuation.resume(returning: isGranted) }
    }

    private func leave(_ id: Int) {
        let waiter: Waiter? = state.withLock { state in
            guard let place = state.queue.firstIndex(where: { $0.id == id }) else {
                state.cancelled.insert(id)
                return nil
            }
            return state.queue.remove(at: place)
        }
        waiter?.continuation.resume(returning: false)
        // The next one may be smaller.
        change(by: 0)
    }

    /// Takes `count` bytes for one that holds `own` already, if there is room beside the others.
    private func take(_ count: Int, beside own: Int) -> Bool {
        state.withLock { state in
            guard fits(count, total: own + count, beside: state.used) else { return false }
            state.used += count
            return true
        }
    }

    private func change(by count: Int) {
        let next = state.withLock { state in
            state.used += count
            var next: [Waiter] = []
            while let first = state.queue.first, fits(first.count, state) {
                state.used += first.count
                next.append(first)
                state.queue.removeFirst()
            }
            return next
        }
        for waiter in next { waiter.continuation.resume(returning: true) }
    }
}
