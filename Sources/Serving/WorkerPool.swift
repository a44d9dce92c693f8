internal import Foundation
internal import Glibc

/// A few threads for work that would hold up event loops or the engine, such as decoding pictures.
package final class WorkerPool: Sendable {
    private let queue = JobQueue()

    /// - Parameter count: threads, at least 1; they yield to the engine's.
    package init(count: Int) {
        let queue = queue
        for index in 0..<max(count, 1) {
            let thread = Thread {
                // On Linux, a thread's own priority: computing tokens goes first.
                setpriority(Int32(PRIO_PROCESS.rawValue), 0, 5)
                while let job = queue.next() { job() }
            }
            thread.name = "worker \(index)"
            thread.stackSize = 8 << 20
            thread.start()
        }
    }

    deinit { queue.close() }

    /// Runs `work` on one of the threads, in the order of the calls; when the task is cancelled before its turn, throws.
    package func run<Value: Sendable>(_ work: @escaping @Sendable () throws -> Value) async throws -> Value {
        let queue = queue
        let flag = CancellationFlag()
        return try await withTaskCancellationHandler {
            try await withCheckedThrowingContinuation { continuation in
                queue.add {
                    guard !flag.isSet else { return continuation.resume(throwing: CancellationError()) }
                    continuation.resume(with: Result { try work() })
                }
            }
        } onCancel: {
            flag.set()
        }
    }
}

private final class CancellationFlag: @unchecked Sendable {
    private let lock = NSLock()
    private var value = false

    var isSet: Bool { lock.withLock { value } }

    func set() { lock.withLock { value = true } }
}

private final class JobQueue: @unchecked Sendable {
    private let condition = NSCondition()
    private var jobs: [@Sendable () -> Void] = []
    private var isClosed = false

    func add(_ job: @escaping @Sendable () -> Void) {
        condition.lock()
        jobs.append(job)
        condition.signal()
        condition.unlock()
    }

    /// The next job; nil once closed and empty.
    func next() -> (@Sendable () -> Void)? {
        condition.lock()
        defer { condition.unlock() }
        while jobs.isEmpty, !isClosed { condition.wait() }
        if jobs.isEmpty { return nil }
        return jobs.removeFirst()
    }

    func close() {
        condition.lock()
        isClosed = true
        condition.broadcast()
        condition.unlock()
    }
}
