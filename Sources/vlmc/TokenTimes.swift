import Inputs
import Serving
import Synchronization

/// When a sequence's tokens were there.
final class TokenTimes: Sendable {
    private let times = Mutex<[ContinuousClock.Instant]>([])

    var first: ContinuousClock.Instant { times.withLock { $0[0] } }
    var last: ContinuousClock.Instant { times.withLock { $0[$0.count - 1] } }
    var decoder: some TokenTextDecoder { Clock(times: self) }

    func count(after from: ContinuousClock.Instant, upTo to: ContinuousClock.Instant) -> Int {
        times.withLock { $0.count { $0 > from && $0 <= to } }
    }

    /// Notes the time instead of making text.
    private struct Clock: TokenTextDecoder {
        var times: TokenTimes

        mutating func append(_ token: Int32) -> String {
            times.times.withLock { $0.append(.now) }
            return ""
        }

        mutating func finish() -> String { "" }
    }
}
