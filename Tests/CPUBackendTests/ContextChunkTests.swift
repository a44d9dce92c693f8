import ArtifactFormat
import CPUBackend
import Execution
import Plan
import Testing

/// Contexts of several chunks, whose attention is split over threads.
@Suite struct ContextChunkTests {
    private static let blocks = 96

    /// One sequence of a prompt in parts, then decoded tokens; the logits of every call.
    private func logits(_ artifact: Artifact, threads: Int, prompt: Int, decoded: Int) throws -> [[UInt32]] {
        let model = try CPUBackend(threads: threads).load(artifact)
        try model.reserveKV(blockSize: 16, blockCount: Self.blocks)
        let io = try model.makeStepIO(maxBlocks: Self.blocks)
        for block in 0..<Self.blocks { io.blockTables[block] = Int32((block * 5 + 3) % Self.blocks) }
        var result: [[UInt32]] = [], length = 0
        while length < prompt + decoded {
            let count = length < prompt ? min(100, prompt - length) : 1
            (io.tokenCount, io.sequenceCount, io.sampleCount, io.imageCount) = (count, 1, 1, 0)
            (io.queryStarts[0], io.queryCounts[0], io.contextLengths[0]) = (0, Int32(count), Int32(length + count))
            for row in 0..<count {
                let position = length + row
                io.ids[row] = Int32((position * 37 + 5) % io.vocabularySize)
                io.slots[row] = io.blockTables[position / 16] * 16 + Int32(position % 16)
                (io.stateSlots[row], io.imageRows[row]) = (0, -1)
                (io.reach[row], io.ordinals[row]) = (Int32(position), Int32(position))
                for axis in 0..<io.positionAxes { io.positions[axis * count + row] = Int32(position) }
            }
            io.sampleRows[0] = Int32(count - 1)
            try model.run(length < prompt ? .extend : .decode(gear: 1), io)
            result.append(io.logits[..<io.vocabularySize].map(\.bitPattern))
            length += count
        }
        return result
    }

    @Test func logitsAreTheSameForAnyNumberOfThreads() throws {
        let artifact = try TemporaryStore().compile("demo", .balanced, gears: [1])
        let alone = try logits(artifact, threads: 1, prompt: 1060, decoded: 4)
        #expect(Set(alone).count == alone.count)
        for threads in [2, 3] {
            #expect(try logits(artifact, threads: threads, prompt: 1060, decoded: 4) == alone, "\(threads) threads")
        }
    }
}
