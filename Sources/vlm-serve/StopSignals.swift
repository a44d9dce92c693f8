import Dispatch
import Glibc
import Serving
import Synchronization
import UnixSignals

/// SIGTERM, SIGINT, SIGQUIT, and SIGHUP unless the process was started without it: the first asks the server to stop, the second ends the process at once with code 1. Supervisors tell
/// process and group, so signals within a tenth of a second of the first are one with it.
///
/// A stop that is not over within the grace ends the process with code 0: clients that neither read nor leave do not
/// keep it alive. Before there is something to stop, the first signal ends the process with code 0.
final class StopSignals: Sendable {
    private struct State {
        /// When the first signal came.
        var stoppingSince: ContinuousClock.Instant?
        var stop: (@Sendable () async -> Void)?
        var grace = Duration.zero
    }
    private let state = Mutex(State())
    private let watch = Mutex<Task<Void, Never>?>(nil)

    /// Traps the signals from now on.
    init() async {
        var hangUp = sigaction()
        sigaction(SIGHUP, nil, &hangUp)
        let isDetached = unsafeBitCast(hangUp.__sigaction_handler.sa_handler, to: Int.self) == unsafeBitCast(SIG_IGN, to: Int.self)
        let signals = await UnixSignalsSequence(trapping: [.sigterm, .sigint, .sigquit] + (isDetached ? [] : [.sighup]))
        let task = Task.detached { [self] in
            for await signal in signals { await obey("\(signal)") }
        }
        watch.withLock { $0 = task }
    }

    /// Has the next signal call `stop`, which may take as long as `grace`.
    func onFirst(grace: Duration, stop: @escaping @Sendable () async -> Void) {
        state.withLock { state in
            state.grace = grace
            state.stop = stop
        }
    }

    /// Whether a signal came.
    var isStopping: Bool { state.withLock { $0.stoppingSince != nil } }

    private static let sameSignal = Duration.milliseconds(100)

    func cancel() { watch.withLock { $0?.cancel() } }

    private func obey(_ signal: String) async {
        let now = ContinuousClock.now
        let (since, stop, grace) = state.withLock { state in
            defer { state.stoppingSince = state.stoppingSince ?? now }
            return (state.stoppingSince, state.stop, state.grace)
        }
        if let since {
            guard now - since > Self.sameSignal else { return }
            ServerLog.warn("\(signal) again: stopped with requests at work")
            _exit(1)
        }
        guard let stop else { _exit(0) }
        DispatchQueue.global().asyncAfter(deadline: .now() + grace.seconds) {
            ServerLog.warn("stopped with connections open")
            _exit(0)
        }
        await stop()
    }
}
