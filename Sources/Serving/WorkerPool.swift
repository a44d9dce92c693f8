package import Budgets
internal import Foundation
internal import Glibc

/// A few threads for work that would hold up event loops or the engine, such as decoding images.
///
/// Short work has threads of its own: a text never waits behind images.
package final class WorkerPool: Sendable {
    /// How long a job may take.
    package enum Lane: Sendable {
        /// Milliseconds: reading or tokenizing a text. What takes longer than `shortSlice` begins anew in the other lane.
        case short
        /// Up to the request's budget: images, bodies of megabytes.
        case long
    }

    /// Processor time that a short job may take: many times what an ordinary text of a short body does.
    private static let shortSlice = Duration.milliseconds(250)

    private let short = JobQueue()
    private let long = JobQueue()

    /// - Parameters:
    ///   - count: threads of each lane, at least 1; they yield to the engine's, those of long work most.
    ///   - afterLongWork: called on a thread of long work when there has been none for half a second, and after ten seconds of it.
    package init(count: Int, afterLongWork: @escaping @Sendable () -> Void = {}) {
        for index in 0..<max(count, 1) {
            Self.start("short \(index)", short, niceness: 2)
            Self.start("long \(index)", long, niceness: 10, afterLongWork)
        }
    }

    deinit {
        short.close()
        long.close()
    }

    private static func start(
        _ name: String, _ queue: JobQueue, niceness: Int32, _ afterWork: @escaping @Sendable () -> Void = {}
    ) {
        let thread = Thread {
            // On Linux, a thread's own priority: computing tokens goes first.
            setpriority(Int32(PRIO_PROCESS.rawValue), 0, niceness)
            let clock = ContinuousClock()
            var last = clock.now
            while let job = queue.next(whenIdle: afterWork) {
                job()
                guard clock.now - last > .seconds(10) else { continue }
                afterWork()
                last = clock.now
            }
        }
        thread.name = name
        thread.stackSize = 8 << 20
        thread.start()
    }

    /// Runs `work` on one of the lane's threads: peers take turns, each one's work in the order of the calls. A short job that is
    /// long after all runs twice. When the task is cancelled, `budget` is, and work whose turn has not come throws.
    package func run<Value: Sendable>(
        _ lane: Lane, peer: String = "", _ budget: WorkBudget, _ work: @escaping @Sendable () throws -> Value
    ) async throws -> Value {
        let job: @Sendable () throws -> Value = {
            try budget.check()
            return try work()
        }
        return try await withTaskCancellationHandler {
            if lane == .short {
                let value = try await run(in: short, peer) { try budget.onThisThread(slice: Self.shortSlice, job) }
                if let value { return value }
            }
            return try await run(in: long, peer) { try budget.onThisThread(job) }
        } onCancel: {
            budget.cancel()
        }
    }

    private func run<Value: Sendable>(
        in queue: JobQueue, _ peer: String, _ job: @escaping @Sendable () throws -> Value
    ) async throws -> Value {
        try await withCheckedThrowingContinuation { continuation in
            queue.add(peer) { continuation.resume(with: Result { try job() }) }
        }
    }
}

private final class JobQueue: @unchecked Sendable {
    private let condition = NSCondition()
    private var jobs = FairQueue<@Sendable () -> Void>()
    private var isClosed = false

    func add(_ peer: String, _ job: @escaping @Sendable () -> Void) {
        condition.lock()
        jobs.append(job, peer: peer)
        condition.signal()
        condition.unlock()
    }

    /// The next job; nil once closed and empty. After half a second without one, `action` is called once.
    func next(whenIdle action: () -> Void) -> (@Sendable () -> Void)? {
        condition.lock()
        defer { condition.unlock() }
        let pauseEnd = Date(timeIntervalSinceNow: 0.5)
        while jobs.isEmpty, !isClosed, condition.wait(until: pauseEnd) {}
        if jobs.isEmpty, !isClosed {
            condition.unlock()
            action()
            condition.lock()
        }
        while jobs.isEmpty, !isClosed { condition.wait() }
        return jobs.popFirst()
    }

    func close() {
        condition.lock()
        isClosed = true
        condition.broadcast()
        condition.unlock()
    }
}
