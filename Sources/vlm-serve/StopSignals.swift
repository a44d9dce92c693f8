import Dispatch
import Glibc
import Serving
import Synchronization
import UnixSignals

/// SIGTERM and SIGINT: the first asks the server to stop, the second ends the process at once with code 1.
///
/// A stop that is not over within the grace ends the process with code 0: clients that neither read nor leave do not
/// keep it alive.
final class StopSignals: Sendable {
    private let stopping = Atomic(false)
    private let task = Mutex<Task<Void, Never>?>(nil)

    /// Traps the signals from now on; `stop` is called at the first.
    init(grace: Duration, stop: @escaping @Sendable () async -> Void) async {
        let signals = await UnixSignalsSequence(trapping: .sigterm, .sigint)
        let watch = Task.detached { [self] in
            for await signal in signals {
                guard !stopping.exchange(true, ordering: .relaxed) else {
                    Console.say("\(signal) again: stopped with requests at work")
                    _exit(1)
                }
                DispatchQueue.global().asyncAfter(deadline: .now() + grace.seconds) {
                    Console.say("stopped with connections open")
                    _exit(0)
                }
                await stop()
            }
        }
        task.withLock { $0 = watch }
    }

    /// Whether a signal came.
    var isStopping: Bool { stopping.load(ordering: .relaxed) }

    func cancel() { task.withLock { $0?.cancel() } }
}
