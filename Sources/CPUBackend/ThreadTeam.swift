import CKernels
import Glibc
import HostLimits
import Synchronization

/// Work that a team shares out: `phaseCount` passes, each over its own number of items.
///
/// A phase begins when every item of the one before is done.
package protocol TeamWork: AnyObject {
    /// Passes over items; at least 1.
    var phaseCount: Int { get }

    /// Items of a phase for the batch at hand.
    func itemCount(_ phase: Int) -> Int

    /// Computes items of a phase on one thread; `thread` selects the scratch memory.
    func run(_ phase: Int, _ items: Range<Int>, thread: Int)

    /// Fewest items worth handing to another thread, at least 1; threads take multiples of it.
    func grain(_ phase: Int) -> Int
}

/// A fixed set of threads that compute the items of one step together; the calling thread is number 0.
///
/// A step never waits for a thread that took none of its items, so a thread that the system holds back costs little.
/// Between steps the others spin for some tens of microseconds, then sleep. Whoever waits long yields the processor between looks, so
/// that where threads share one, the thread that has work gets it; soon where there are more threads than processors, and else later than a step
/// of a small model lasts: what is yielded to other work may come back milliseconds later. Nothing is allocated per step.
package final class ThreadTeam: @unchecked Sendable {
    package let count: Int

    /// Number of the step in the upper half, how many items are left in the lower: items are taken by exchanging the whole
    /// word, so a thread that looked at an earlier step takes nothing of a later one, and takes nothing twice.
    private let open = Atomic<UInt64>(0)
    private let finished = Atomic<Int>(0)
    private let sleeping = Atomic<Int>(0)
    private let stopping = Atomic<Bool>(false)
    /// Items that are taken are multiples of it, and at least it.
    private let grain = Atomic<Int>(1)
    /// Of the open step; written while no step is open, and read only by who has taken items of it.
    private unowned(unsafe) var work: (any TeamWork)?
    private var phase = 0
    private var first = 0
    private let mutex = UnsafeMutablePointer<pthread_mutex_t>.allocate(capacity: 1)
    private let condition = UnsafeMutablePointer<pthread_cond_t>.allocate(capacity: 1)
    private var threads: [pthread_t] = []

    /// How often a waiting thread looks before it sleeps; some 50 µs.
    private static let spins = 2000
    /// How often it looks before it yields for the first time: some microseconds, or some 100 where each thread has a processor.
    private let eagerSpins: Int
    /// From one yield to the next.
    private static let yieldInterval = 16

    /// Starts `count − 1` threads; `count` is at least 1.
    package init(count: Int) {
        precondition(count >= 1)
        self.count = count
        eagerSpins = count > Processors.ofThisProcess.allowed ? 128 : 4096
        pthread_mutex_init(mutex, nil)
        pthread_cond_init(condition, nil)
        for index in 1..<max(count, 1) {
            let seat = Unmanaged.passRetained(Seat(team: self, index: index))
            var thread = pthread_t()
            let code = pthread_create(&thread, nil, { seat in
                let seat = Unmanaged<Seat>.fromOpaque(seat!).takeRetainedValue()
                seat.team.serve(seat.index)
                return nil
            }, seat.toOpaque())
            if code == 0 { threads.append(thread) } else { seat.release() }
        }
    }

    private final class Seat {
        unowned(unsafe) let team: ThreadTeam
        let index: Int

        init(team: ThreadTeam, index: Int) {
            self.team = team
            self.index = index
        }
    }

    deinit {
        stopping.store(true, ordering: .sequentiallyConsistent)
        openStep(items: 0)
        for thread in threads { pthread_join(thread, nil) }
        pthread_mutex_destroy(mutex)
        pthread_cond_destroy(condition)
        mutex.deallocate()
        condition.deallocate()
    }

    /// Runs every phase of `work`; returns when all items are done, or the first of each phase where it is only a try.
    package func run(_ work: some TeamWork, isTry: Bool = false) {
        for phase in 0..<work.phaseCount { run(work, phase, 0..<min(work.itemCount(phase), isTry ? work.grain(phase) * count : .max)) }
    }

    /// Runs items of a phase of `work`; returns when they are done.
    package func run(_ work: some TeamWork, _ phase: Int, _ items: Range<Int>) {
        let grain = work.grain(phase)
        if threads.isEmpty || items.count <= grain {
            if !items.isEmpty { work.run(phase, items, thread: 0) }
        } else {
            share(work, phase, items, grain)
        }
    }

    private func share(_ work: some TeamWork, _ phase: Int, _ range: Range<Int>, _ grain: Int) {
        let items = range.count
        self.work = work
        self.phase = phase
        first = range.lowerBound
        self.grain.store(grain, ordering: .relaxed)
        finished.store(0, ordering: .relaxed)
        let step = openStep(items: items)
        takeItems(of: step, thread: 0)
        var looks = 0
        while finished.load(ordering: .acquiring) < items { pass(&looks) }
    }

    /// Passes the time between two looks of a waiting thread.
    private func pass(_ looks: inout Int) {
        looks += 1
        vlm_spin_hint()
        if looks >= eagerSpins, looks % Self.yieldInterval == 0 { sched_yield() }
    }

    /// Lets threads take items of what was set up last; returns the step's number. A step of no items is one that all have to see.
    @discardableResult
    private func openStep(items: Int) -> UInt64 {
        let step = ((open.load(ordering: .relaxed) >> 32) &+ 1) & 0xffff_ffff
        open.store(step << 32 | UInt64(items), ordering: .sequentiallyConsistent)
        let asleep = sleeping.load(ordering: .sequentiallyConsistent)
        if asleep > 0 { wake(asleep, forItems: items) }
        return step
    }

    /// How many of the items that are left a thread takes: a part that shrinks, so that all are done at about the same time.
    private func chunk(of left: Int) -> Int {
        let grain = grain.load(ordering: .relaxed), share = max(left / (2 * count), 1)
        return (share + grain - 1) / grain * grain
    }

    /// Wakes as many of the threads that sleep as there is work for, beside this thread and those that look: they come first.
    private func wake(_ asleep: Int, forItems items: Int) {
        let helpers = items == 0 ? threads.count : (items - 1) / grain.load(ordering: .relaxed)
        let wanted = min(helpers - (threads.count - asleep), asleep)
        guard wanted > 0 else { return }
        pthread_mutex_lock(mutex)
        if wanted == asleep { pthread_cond_broadcast(condition) } else { for _ in 0..<wanted { pthread_cond_signal(condition) } }
        pthread_mutex_unlock(mutex)
    }

    private func takeItems(of step: UInt64, thread: Int) {
        while true {
            let seen = open.load(ordering: .acquiring)
            let left = Int(seen & 0xffff_ffff)
            guard seen >> 32 == step, left > 0 else { return }
            let start = max(left - chunk(of: left), 0)
            let taken = open.compareExchange(
                expected: seen, desired: step << 32 | UInt64(start), ordering: .acquiringAndReleasing)
            guard taken.exchanged else { continue }
            work?.run(phase, first + start..<first + left, thread: thread)
            finished.add(left - start, ordering: .releasing)
        }
    }

    private func serve(_ thread: Int) {
        var seen: UInt64 = 0
        while true {
            seen = waitForStep(after: seen)
            if stopping.load(ordering: .acquiring) { return }
            takeItems(of: seen, thread: thread)
        }
    }

    /// The number of the step that is open, once it is another than `seen`.
    private func waitForStep(after seen: UInt64) -> UInt64 {
        var looks = 0
        while looks < Self.spins {
            let step = open.load(ordering: .acquiring) >> 32
            if step != seen { return step }
            pass(&looks)
        }
        pthread_mutex_lock(mutex)
        defer { pthread_mutex_unlock(mutex) }
        sleeping.add(1, ordering: .sequentiallyConsistent)
        defer { sleeping.subtract(1, ordering: .relaxed) }
        while true {
            let step = open.load(ordering: .sequentiallyConsistent) >> 32
            if step != seen { return step }
            pthread_cond_wait(condition, mutex)
        }
    }
}
