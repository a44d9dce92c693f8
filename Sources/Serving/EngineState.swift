internal import Synchronization

/// What the engine's thread and the rest of the process share.
final class EngineState: Sendable {
    private struct Values {
        var phase = EnginePhase.loading
        var inFlight = 0
        var requests = 0
        var nextID = 0
        var metrics = Metrics()
    }
    private let values = Mutex(Values())

    var phase: EnginePhase {
        get { values.withLock { $0.phase } }
        set { values.withLock { $0.phase = newValue } }
    }

    var metrics: Metrics { values.withLock { $0.metrics } }
    var inFlight: Int { values.withLock { $0.inFlight } }
    var requests: Int { values.withLock { $0.requests } }

    func updateMetrics(_ change: (inout Metrics) -> Void) { values.withLock { change(&$0.metrics) } }

    /// Counts the answers of a request in and calls `post` with the id of the first, in the order of ids.
    ///
    /// One that finds room in the queue is taken with all its answers.
    func admit(_ count: Int, ifFewerWaitThan maxQueued: Int, behind maxSequences: Int, _ post: (Int) -> Void) throws(AdmissionError) {
        let refusal: AdmissionError? = values.withLock { values in
            guard values.phase == .serving else { return .notServing(values.phase) }
            let waiting = values.inFlight - maxSequences
            guard waiting < maxQueued else { return .queueFull(waiting: waiting) }
            values.inFlight += count
            values.requests += 1
            post(values.nextID + 1)
            values.nextID += count
            return nil
        }
        if let refusal { throw refusal }
    }

    /// Counts a request out, all of whose answers have ended.
    func endRequest() { values.withLock { $0.requests -= 1 } }

    func leave(_ count: Int = 1) { values.withLock { $0.inFlight -= count } }

    /// Moves from serving, or an earlier phase, to draining; false when the engine has ended already.
    func beginDraining() -> Bool {
        values.withLock { values in
            switch values.phase {
            case .stopped, .failed: return false
            default:
                values.phase = .draining
                return true
            }
        }
    }

    /// Sets a phase of the start unless draining has begun.
    func advance(to phase: EnginePhase) {
        values.withLock { values in
            if values.phase != .draining { values.phase = phase }
        }
    }
}

/// What handlers post to the engine's thread.
enum EngineCommand: Sendable {
    /// The answers of a group have ids from `id` on.
    case submit(
        id: Int, GenerationGroup, arrival: ContinuousClock.Instant, deliver: @Sendable (_ branch: Int, GenerationEvent) -> Void)
    case cancel(ids: Range<Int>)
    /// Blocks have been read or written.
    case storedBlocks
    /// Ends the thread once nothing is left to do.
    case drain
    /// Ends what is left, with reason `abort`.
    case abort
}
