import Dispatch
import Synchronization

/// Runs asynchronous work while the caller's thread waits; never to be called by work of that kind.
///
/// - Parameter begun: handed the task, which may be cancelled meanwhile.
package func waiting<Value: Sendable>(
    begun: (Task<Value, any Error>) -> Void = { _ in }, for work: @escaping @Sendable () async throws -> Value
) throws -> Value {
    let outcome = Outcome<Value>()
    let task = Task { try await work() }
    begun(task)
    Task { outcome.set(await task.result) }
    return try outcome.wait()
}

private final class Outcome<Value: Sendable>: Sendable {
    private let result = Mutex<Result<Value, any Error>?>(nil)
    private let isThere = DispatchSemaphore(value: 0)

    func set(_ value: Result<Value, any Error>) {
        result.withLock { $0 = value }
        isThere.signal()
    }

    func wait() throws -> Value {
        isThere.wait()
        guard let value = result.withLock({ $0 }) else { throw CancellationError() }
        return try value.get()
    }
}
