import Execution
import Plan
import Serving
import Testing

@Suite struct SchedulerTests {
    private func scheduler(
        blocks: Int = 16, sequences: Int = 4, batched: Int = 32, caches: Bool = true, gears: [Int] = [1, 2, 4]
    ) -> Scheduler {
        Scheduler(
            Scheduler.Limits(
                gears: gears, maxSequences: sequences, maxBatchedTokens: batched, blockSize: 16, blockCount: blocks,
                cachesPrefixes: caches))
    }

    private func sequence(_ id: Int, count: Int, first: Int32 = 0, images: [ImageTokens] = []) -> SequenceState {
        SequenceState(id: id, prompt: (0..<Int32(count)).map { $0 + first }, images: images)
    }

    /// Runs a batch that there must be.
    private func step(_ scheduler: inout Scheduler) throws -> Batch {
        let batch = run(&scheduler)
        return try #require(batch)
    }

    /// Runs a batch, giving every sampling sequence a token.
    private func run(_ scheduler: inout Scheduler) -> Batch? {
        guard let batch = scheduler.nextBatch() else { return nil }
        scheduler.commit()
        for item in batch.items where item.samples && !item.isReplay { scheduler.append(500, toSequence: item.id) }
        return batch
    }

    @Test func cutsLongPromptsAndDecodesFirst() throws {
        var scheduler = scheduler()
        scheduler.add(sequence(1, count: 5))
        var batch = try step(&scheduler)
        #expect(batch.entry == .extend && batch.items.map(\.count) == [5])
        scheduler.add(sequence(2, count: 50, first: 100))
        batch = try step(&scheduler)
        #expect(batch.entry == .extend)
        #expect(batch.items.map(\.id) == [1, 2] && batch.items.map(\.count) == [1, 31])
        #expect(batch.items.map(\.samples) == [true, false])
        batch = try step(&scheduler)
        #expect(batch.items.map(\.count) == [1, 19] && batch.items.map(\.samples) == [true, true])
        batch = try step(&scheduler)
        #expect(batch.entry == .decode(gear: 2))
    }

    @Test func runningSequencesHaveStateSlotsOfTheirOwn() throws {
        var scheduler = scheduler(blocks: 5, sequences: 3)
        for id in 1...4 { scheduler.add(sequence(id, count: 20, first: Int32(100 * id))) }
        _ = try step(&scheduler)
        #expect(scheduler.running.map(\.stateSlot) == [0, 1])
        #expect(scheduler.waiting.map(\.stateSlot) == [-1, -1])
        scheduler.remove(1)
        _ = try step(&scheduler)
        #expect(scheduler.running.map(\.stateSlot) == [1, 0])
        while scheduler.counts.preemptions == 0 { _ = try step(&scheduler) }
        #expect(scheduler.running.map(\.stateSlot) == [1] && scheduler.waiting.first?.stateSlot == -1)
    }

    @Test func chunksDoNotEndInsideSpans() throws {
        var scheduler = scheduler(batched: 32)
        #expect(scheduler.spanMax == 29)
        scheduler.add(SequenceState(id: 1, prompt: Array(0..<90), spans: [20..<45, 45..<50, 60..<89]))
        let parts = try (0..<4).map { _ in try #require(step(&scheduler).items.first) }
        #expect(parts.map(\.start) == [0, 20, 52, 60] && parts.map(\.count) == [20, 32, 8, 30])
        #expect(scheduler.running[0].reach(of: 19) == 19 && scheduler.running[0].reach(of: 20) == 44)
        #expect(scheduler.running[0].reach(of: 45) == 49 && scheduler.running[0].reach(of: 90) == 90)
    }

    /// What is behind a prompt that is one span has a window, which `extend` does not know there.
    @Test func behindAPromptThatIsASpanTokensAreDecoded() throws {
        var scheduler = scheduler(blocks: 4, caches: false)
        scheduler.add(SequenceState(id: 1, prompt: Array(0..<20), spans: [0..<20]))
        var batch = try step(&scheduler)
        #expect(batch.entry == .extend && batch.items.map(\.count) == [20])
        scheduler.add(SequenceState(id: 2, prompt: Array(0..<10), spans: [0..<10]))
        batch = try step(&scheduler)
        #expect(batch.entry == .extend && batch.items.map(\.id) == [2])
        for _ in 0..<4 {
            batch = try step(&scheduler)
            #expect(batch.entry == .decode(gear: 2) && batch.items.map(\.id) == [1, 2])
        }
        while scheduler.counts.preemptions == 0 { _ = run(&scheduler) }
        scheduler.remove(1)
        let known = try #require(scheduler.waiting.first).known
        batch = try step(&scheduler)
        #expect(batch.entry == .extend && batch.items.map(\.count) == [10] && batch.items.allSatisfy { !$0.samples })
        for start in 10..<known {
            batch = try step(&scheduler)
            #expect(batch.entry == .decode(gear: 1) && batch.items.map(\.start) == [start])
            #expect(batch.items.map(\.isReplay) == [start + 1 < known])
        }
        #expect(scheduler.running[0].known == known + 1)
    }

    /// A prompt's last token is none for `decode` either, where all before it are cached.
    @Test func theLastTokenOfAPromptThatIsASpanIsExtended() throws {
        var scheduler = scheduler()
        for id in 1...2 {
            scheduler.add(SequenceState(id: id, prompt: Array(0..<17), spans: [0..<17]))
            let batch = try step(&scheduler)
            #expect(batch.entry == .extend && batch.items.map(\.count) == [id == 1 ? 17 : 1])
            scheduler.remove(id)
        }
    }

    /// The rest of a span whose beginning is cached is computed at once too.
    @Test func aCachedPrefixMayEndInsideASpan() throws {
        var scheduler = scheduler(batched: 32)
        scheduler.add(SequenceState(id: 1, prompt: Array(0..<50), spans: [8..<36]))
        while scheduler.running.first?.generated ?? 0 < 1 { _ = run(&scheduler) }
        scheduler.remove(1)
        scheduler.add(SequenceState(id: 2, prompt: Array(0..<36) + [99], spans: [8..<36]))
        let part = try #require(step(&scheduler).items.first)
        #expect(part.start == 32 && part.count == 5)
        scheduler.remove(2)
        scheduler.add(SequenceState(id: 3, prompt: Array(0..<35) + [98, 99], spans: [8..<36]))
        #expect(try step(&scheduler).items.first?.start == 0)
    }

    /// Longrope turns every token otherwise once the sequence is longer than it was trained for (HF `Phi3ForCausalLM` drops its cache).
    @Test(arguments: [true, false]) func aSequenceThatOutgrowsItsAxisBeginsAnew(_ grows: Bool) throws {
        var scheduler = scheduler()
        scheduler.add(SequenceState(id: 1, prompt: Array(0..<18), lengths: LengthAxes(longest: [20], grows: grows)))
        var parts: [Batch.Item] = []
        var axes: [Int?] = []
        for _ in 0..<5 {
            parts.append(try #require(step(&scheduler).items.first))
            axes.append(scheduler.running[0].positionAxis)
        }
        #expect(parts.map(\.start) == (grows ? [0, 18, 19, 0, 21] : [0, 18, 19, 20, 21]))
        #expect(parts.map(\.count) == (grows ? [18, 1, 1, 21, 1] : [18, 1, 1, 1, 1]))
        #expect(axes == (grows ? [0, 0, 1, 1, 1] : [0, 0, 0, 0, 0]))
        #expect(parts.allSatisfy { $0.samples })
    }

    private func reader(_ id: Int, count: Int, group: Int? = nil, spans: [Range<Int>] = []) -> SequenceState {
        SequenceState(id: id, group: group, prompt: Array(0..<Int32(count)), spans: spans, readsPrompt: true)
    }

    /// Each running sequence can always go on; the rows beyond belong to who reads.
    @Test func whoReadsAPromptTakesTheRowsThatAreLeft() throws {
        var scheduler = scheduler()
        scheduler.add(sequence(1, count: 5, first: 200))
        scheduler.add(reader(2, count: 7))
        scheduler.add(reader(3, count: 3))
        var batch = try step(&scheduler)
        #expect(batch.items.map(\.count) == [5, 2, 1] && batch.items.map(\.logits) == [4..<5, 0..<2, 0..<1])
        #expect(batch.items.map(\.samples) == [true, false, false])
        batch = try step(&scheduler)
        #expect(batch.items.map(\.count) == [1, 2, 1] && batch.items.map(\.logits) == [5..<6, 2..<4, 1..<2])
        batch = try step(&scheduler)
        #expect(batch.items.map(\.logits) == [6..<7, 2..<3, 4..<6] && batch.items.map(\.samples) == [true, true, false])
        scheduler.remove(1)
        batch = try step(&scheduler)
        #expect(batch.items.map(\.logits) == [6..<7, 3..<4] && batch.entry == .decode(gear: 2))
    }

    @Test func aPromptIsReadOnce() throws {
        var scheduler = scheduler(blocks: 5)
        scheduler.add(sequence(1, count: 33))
        _ = run(&scheduler)
        _ = run(&scheduler)
        scheduler.add(reader(2, count: 16))
        var seen: [Range<Int>] = []
        while scheduler.counts.preemptions == 0 { seen += run(&scheduler)?.items.filter { $0.id == 2 }.map(\.logits) ?? [] }
        #expect(Array(seen.joined()) == Array(0..<seen.joined().count) && seen.allSatisfy { $0.count <= 3 })
        scheduler.remove(1)
        let known = try #require(scheduler.waiting.first).known
        let item = try #require(step(&scheduler).items.first)
        #expect(item.logits == known - 1..<known && item.start + item.count == known)
    }

    /// What was read before a sequence gave its blocks back is not read again; its tokens come with the others, whatever is cached.
    @Test func aReaderThatBeginsAnewGoesOnReading() throws {
        var scheduler = scheduler(blocks: 4, sequences: 2)
        scheduler.add(sequence(1, count: 15, first: 200))
        scheduler.add(reader(2, count: 20))
        while scheduler.counts.preemptions == 0 { _ = run(&scheduler) }
        #expect(scheduler.waiting.map(\.id) == [2] && scheduler.waiting[0].isReading)
        scheduler.remove(1)
        let item = try #require(step(&scheduler).items.first)
        #expect(item.start == 0 && item.count == 20 && item.logits == 18..<20 && item.samples)
    }

    /// A span of more tokens than a batch has rows of logits is computed until all are read.
    @Test func spansAreComputedUntilTheyAreRead() throws {
        var scheduler = scheduler()
        scheduler.add(reader(1, count: 12, spans: [2..<11]))
        let parts = try (0..<4).map { _ in try #require(step(&scheduler).items.first) }
        #expect(parts.map(\.start) == [0, 2, 2, 2] && parts.map(\.count) == [2, 10, 10, 10])
        #expect(parts.map(\.logits) == [0..<2, 2..<6, 6..<10, 10..<12] && parts.map(\.samples) == [false, false, false, true])
        #expect(scheduler.running[0].known == 13 && scheduler.running[0].computed == 12)
    }

    @Test func whatIsReadIsNotTakenFromTheCache() throws {
        var scheduler = scheduler(sequences: 2)
        scheduler.add(sequence(1, count: 32))
        _ = run(&scheduler)
        scheduler.remove(1)
        scheduler.add(reader(2, count: 32, group: 2))
        scheduler.add(SequenceState(id: 3, group: 2, prompt: Array(0..<32)))
        #expect(try step(&scheduler).items.map(\.start) == [0])
        #expect(scheduler.counts.prefixHits == 0 && scheduler.running.count == 2)
        while scheduler.running[0].computed < 32 { _ = run(&scheduler) }
        #expect(scheduler.running[1].blocks[0] == scheduler.running[0].blocks[0])
    }

    @Test func choosesTheSmallestGear() throws {
        var scheduler = scheduler(gears: [1, 4])
        for id in 1...3 { scheduler.add(sequence(id, count: 3, first: Int32(id) * 50)) }
        _ = run(&scheduler)
        let step1 = try step(&scheduler)
        #expect(step1.entry == .decode(gear: 4))
        scheduler.remove(1)
        scheduler.remove(2)
        let step2 = try step(&scheduler)
        #expect(step2.entry == .decode(gear: 1))
    }

    @Test func findsACachedPrefixAndComputesAtLeastOneToken() throws {
        var scheduler = scheduler()
        scheduler.add(sequence(1, count: 32))
        _ = run(&scheduler)
        scheduler.remove(1)
        #expect(scheduler.pool.usedCount == 0)
        scheduler.add(sequence(2, count: 32))
        scheduler.add(sequence(3, count: 40))
        let batch = try step(&scheduler)
        #expect(batch.items.map(\.start) == [16, 32] && batch.items.map(\.count) == [16, 8])
        #expect(scheduler.running.map(\.cachedTokens) == [16, 32])
        #expect(scheduler.counts.prefixHits == 48)
    }

    /// Full blocks of the prompt are shared whether prefixes are cached or not; what is behind each computes.
    @Test(arguments: [true, false]) func aGroupSharesTheBlocksOfItsPrompt(caches: Bool) throws {
        var scheduler = scheduler(caches: caches)
        for id in 1...3 { scheduler.add(SequenceState(id: id, group: 1, prompt: Array(0..<40))) }
        var batch = try step(&scheduler)
        // The first computes; two blocks are full when the batch has run.
        #expect(batch.items.map(\.id) == [1] && batch.items.map(\.count) == [32])
        #expect(scheduler.running.map(\.computed) == [32, 32, 32] && scheduler.pool.usedCount == 3)
        batch = try step(&scheduler)
        #expect(batch.items.map(\.id) == [1, 2, 3] && batch.items.map(\.start) == [32, 32, 32] && batch.items.map(\.samples) == [true, true, true])
        #expect(Set(scheduler.running.map { Array($0.blocks[..<2]) }).count == 1)
        #expect(Set(scheduler.running.map { $0.blocks[2] }).count == 3 && scheduler.pool.usedCount == 5)
        #expect(scheduler.counts.prefixHits == 0)
        scheduler.remove(1)
        #expect(scheduler.pool.usedCount == 4)
        batch = try step(&scheduler)
        #expect(batch.entry == .decode(gear: 2))
        scheduler.remove(2)
        scheduler.remove(3)
        #expect(scheduler.pool.usedCount == 0)
    }

    @Test func aGroupWhoseFirstLeavesGoesOn() throws {
        var scheduler = scheduler(batched: 16, caches: false)
        for id in 1...2 { scheduler.add(SequenceState(id: id, group: 1, prompt: Array(0..<40))) }
        var batch = try step(&scheduler)
        #expect(batch.items.map(\.id) == [1] && scheduler.running[1].blocks.isEmpty)
        scheduler.remove(1)
        batch = try step(&scheduler)
        #expect(batch.items.map(\.id) == [2] && batch.items.map(\.start) == [0])
        // One that comes later takes part at once.
        while scheduler.running[0].computed < 32 { batch = try step(&scheduler) }
        scheduler.add(SequenceState(id: 3, group: 1, prompt: Array(0..<40)))
        batch = try step(&scheduler)
        #expect(batch.items.map(\.id) == [2, 3] && batch.items.map(\.start) == [32, 32] && scheduler.running[1].cachedTokens == 32)
    }

    /// States of a sequence are its own, and a block that is not full is nobody else's.
    @Test func whatCannotBeSharedIsComputed() throws {
        var scheduler = scheduler()
        for id in 1...2 { scheduler.add(SequenceState(id: id, group: 1, prompt: Array(0..<16))) }
        #expect(try step(&scheduler).items.map(\.count) == [16, 16])
        var limits = Scheduler.Limits(
            gears: [1, 2, 4], maxSequences: 4, maxBatchedTokens: 64, blockSize: 16, blockCount: 16, cachesPrefixes: false)
        limits.sharesPrompts = false
        var alone = Scheduler(limits)
        for id in 1...2 { alone.add(SequenceState(id: id, group: 1, prompt: Array(0..<20))) }
        #expect(try step(&alone).items.map(\.count) == [20, 20])
    }

    @Test func imagesAreReadyForTheWholeGroup() throws {
        var scheduler = scheduler()
        let image = ImageTokens(tokens: TokenRanges([30..<36]), digest: ContentDigest { $0.update(1) })
        for id in 1...6 { scheduler.add(SequenceState(id: id, group: id < 6 ? 1 : nil, prompt: Array(0..<40), images: [image])) }
        #expect(try step(&scheduler).items.map(\.count) == [30], "the others wait for the blocks that it fills")
        #expect(run(&scheduler) == nil && scheduler.imagesNeeded()?.id == 1)
        scheduler.markReady(1, image: 0)
        #expect(scheduler.running.allSatisfy { $0.images[0].isReady } && scheduler.waiting.map { $0.images[0].isReady } == [true, false])
    }

    @Test func preemptsTheYoungestAndComesBackToIt() throws {
        var scheduler = scheduler(blocks: 4, caches: false)
        scheduler.add(sequence(1, count: 30))
        _ = run(&scheduler)
        scheduler.add(sequence(2, count: 16, first: 100))
        var preempted = false
        for _ in 0..<30 {
            let batch = try step(&scheduler)
            #expect(batch.items.contains { $0.id == 1 })
            preempted = preempted || scheduler.waiting.contains { $0.id == 2 }
        }
        #expect(preempted && scheduler.counts.preemptions > 0)
        scheduler.remove(1)
        let known = scheduler.waiting.first?.known
        let batch = try step(&scheduler)
        #expect(batch.items.first?.start == 0 && batch.items.first?.count == known.map { min($0, 32) })
    }

    @Test func waitsForImagesUnderTheChunkOnly() throws {
        var scheduler = scheduler()
        let digest = ContentDigest { $0.update(1) }
        let far = ImageTokens(tokens: TokenRanges([40..<45]), digest: digest)
        scheduler.add(sequence(1, count: 50, images: [far]))
        let step3 = try step(&scheduler)
        #expect(step3.items.map(\.count) == [32])
        #expect(try step(&scheduler).items.map(\.count) == [8], "what comes before the image")
        #expect(run(&scheduler) == nil && scheduler.imagesNeeded()?.images == [0])
        scheduler.markReady(1, image: 0)
        #expect(scheduler.imagesNeeded() == nil)
        let step5 = try step(&scheduler)
        #expect(step5.items.map(\.count) == [10])
    }

    @Test func lastPromptTokenOfAImageIsNoDecodeStep() throws {
        var scheduler = scheduler()
        let digest = ContentDigest { $0.update(1) }
        scheduler.add(sequence(1, count: 43, images: [ImageTokens(tokens: TokenRanges([10..<43]), digest: digest)]))
        #expect(try step(&scheduler).items.map(\.count) == [10])
        #expect(run(&scheduler) == nil)
        scheduler.markReady(1, image: 0)
        let step7 = try step(&scheduler)
        #expect(step7.items.map(\.count) == [32])
        let step8 = try step(&scheduler)
        #expect(step8.entry == .extend)
    }
}
