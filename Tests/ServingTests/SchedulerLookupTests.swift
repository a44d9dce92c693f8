import Execution
import Plan
import Serving
import Testing

/// Sequences whose first blocks may be stored outside of the cache.
@Suite struct SchedulerLookupTests {
    private func scheduler(sequences: Int = 2, blocks: Int = 16, caches: Bool = true) -> Scheduler {
        Scheduler(
            Scheduler.Limits(gears: [1, 2, 4], maxSequences: sequences, maxBatchedTokens: 64, blockSize: 16, blockCount: blocks, cachesPrefixes: caches))
    }

    private func sequence(_ id: Int, count: Int, first: Int32 = 0, group: Int? = nil, reads: Bool = false, priority: Int = 0) -> SequenceState {
        SequenceState(id: id, group: group, prompt: (0..<Int32(count)).map { $0 + first }, readsPrompt: reads, priority: priority)
    }

    private func step(_ scheduler: inout Scheduler) -> [Int] {
        guard let batch = scheduler.nextBatch() else { return [] }
        #expect(scheduler.violation(before: batch) == nil)
        scheduler.commit()
        for item in batch.items where item.samples { scheduler.append(500, toSequence: item.id) }
        #expect(scheduler.violation() == nil)
        return batch.items.map(\.id)
    }

    private func lookup(_ scheduler: inout Scheduler, ahead: Int = 0) throws -> (id: Int, chain: [ContentDigest]) {
        let next = scheduler.nextLookup(ahead: ahead)
        return try #require(next)
    }

    /// Restores a block that nobody writes; nil where it is not taken.
    private func restore(_ scheduler: inout Scheduler, _ key: ContentDigest, behind parent: ContentDigest? = nil) -> Int32? {
        var place: Int32?
        let isRestored = scheduler.restore(key, behind: parent) { place = $0 }
        #expect(isRestored == (place != nil) && scheduler.violation() == nil)
        return place
    }

    private func news(_ scheduler: inout Scheduler) -> [(block: Int32, parent: ContentDigest?)] {
        var all: [(block: Int32, parent: ContentDigest?)] = []
        while let next = scheduler.takePublished() { all.append((next.block, next.parent)) }
        return all
    }

    private func lookups(_ scheduler: inout Scheduler, ahead: Int = 8) -> [Int] {
        var ids: [Int] = []
        while let next = scheduler.nextLookup(ahead: ahead) { ids.append(next.id) }
        return ids
    }

    @Test func eachIsLookedUpOnceAndOnlyWhereItCouldRun() throws {
        var scheduler = scheduler(sequences: 3)
        scheduler.add(sequence(1, count: 16))
        scheduler.add(sequence(2, count: 33))
        scheduler.add(sequence(3, count: 40, reads: true))
        for id in 4...7 { scheduler.add(sequence(id, count: 17, first: Int32(id))) }
        let first = try lookup(&scheduler, ahead: 1)
        // The last token of a prompt is always computed.
        var same = sequence(9, count: 33)
        #expect(first.id == 2 && first.chain == (0..<2).map { same.digest(ofBlock: $0, size: 16) })
        #expect(lookups(&scheduler, ahead: 1) == [] && lookups(&scheduler, ahead: 4) == [4, 5])
        _ = step(&scheduler)
        #expect(scheduler.running.map(\.id) == [1, 2, 3] && lookups(&scheduler) == [], "there is no place")
        scheduler.remove(1)
        #expect(lookups(&scheduler) == [6, 7] && lookups(&scheduler) == [])
        var without = self.scheduler(caches: false)
        without.add(sequence(1, count: 40))
        #expect(lookups(&without) == [])
    }

    @Test func whatWaitsForBlocksHoldsUpThoseBehindIt() throws {
        var scheduler = scheduler(sequences: 4)
        scheduler.notePublished()
        scheduler.add(sequence(1, count: 40))
        scheduler.add(sequence(2, count: 20, first: 100))
        let chain = try lookup(&scheduler).chain
        scheduler.hold(1)
        #expect(step(&scheduler) == [])
        scheduler.add(sequence(3, count: 10, first: 200, priority: -1))
        #expect(step(&scheduler) == [3], "the more urgent is not held up")
        let places = [try #require(restore(&scheduler, chain[0])), try #require(restore(&scheduler, chain[1], behind: chain[0]))]
        #expect(restore(&scheduler, chain[1], behind: chain[0]) == nil && news(&scheduler).isEmpty, "what comes from outside is no news")
        scheduler.goOn(1)
        #expect(step(&scheduler) == [3, 1, 2])
        #expect(scheduler.running.map(\.cachedTokens) == [0, 32, 0] && scheduler.running[1].blocks.starts(with: places))
        // A block that is full is news with the one before it.
        for _ in 0..<6 { _ = step(&scheduler) }
        let first = news(&scheduler)
        #expect(first.map(\.block) == [scheduler.running[2].blocks[0], scheduler.running[0].blocks[0]] && first.allSatisfy { $0.parent == nil })
        while scheduler.running[1].computed < 48 { _ = step(&scheduler) }
        let third = scheduler.running[1].blocks[2]
        #expect(news(&scheduler).filter { $0.block == third }.map(\.parent) == [chain[1]])
    }

    @Test func blocksThatMayBeNeededAreNotTaken() {
        var scheduler = scheduler(blocks: 4)
        scheduler.add(sequence(1, count: 40))
        #expect(step(&scheduler) == [1])
        let key = ContentDigest { $0.update("a block") }
        #expect(scheduler.pool.freeCount == 1 && restore(&scheduler, key) == nil)
        scheduler.remove(1)
        #expect(restore(&scheduler, key) != nil && scheduler.pool.find(key)?.isFree == true)
    }

    @Test func whatGivesItsPlaceBackIsLookedUpAgain() throws {
        var scheduler = scheduler(blocks: 5)
        scheduler.add(sequence(1, count: 30))
        scheduler.add(sequence(2, count: 30, first: 100))
        #expect(lookups(&scheduler) == [1, 2])
        while scheduler.counts.preemptions == 0 { _ = step(&scheduler) }
        #expect(scheduler.waiting.map(\.id) == [2])
        let again = try lookup(&scheduler)
        #expect(again.id == 2 && again.chain.count == (scheduler.waiting[0].known - 1) / 16)
    }

    /// Others of a group have the blocks of the one that computes the prompt.
    @Test func aGroupIsLookedUpBeforeOneOfItRuns() {
        var scheduler = scheduler(sequences: 3)
        for id in 1...2 { scheduler.add(sequence(id, count: 40, group: 1)) }
        #expect(lookups(&scheduler, ahead: 0) == [1])
        _ = step(&scheduler)
        scheduler.add(sequence(3, count: 40, group: 1))
        #expect(lookups(&scheduler) == [])
    }
}
