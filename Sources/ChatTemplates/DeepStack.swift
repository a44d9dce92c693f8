import Foundation

/// Runs recursive work on a thread whose stack is deep enough for every limit on nesting.
///
/// Threads of pools have half a megabyte, which a template that nests as deep as allowed would overflow.
enum DeepStack {
    private static let byteCount = 16 << 20

    static func run<Result: Sendable, Failure: Error>(
        _ body: @escaping @Sendable () throws(Failure) -> Result
    ) throws(Failure) -> Result {
        let outcome = Outcome<Result, Failure>()
        let thread = Thread { outcome.finish(Swift.Result(catching: body)) }
        thread.stackSize = byteCount
        thread.start()
        return try outcome.wait().get()
    }

    /// Hands a result from one thread to another.
    private final class Outcome<Value: Sendable, Failure: Error>: @unchecked Sendable {
        private let done = DispatchSemaphore(value: 0)
        private var result: Result<Value, Failure>?

        func finish(_ result: Result<Value, Failure>) {
            self.result = result
            done.signal()
        }

        func wait() -> Result<Value, Failure> {
            done.wait()
            guard let result else { preconditionFailure("signalled without a result") }
            return result
        }
    }
}
