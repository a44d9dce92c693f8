import Plan
import Serving
import Testing

@Suite struct BlockPoolTests {
    private func digest(_ value: Int) -> ContentDigest { ContentDigest { $0.update(value) } }

    @Test func handsOutEveryBlockOnce() {
        var pool = BlockPool(blockSize: 16, blockCount: 5)
        let blocks = (0..<5).compactMap { _ in pool.allocate() }
        #expect(Set(blocks).count == 5)
        let none = pool.allocate()
        #expect(none == nil)
        for block in blocks { pool.release(block) }
        #expect(pool.freeCount == 5 && pool.usedCount == 0)
    }

    @Test func contentOutlivesItsUserUntilTheBlockIsNeeded() {
        var pool = BlockPool(blockSize: 16, blockCount: 3)
        let first = pool.allocate() ?? -1
        let second = pool.allocate() ?? -1
        pool.publish(first, as: digest(1))
        pool.publish(second, as: digest(2))
        pool.release(first)
        pool.release(second)
        #expect(pool.find(digest(1))?.block == first)
        // The block without content goes first, then the least recently freed.
        _ = pool.allocate()
        #expect(pool.find(digest(1)) != nil)
        let reused = pool.allocate()
        #expect(reused == first)
        #expect(pool.find(digest(1)) == nil)
        #expect(pool.find(digest(2))?.isFree == true)
        pool.retain(second)
        #expect(pool.find(digest(2))?.isFree == false)
        #expect(pool.freeCount == 0)
    }

    @Test func keepsTheFirstOfEqualContents() {
        var pool = BlockPool(blockSize: 16, blockCount: 2)
        let first = pool.allocate() ?? -1
        let second = pool.allocate() ?? -1
        pool.publish(first, as: digest(1))
        pool.publish(second, as: digest(1))
        #expect(pool.find(digest(1))?.block == first)
        pool.release(second)
        let reused = pool.allocate()
        #expect(reused == second)
        #expect(pool.find(digest(1))?.block == first)
    }

    /// K and V of a token in a span follow from all of the span.
    @Test func digestsCoverSpansThatCrossABlock() {
        func digests(_ ids: [Int32], _ spans: [Range<Int>], _ images: [ImageTokens] = []) -> [ContentDigest] {
            var sequence = SequenceState(id: 1, prompt: ids, images: images, spans: spans)
            return (0..<3).map { sequence.digest(ofBlock: $0, size: 16) }
        }
        let ids = (0..<60).map { Int32($0) }
        var changed = ids
        changed[40] = 99
        let plain = digests(ids, []), spanned = digests(ids, [20..<41])
        #expect(plain[0] == spanned[0] && plain[1] != spanned[1])
        #expect(digests(changed, [])[1] == plain[1])
        #expect(digests(changed, [20..<41])[0] == plain[0])
        #expect(digests(changed, [20..<41])[1] != spanned[1])
        #expect(digests(changed, [20..<40])[1] != spanned[1])
        #expect(digests(changed, [20..<32])[1] == digests(ids, [20..<32])[1])
        let images = [1, 2].map { ImageTokens(tokens: TokenRanges([34..<38]), digest: digest($0)) }
        #expect(digests(ids, [20..<41], [images[0]])[1] != digests(ids, [20..<41], [images[1]])[1])
    }

    @Test func digestsTellTokensImagesSaltAndPastApart() {
        func digests(_ ids: [Int32], _ images: [ImageTokens] = [], _ salt: String = "") -> [ContentDigest] {
            var sequence = SequenceState(id: 1, prompt: ids, images: images, salt: salt)
            return (0..<ids.count / 16).map { sequence.digest(ofBlock: $0, size: 16) }
        }
        let ids = (0..<48).map { Int32($0) }
        var changed = ids
        changed[0] = 99
        let plain = digests(ids)
        #expect(plain == digests(ids))
        #expect(zip(plain, digests(changed)).allSatisfy { $0 != $1 })
        #expect(zip(plain, digests(ids, [], "salt")).allSatisfy { $0 != $1 })
        let cat = ImageTokens(tokens: TokenRanges([20..<30]), digest: digest(1))
        let dog = ImageTokens(tokens: TokenRanges([20..<30]), digest: digest(2))
        #expect(digests(ids, [cat])[0] == digests(ids, [dog])[0])
        #expect(digests(ids, [cat])[1] != digests(ids, [dog])[1])
        #expect(digests(ids, [cat])[2] != digests(ids, [dog])[2])
    }
}

extension BlockPoolTests {
    /// Each block that is published is told of once, unless what it held is gone by then.
    @Test func tellsOfWhatIsPublished() {
        var pool = BlockPool(blockSize: 16, blockCount: 3)
        func key(_ value: Int) -> ContentDigest { ContentDigest { $0.update(value) } }
        func told() -> [Int32] {
            var blocks: [Int32] = []
            while let next = pool.takePublished() { blocks.append(next.block) }
            return blocks
        }
        let blocks = (0..<3).compactMap { _ in pool.allocate() }
        pool.publish(blocks[0], as: key(0))
        #expect(told() == [] && !pool.hasPublished, "nobody has asked")
        pool.notePublished()
        pool.publish(blocks[1], as: key(1), behind: key(0))
        pool.publish(blocks[2], as: key(2), behind: key(1), isNews: false)
        pool.announce(blocks[0])
        pool.announce(blocks[0])
        #expect(pool.hasPublished)
        let first = pool.takePublished()
        #expect(first?.block == blocks[1] && first?.digest == key(1) && first?.parent == key(0))
        #expect(told() == [blocks[0]])
        pool.announce(blocks[2])
        for block in blocks { pool.release(block) }
        for _ in 0..<3 { _ = pool.allocate() }
        #expect(told() == [])
        pool.publish(blocks[2], as: key(3))
        pool.release(blocks[2])
        pool.announce(blocks[2])
        let again = pool.allocate()
        #expect(again == blocks[2])
        pool.publish(blocks[2], as: key(4))
        #expect(told() == [blocks[2]], "what it holds now")
    }
}
