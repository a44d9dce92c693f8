/// Bookkeeping of the paged KV cache: which blocks are in use, by how many, and which hold content worth finding again.
///
/// A block is in use (its count of users is positive) or free. A free block keeps its content and can be found by
/// digest until it is handed out again; blocks without content are handed out first, then the least recently freed.
package struct BlockPool {
    private struct Block {
        var users: Int32 = 0
        var digest: ContentDigest?
        /// The digest of the block before it, of whose sequence its content is.
        var parent: ContentDigest?
        /// Whether it is among the published ones that nobody has taken note of.
        var isNews = false
        /// Neighbours in the list of free blocks; −1 at the ends.
        var previous: Int32 = -1
        var next: Int32 = -1
    }

    /// Tokens of one block.
    package let blockSize: Int
    private var blocks: [Block]
    private var firstFree: Int32 = -1
    private var lastFree: Int32 = -1
    private var index: [ContentDigest: Int32] = [:]
    /// Blocks that were published since `takePublished` told of them, in a ring that has room for all.
    private var news: [Int32] = []
    private var newsStart = 0
    private var newsCount = 0

    /// Blocks that nobody uses, content or not.
    package private(set) var freeCount = 0

    package var blockCount: Int { blocks.count }
    package var usedCount: Int { blocks.count - freeCount }
    /// Share of the blocks in use, 0 … 1.
    package var usage: Double { blocks.isEmpty ? 0 : Double(usedCount) / Double(blocks.count) }

    package init(blockSize: Int, blockCount: Int) {
        self.blockSize = blockSize
        blocks = Array(repeating: Block(), count: blockCount)
        index.reserveCapacity(blockCount)
        for block in 0..<Int32(blockCount) { link(last: block) }
    }

    /// How many use a block.
    package func users(of block: Int32) -> Int { Int(blocks[Int(block)].users) }

    /// Whether the content of a block can be found.
    package func isFindable(_ block: Int32) -> Bool { blocks[Int(block)].digest != nil }

    /// Blocks that `tokens` tokens take.
    package func blocks(for tokens: Int) -> Int { (tokens + blockSize - 1) / blockSize }

    /// Takes a free block, forgetting what it held; nil when all are in use.
    package mutating func allocate() -> Int32? {
        guard firstFree >= 0 else { return nil }
        let block = firstFree
        unlink(block)
        if let digest = blocks[Int(block)].digest {
            index[digest] = nil
            (blocks[Int(block)].digest, blocks[Int(block)].parent) = (nil, nil)
        }
        blocks[Int(block)].users = 1
        return block
    }

    /// The block that holds the content of `digest`, and whether taking it would leave one free block less.
    package func find(_ digest: ContentDigest) -> (block: Int32, isFree: Bool)? {
        guard let block = index[digest] else { return nil }
        return (block, blocks[Int(block)].users == 0)
    }

    /// Adds a user to a block that `find` returned.
    package mutating func retain(_ block: Int32) {
        if blocks[Int(block)].users == 0 { unlink(block) }
        blocks[Int(block)].users += 1
    }

    /// Takes away one user; without users the block is free, its content still to be found.
    package mutating func release(_ block: Int32) {
        precondition(blocks[Int(block)].users > 0, "block \(block) is released more often than taken")
        blocks[Int(block)].users -= 1
        guard blocks[Int(block)].users == 0 else { return }
        if blocks[Int(block)].digest == nil { link(first: block) } else { link(last: block) }
    }

    /// Makes a used block's content findable, unless another block holds the same already.
    ///
    /// - Parameters:
    ///   - parent: the digest of the block before it; nil for a first one.
    ///   - isNews: whether `takePublished` is to tell of it, if that was asked for.
    package mutating func publish(_ block: Int32, as digest: ContentDigest, behind parent: ContentDigest? = nil, isNews: Bool = true) {
        guard blocks[Int(block)].digest == nil, index[digest] == nil else { return }
        (blocks[Int(block)].digest, blocks[Int(block)].parent) = (digest, parent)
        index[digest] = block
        if isNews { announce(block) }
    }

    /// Has `takePublished` tell of what is published from now on.
    package mutating func notePublished() { news = Array(repeating: 0, count: blocks.count) }

    /// A block whose content was published, each told once, the first first; nil where there are no more. What was handed out
    /// again meanwhile is left out.
    package mutating func takePublished() -> (block: Int32, digest: ContentDigest, parent: ContentDigest?)? {
        while newsCount > 0 {
            let block = news[newsStart]
            newsStart = (newsStart + 1) % news.count
            newsCount -= 1
            blocks[Int(block)].isNews = false
            if let digest = blocks[Int(block)].digest { return (block, digest, blocks[Int(block)].parent) }
        }
        return nil
    }

    /// Whether there may be something that `takePublished` tells of.
    package var hasPublished: Bool { newsCount > 0 }

    /// Has `takePublished` tell of a block once more, whose content can be found.
    package mutating func announce(_ block: Int32) {
        guard blocks[Int(block)].digest != nil, !news.isEmpty, !blocks[Int(block)].isNews else { return }
        blocks[Int(block)].isNews = true
        news[(newsStart + newsCount) % news.count] = block
        newsCount += 1
    }

    /// Has a free block be handed out after all that are free now.
    package mutating func refresh(_ block: Int32) {
        guard blocks[Int(block)].users == 0 else { return }
        unlink(block)
        link(last: block)
    }

    private mutating func unlink(_ block: Int32) {
        let (previous, next) = (blocks[Int(block)].previous, blocks[Int(block)].next)
        if previous >= 0 { blocks[Int(previous)].next = next } else { firstFree = next }
        if next >= 0 { blocks[Int(next)].previous = previous } else { lastFree = previous }
        freeCount -= 1
    }

    private mutating func link(first block: Int32) {
        blocks[Int(block)].previous = -1
        blocks[Int(block)].next = firstFree
        if firstFree >= 0 { blocks[Int(firstFree)].previous = block } else { lastFree = block }
        firstFree = block
        freeCount += 1
    }

    private mutating func link(last block: Int32) {
        blocks[Int(block)].next = -1
        blocks[Int(block)].previous = lastFree
        if lastFree >= 0 { blocks[Int(lastFree)].next = block } else { firstFree = block }
        lastFree = block
        freeCount += 1
    }
}

extension BlockPool {
    /// What is wrong with the bookkeeping; nil for nothing.
    package var violation: String? {
        var free = 0
        var (block, before) = (firstFree, Int32(-1))
        while block >= 0, free <= blocks.count {
            guard blocks[Int(block)].users == 0 else { return "block \(block) is free and in use" }
            guard blocks[Int(block)].previous == before else { return "the list of free blocks is broken before \(block)" }
            (block, before) = (blocks[Int(block)].next, block)
            free += 1
        }
        guard before == lastFree, free == freeCount else { return "\(free) blocks are free, \(freeCount) are said to be" }
        guard blocks.count(where: { $0.users > 0 }) == usedCount else { return "blocks are neither free nor in use" }
        guard blocks.count(where: { $0.digest != nil }) == index.count else { return "blocks have content that is not found" }
        let strays = index.contains { blocks[Int($0.value)].digest != $0.key }
        return strays ? "a digest leads to another block" : nil
    }
}
