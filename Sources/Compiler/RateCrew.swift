import Foundation
import Synchronization

/// Times the same work on several threads at once.
final class RateCrew: Sendable {
    private let work: @Sendable (_ thread: Int, _ pass: Int) -> Void
    private let expected: Atomic<Int>
    private let arrived = Atomic<Int>(0)
    private let times = Mutex(Times())

    private struct Times {
        var (start, end) = (UInt64.max, UInt64(0))
        var busy: [Double] = []
    }

    private init(threads: Int, _ work: @escaping @Sendable (_ thread: Int, _ pass: Int) -> Void) {
        self.work = work
        expected = Atomic(threads)
    }

    /// Times the second pass of `work` on threads 0 ..< `threads`, each of which has done the first; nil where a thread cannot be had.
    ///
    /// - Returns: seconds from the first one's start to the last one's end by the clock, and the seconds that each has computed.
    static func seconds(
        threads: Int, _ work: @escaping @Sendable (_ thread: Int, _ pass: Int) -> Void
    ) -> (span: Double, busy: [Double])? {
        let crew = RateCrew(threads: threads, work)
        var started: [pthread_t] = []
        for index in 0..<threads {
            let seat = Unmanaged.passRetained(Seat(crew: crew, index: index))
            var thread = pthread_t()
            let code = pthread_create(&thread, nil, { seat in
                let seat = Unmanaged<Seat>.fromOpaque(seat!).takeRetainedValue()
                seat.crew.serve(seat.index)
                return nil
            }, seat.toOpaque())
            if code == 0 { started.append(thread) } else { seat.release() }
        }
        // Those that have started wait for no others.
        crew.expected.store(started.count, ordering: .releasing)
        for thread in started { pthread_join(thread, nil) }
        let times = crew.times.withLock { $0 }
        guard times.busy.count == threads, times.end > times.start, !times.busy.contains(0) else { return nil }
        return (Double(times.end - times.start) * 1e-9, times.busy)
    }

    private final class Seat {
        let crew: RateCrew
        let index: Int

        init(crew: RateCrew, index: Int) { (self.crew, self.index) = (crew, index) }
    }

    private func serve(_ index: Int) {
        work(index, 0)
        arrived.add(1, ordering: .acquiringAndReleasing)
        while arrived.load(ordering: .acquiring) < expected.load(ordering: .acquiring) { sched_yield() }
        let (start, computed) = (DispatchTime.now().uptimeNanoseconds, Self.threadSeconds)
        work(index, 1)
        let (end, busy) = (DispatchTime.now().uptimeNanoseconds, Self.threadSeconds - computed)
        times.withLock {
            ($0.start, $0.end) = (min($0.start, start), max($0.end, end))
            $0.busy.append(busy)
        }
    }

    /// How long the calling thread has computed.
    static var threadSeconds: Double {
        var time = timespec()
        clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time)
        return Double(time.tv_sec) + Double(time.tv_nsec) * 1e-9
    }
}
