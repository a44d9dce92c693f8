import Plan
import Serving
import Testing

/// Priorities in the scheduler: the smallest number first, then the earliest.
@Suite struct PriorityTests {
    private func scheduler(blocks: Int = 16, sequences: Int = 2) -> Scheduler {
        Scheduler(
            Scheduler.Limits(
                gears: [1, 2, 4], maxSequences: sequences, maxBatchedTokens: 64, blockSize: 16, blockCount: blocks, cachesPrefixes: false))
    }

    private func sequence(_ id: Int, _ priority: Int, count: Int = 10, of group: Int? = nil, seats: Int = 1) -> SequenceState {
        SequenceState(id: id, group: group, seats: seats, prompt: (0..<Int32(count)).map { $0 + Int32(100 * id) }, priority: priority)
    }

    /// Runs a batch, giving every sampling sequence a token; returns the ids that ran.
    @discardableResult
    private func step(_ scheduler: inout Scheduler) throws -> [Int] {
        let next = scheduler.nextBatch()
        let batch = try #require(next)
        #expect(scheduler.violation(before: batch) == nil)
        scheduler.commit()
        for item in batch.items where item.samples { scheduler.append(7, toSequence: item.id) }
        #expect(scheduler.violation() == nil)
        return batch.items.map(\.id)
    }

    @Test func theSmallestNumberGoesFirstThenTheEarliest() throws {
        var scheduler = scheduler()
        for (id, priority) in [(1, 5), (2, 0), (3, -3), (4, 0), (5, 5)] { scheduler.add(sequence(id, priority)) }
        #expect(scheduler.waiting.map(\.id) == [3, 2, 4, 1, 5])
        #expect(try step(&scheduler) == [3, 2])
        scheduler.remove(3)
        #expect(try step(&scheduler).sorted() == [2, 4])
        #expect(scheduler.counts.preemptions == 0)
    }

    /// All seats are taken: the latest of the least urgent gives its own, and goes on later with all its tokens.
    @Test func theMoreUrgentTakesASeat() throws {
        var scheduler = scheduler()
        for id in 1...2 { scheduler.add(sequence(id, 1)) }
        #expect(try step(&scheduler) == [1, 2])
        scheduler.add(sequence(3, 1))
        #expect(try step(&scheduler) == [1, 2])
        scheduler.add(sequence(4, 0))
        #expect(try step(&scheduler).sorted() == [1, 4])
        #expect(scheduler.running.map(\.id) == [4, 1] && scheduler.waiting.map(\.id) == [2, 3])
        #expect(scheduler.counts.preemptions == 1 && scheduler.waiting[0].known == 12 && scheduler.waiting[0].computed == 0)
        scheduler.remove(4)
        let next = scheduler.nextBatch()?.items.first { $0.id == 2 }
        let again = try #require(next)
        #expect(again.start == 0 && again.count == 12 && again.samples)
    }

    @Test func equalsWaitTheirTurn() throws {
        var scheduler = scheduler()
        for id in 1...2 { scheduler.add(sequence(id, 3)) }
        try step(&scheduler)
        for id in 3...9 { scheduler.add(sequence(id, id == 3 ? 3 : 4)) }
        for _ in 0..<5 { #expect(try step(&scheduler) == [1, 2]) }
        #expect(scheduler.counts.preemptions == 0)
    }

    /// Memory runs out while both grow: the older one gives way, since it is less urgent.
    @Test func theLessUrgentGivesItsMemory() throws {
        var scheduler = scheduler(blocks: 4)
        scheduler.add(sequence(1, 1, count: 30))
        try step(&scheduler)
        scheduler.add(sequence(2, 0, count: 10))
        while scheduler.counts.preemptions == 0 { try step(&scheduler) }
        #expect(scheduler.running.map(\.id) == [2] && scheduler.waiting.map(\.id) == [1])
    }

    /// A prompt that has no room as long as the other runs.
    @Test func theMoreUrgentTakesMemory() throws {
        var scheduler = scheduler(blocks: 4)
        scheduler.add(sequence(1, 1, count: 30))
        try step(&scheduler)
        scheduler.add(sequence(2, 1, count: 40))
        #expect(try step(&scheduler) == [1])
        scheduler.add(sequence(3, 0, count: 40))
        #expect(try step(&scheduler) == [3])
        #expect(scheduler.waiting.map(\.id) == [1, 2] && scheduler.pool.usedCount == 3)
    }

    /// Beams of a search run all at once or not at all.
    @Test func searchesGiveAllTheirSeats() throws {
        var scheduler = scheduler(sequences: 3)
        scheduler.add(sequence(1, 1, of: 1, seats: 3))
        try step(&scheduler)
        #expect(scheduler.advance(1..<4, to: [(1, 5), (1, 6), (1, 8)]).sorted() == [1, 2, 3])
        scheduler.add(sequence(4, 0))
        #expect(try step(&scheduler) == [4])
        #expect(scheduler.waiting.map(\.id) == [1, 2, 3] && scheduler.counts.preemptions == 3)
        scheduler.remove(4)
        let next = scheduler.nextBatch()
        #expect(next?.items.map(\.id) == [1, 2, 3])
    }
}
