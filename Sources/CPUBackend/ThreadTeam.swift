import CKernels
import Glibc
import Synchronization

/// Work that a team shares out: `phases` passes, each over its own number of items.
///
/// A phase begins when every item of the one before is done.
protocol TeamWork: AnyObject {
    /// Passes over items; at least 1.
    var phaseCount: Int { get }

    /// Items of a phase for the batch at hand.
    func itemCount(_ phase: Int) -> Int

    /// Computes items of a phase on one thread; `thread` selects the scratch memory.
    func run(_ phase: Int, _ items: Range<Int>, thread: Int)

    /// Fewest items worth handing to another thread.
    func grain(_ phase: Int) -> Int
}

/// A fixed set of threads that compute the items of one step together; the calling thread is number 0.
///
/// Between steps the others spin for some tens of microseconds, then sleep. Nothing is allocated per step.
final class ThreadTeam: @unchecked Sendable {
    let count: Int

    private let generation = Atomic<UInt32>(0)
    private let next = Atomic<Int>(0)
    private let working = Atomic<Int>(0)
    private let sleeping = Atomic<Int>(0)
    private let stopping = Atomic<Bool>(false)
    private unowned(unsafe) var work: (any TeamWork)?
    private var phase = 0
    private var itemCount = 0
    private var chunk = 1
    private let mutex = UnsafeMutablePointer<pthread_mutex_t>.allocate(capacity: 1)
    private let condition = UnsafeMutablePointer<pthread_cond_t>.allocate(capacity: 1)
    private var threads: [pthread_t] = []

    /// How often a waiting thread looks before it sleeps; some 50 µs.
    private static let spins = 4000

    /// Starts `count − 1` threads; `count` is at least 1.
    init(count: Int) {
        precondition(count >= 1)
        self.count = count
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
        stopping.store(true, ordering: .releasing)
        generation.add(1, ordering: .releasing)
        wake()
        for thread in threads { pthread_join(thread, nil) }
        pthread_mutex_destroy(mutex)
        pthread_cond_destroy(condition)
        mutex.deallocate()
        condition.deallocate()
    }

    /// Runs every phase of `work`; returns when all items are done.
    func run(_ work: some TeamWork) {
        for phase in 0..<work.phaseCount {
            let items = work.itemCount(phase)
            let grain = work.grain(phase)
            if threads.isEmpty || items <= grain {
                if items > 0 { work.run(phase, 0..<items, thread: 0) }
            } else {
                share(work, phase, items, grain)
            }
        }
    }

    private func share(_ work: some TeamWork, _ phase: Int, _ items: Int, _ grain: Int) {
        self.work = work
        self.phase = phase
        itemCount = items
        chunk = max(grain, items / ((threads.count + 1) * 4))
        next.store(0, ordering: .relaxed)
        working.store(threads.count, ordering: .relaxed)
        generation.add(1, ordering: .sequentiallyConsistent)
        if sleeping.load(ordering: .sequentiallyConsistent) > 0 { wake() }
        takeItems(thread: 0)
        while working.load(ordering: .acquiring) > 0 { vlm_spin_hint() }
    }

    private func takeItems(thread: Int) {
        guard let work else { return }
        while true {
            let start = next.add(chunk, ordering: .relaxed).oldValue
            guard start < itemCount else { return }
            work.run(phase, start..<min(start + chunk, itemCount), thread: thread)
        }
    }

    private func serve(_ thread: Int) {
        var seen: UInt32 = 0
        while true {
            waitForChange(from: seen)
            seen &+= 1
            if stopping.load(ordering: .acquiring) { return }
            takeItems(thread: thread)
            working.subtract(1, ordering: .releasing)
        }
    }

    private func waitForChange(from seen: UInt32) {
        for _ in 0..<Self.spins {
            if generation.load(ordering: .acquiring) != seen { return }
            vlm_spin_hint()
        }
        pthread_mutex_lock(mutex)
        sleeping.add(1, ordering: .sequentiallyConsistent)
        while generation.load(ordering: .sequentiallyConsistent) == seen {
            pthread_cond_wait(condition, mutex)
        }
        sleeping.subtract(1, ordering: .relaxed)
        pthread_mutex_unlock(mutex)
    }

    private func wake() {
        pthread_mutex_lock(mutex)
        pthread_cond_broadcast(condition)
        pthread_mutex_unlock(mutex)
    }
}
