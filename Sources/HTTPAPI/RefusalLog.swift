internal import JSON
internal import Serving
internal import Synchronization

/// Counts and logs what is refused before it becomes a request: heads that may not pass, and what is no HTTP.
final class RefusalLog: Sendable {
    private let engine: Engine
    private let log: (@Sendable (LogLine) -> Void)?
    private let lines = Mutex(RefusalLines())

    init(engine: Engine, log: (@Sendable (LogLine) -> Void)?) {
        self.engine = engine
        self.log = log
    }

    /// - Parameter id: of the answer.
    func note(_ error: APIError, _ id: RequestID) {
        engine.updateMetrics { $0.http[Metrics.HTTPKey(handler: "none", status: error.status), default: 0] += 1 }
        guard let log, let dropped = lines.withLock({ $0.admit(at: ContinuousClock.now) }) else { return }
        let more = dropped == 0 ? "" : " (and \(dropped) refusals more before)"
        log(
            LogLine(
                message: "refused \(error.status), request \(id.text): \(error.text.logged)\(more)",
                fields: [("request_id", .string(id.text)), ("status", .int(error.status)), ("error", .string(error.text.logged))]))
    }
}

/// Which lines about refusals are written: a few each second, since anybody may cause them.
package struct RefusalLines {
    private static let perSecond = 5
    private var windowBegan: ContinuousClock.Instant?
    private var written = 0
    private var dropped = 0

    package init() {}

    /// Nil when the line is to be dropped, else how many were since the last that was not.
    package mutating func admit(at now: ContinuousClock.Instant) -> Int? {
        if windowBegan.map({ now - $0 >= .seconds(1) }) ?? true {
            windowBegan = now
            written = 0
        }
        guard written < Self.perSecond else {
            dropped += 1
            return nil
        }
        written += 1
        defer { dropped = 0 }
        return dropped
    }
}
