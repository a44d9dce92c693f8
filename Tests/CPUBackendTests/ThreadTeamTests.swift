import CPUBackend
import Synchronization
import Testing

@Suite struct ThreadTeamTests {
    /// Counts how often each item is computed.
    private final class Counting: TeamWork {
        let phaseCount = 2
        let items: Int
        private let times: UnsafeMutablePointer<Atomic<Int>>

        init(items: Int) {
            self.items = items
            times = .allocate(capacity: items)
            for item in 0..<items { (times + item).initialize(to: Atomic(0)) }
        }

        deinit { times.deallocate() }

        func itemCount(_ phase: Int) -> Int { phase == 0 ? items : items / 2 }
        func grain(_ phase: Int) -> Int { 1 }

        func run(_ phase: Int, _ range: Range<Int>, thread: Int) {
            for item in range { times[item].add(1, ordering: .relaxed) }
        }

        /// Items that were not computed once in each of their phases of so many runs.
        func wrong(after runs: Int) -> [Int] {
            (0..<items).filter { times[$0].load(ordering: .relaxed) != (itemCount(1) > $0 ? 2 * runs : runs) }
        }
    }

    /// Short and long steps by turns, and more threads than cores: one that is held back finds another step open.
    @Test(arguments: [1, 2, 4]) func eachItemIsComputedOnce(threads: Int) {
        let team = ThreadTeam(count: threads)
        let works = [8, 300, 0, 1].map { Counting(items: $0) }
        let runs = 100_000
        for _ in 0..<runs {
            for work in works { team.run(work) }
        }
        for work in works { #expect(work.wrong(after: runs).isEmpty) }
    }
}
