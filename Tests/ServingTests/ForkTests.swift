import Execution
import Foundation
import Plan
import Serving
import Testing

/// Sequences that fork in the middle.
@Suite struct ForkTests {
    private func scheduler(blocks: Int = 16, sequences: Int = 4) -> Scheduler {
        Scheduler(
            Scheduler.Limits(gears: [1, 2, 4], maxSequences: sequences, maxBatchedTokens: 32, blockSize: 4, blockCount: blocks, cachesPrefixes: true))
    }

    private func search(_ id: Int, count: Int, seats: Int = 3) -> SequenceState {
        SequenceState(id: id, group: id, seats: seats, prompt: Array(0..<Int32(count)), longest: 40)
    }

    @discardableResult
    private func step(_ scheduler: inout Scheduler) throws -> (batch: Batch, copies: CacheCopies) {
        let next = scheduler.nextBatch()
        let batch = try #require(next)
        #expect(scheduler.violation(before: batch) == nil)
        let copies = scheduler.takeCopies()
        scheduler.commit()
        #expect(scheduler.violation() == nil)
        return (batch, copies)
    }

    @Test func fullBlocksAreSharedAndTheOtherIsCopiedForWhoWrites() throws {
        var scheduler = scheduler()
        scheduler.add(search(1, count: 6))
        try step(&scheduler)
        #expect(scheduler.running[0].blocks == [0, 1] && scheduler.takenSeats == 3)
        #expect(scheduler.advance(1..<4, to: [(1, 50), (1, 51), (1, 52)]) == [1, 2, 3])
        #expect(scheduler.running.map(\.blocks) == [[0, 1], [0, 1], [0, 1]] && scheduler.pool.usedCount == 2)
        let (batch, copies) = try step(&scheduler)
        #expect(batch.entry == .decode(gear: 4) && batch.items.map(\.id) == [1, 2, 3])
        // The last one that has the block writes it.
        #expect(copies.blocks == [.init(from: 1, to: 2), .init(from: 1, to: 3)])
        #expect(copies.states == [.init(from: 0, to: 1), .init(from: 0, to: 2)])
        #expect(scheduler.running.map(\.blocks) == [[0, 2], [0, 3], [0, 1]])
        #expect(scheduler.running.map { $0.tokens.last } == [50, 51, 52])
        // One goes on as two, and two go away.
        #expect(scheduler.advance(1..<4, to: [(2, 60), (2, 61)]) == [2, 1])
        #expect(scheduler.running.map(\.id) == [1, 2] && scheduler.running.map(\.blocks) == [[0, 3], [0, 3]])
        #expect(scheduler.running.map { $0.tokens.suffix(2) } == [[51, 61], [51, 60]])
        try step(&scheduler)
        // Both are full: the next block is one of their own, and nothing is copied.
        #expect(scheduler.running.allSatisfy { $0.computed == 8 })
        #expect(scheduler.advance(1..<4, to: [(1, 70), (1, 71), (2, 72)]) == [1, 3, 2])
        #expect(try step(&scheduler).copies.blocks == [])
        for id in 1...3 { scheduler.remove(id) }
        #expect(scheduler.pool.usedCount == 0 && scheduler.violation() == nil)
    }

    @Test func blocksAreFoundOnceTheirTokensAreComputed() throws {
        var scheduler = scheduler()
        scheduler.add(search(1, count: 7))
        try step(&scheduler)
        _ = scheduler.advance(1..<4, to: [(1, 50), (1, 51)])
        #expect(!scheduler.pool.isFindable(scheduler.running[1].blocks[1]))
        try step(&scheduler)
        #expect(scheduler.running.allSatisfy { scheduler.pool.isFindable($0.blocks[1]) })
        for id in 1...2 { scheduler.remove(id) }
        scheduler.add(SequenceState(id: 5, prompt: Array(0..<7) + [51, 90]))
        #expect(try step(&scheduler).batch.items.map(\.start) == [8])
    }

    /// Seats are kept for what will fork, and a search is preempted and comes back as a whole.
    @Test func aSearchRunsWholeOrNotAtAll() throws {
        var scheduler = scheduler(blocks: 8)
        scheduler.add(SequenceState(id: 1, prompt: Array(100..<104), longest: 30))
        scheduler.add(search(2, count: 6))
        scheduler.add(SequenceState(id: 5, prompt: [200]))
        try step(&scheduler)
        #expect(scheduler.running.map(\.id) == [1, 2] && scheduler.takenSeats == 4 && scheduler.waiting.map(\.id) == [5])
        scheduler.append(7, toSequence: 1)
        _ = scheduler.advance(2..<5, to: [(2, 50), (2, 51), (2, 52)])
        var beams = [2, 3, 4]
        while scheduler.counts.preemptions == 0 {
            try step(&scheduler)
            scheduler.append(7, toSequence: 1)
            if scheduler.running.count == 4 { beams = scheduler.advance(2..<5, to: beams.map { ($0, 60) }) }
        }
        #expect(scheduler.counts.preemptions == 3 && scheduler.running.map(\.id) == [1] && scheduler.waiting.map(\.id) == [2, 3, 4, 5])
        scheduler.remove(1)
        let (batch, copies) = try step(&scheduler)
        #expect(scheduler.running.map(\.id) == [2, 3, 4, 5] || scheduler.running.map(\.id) == [2, 3, 4])
        #expect(batch.items.map(\.id).starts(with: [2, 3, 4]) && copies.isEmpty)
        #expect(Set(scheduler.running.prefix(3).map { $0.blocks[0] }).count == 1, "the prompt's full blocks are shared again")
    }

    /// `VLM_SCHEDULES=N` runs another number of schedules.
    @Test func everySequenceReadsItsOwnTokens() {
        let count = ProcessInfo.processInfo.environment["VLM_SCHEDULES"].flatMap { UInt64($0) } ?? 10_000
        var totals = ForkSimulation.Counts()
        for seed in 0..<count {
            var simulation = ForkSimulation(seed: seed)
            if let wrong = simulation.run() {
                Issue.record("seed \(seed), \(wrong)")
                return
            }
            totals.steps += simulation.counts.steps
            totals.forks += simulation.counts.forks
            totals.copies += simulation.counts.copies
            totals.preemptions += simulation.counts.preemptions
            totals.cancelled += simulation.counts.cancelled
            totals.hits += simulation.counts.hits
            totals.guessed += simulation.counts.guessed
            totals.accepted += simulation.counts.accepted
            totals.drafted += simulation.counts.drafted
            totals.read += simulation.counts.read
            totals.restored += simulation.counts.restored
        }
        let met = [totals.steps / 20, totals.forks / 2, totals.copies / 2, totals.preemptions, totals.cancelled, totals.hits, totals.guessed / 4, totals.accepted / 2, totals.drafted, totals.read, totals.restored * 8]
        #expect(met.allSatisfy { $0 > count / 2 }, "\(totals)")
    }
}
