import CPUBackend
import Foundation
import OneProcessor
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
    @Test(arguments: [1, 2, 4, 16]) func eachItemIsComputedOnce(threads: Int) {
        let team = ThreadTeam(count: threads)
        let works = [8, 300, 0, 1].map { Counting(items: $0) }
        let runs = 100_000
        for _ in 0..<runs {
            for work in works { team.run(work) }
        }
        for work in works { #expect(work.wrong(after: runs).isEmpty) }
    }

    /// Where threads share one processor, those that wait leave it to the one that has work.
    @Test func moreThreadsThanProcessorsCostLittle() async {
        let seconds = await withCheckedContinuation { done in
            Thread { done.resume(returning: Self.secondsOnOneProcessor(teams: [1, 16])) }.start()
        }
        #expect(seconds[1] < 3 * seconds[0], "1 thread: \(seconds[0]) s, 16 threads: \(seconds[1]) s")
    }

    /// Sums up some numbers for each item.
    private final class Summing: TeamWork {
        let phaseCount = 1
        private let sum = Atomic<UInt64>(0)

        func itemCount(_ phase: Int) -> Int { 16 }
        func grain(_ phase: Int) -> Int { 1 }

        func run(_ phase: Int, _ items: Range<Int>, thread: Int) {
            var hash = UInt64(thread)
            for number in 0..<items.count * 1000 { hash = (hash ^ UInt64(number)) &* 0x9E37_79B9_7F4A_7C15 }
            sum.wrappingAdd(hash, ordering: .relaxed)
        }
    }

    /// For teams of so many threads, all on the processor that this thread is bound to from now on, the best time of some steps.
    private static func secondsOnOneProcessor(teams: [Int]) -> [Double] {
        #expect(one_processor_bind() == 0)
        let (members, work, clock) = (teams.map { ThreadTeam(count: $0) }, Summing(), ContinuousClock())
        var best = teams.map { _ in Duration.seconds(1000) }
        for _ in 0..<20 {
            for (index, team) in members.enumerated() {
                best[index] = min(best[index], clock.measure { for _ in 0..<200 { team.run(work) } })
            }
        }
        return best.map { Double($0.components.attoseconds) * 1e-18 + Double($0.components.seconds) }
    }
}
