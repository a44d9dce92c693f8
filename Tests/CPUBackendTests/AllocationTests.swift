import AllocationCounter
import ArtifactFormat
import CPUBackend
import Execution
import Plan
import Synchronization
import Tensors
import Testing

@Suite struct AllocationTests {
    /// What a server does all day: prompts in chunks, then decoding in every gear, with adapters and without, then images.
    @Test(arguments: [ArtifactKey.Precision.exact, .balanced], [1, 2])
    func noStepAllocates(precision: ArtifactKey.Precision, threads: Int) throws {
        let store = TemporaryStore()
        let artifact = try store.compile("qwen2_vl_hubstyle", precision, screenedBytes: 0, takesAdapters: true)
        let model = try CPUBackend(threads: threads).load(artifact, adapters: AdapterTests.adapters(of: artifact.program))
        try model.reserveKV(blockSize: 16, blockCount: 32)
        let io = try model.makeStepIO(maxBlocks: 32)
        for block in 0..<32 { io.blockTables[block] = Int32(block) }
        let rows = artifact.program.limits.maxBatchedTokens
        #expect(rows >= 300, "too few for OpenBLAS")
        let sampled = Rows(count: 9, threads: model.rowThreads)
        #expect(model.rowThreads == threads)
        for _ in 0..<3 {
            io.fill(tokens: 300, context: 300, samples: 1)
            #expect(try allocations { try model.run(.extend, io) } == 0)
            for gear in artifact.program.limits.gears {
                io.fill(tokens: gear, context: 301, samples: gear)
                #expect(try allocations { try model.run(.decode(gear: gear), io) } == 0)
                #expect(allocations { model.run(rows: sampled.count, sampled) } == 0)
            }
            try model.beginVision(image(artifact.program, rows: 12, columns: 16))
            #expect(try allocations { while try !model.advanceVision(seconds: 1e-4) {} } == 0)
        }
        #expect(sampled.isSound(after: 3 * artifact.program.limits.gears.count))
    }

    /// Rows that count how often they are computed, and by how many at once under one thread's number.
    private final class Rows: RowWork {
        let count: Int
        private let times: [Times]
        private let running: [Times]
        private let clashes = Atomic<Int>(0)

        private final class Times: Sendable { let value = Atomic<Int>(0) }

        init(count: Int, threads: Int) {
            self.count = count
            times = (0..<count).map { _ in Times() }
            running = (0..<threads).map { _ in Times() }
        }

        func run(row: Int, thread: Int) {
            if running[thread].value.add(1, ordering: .relaxed).newValue != 1 { clashes.add(1, ordering: .relaxed) }
            times[row].value.add(1, ordering: .relaxed)
            running[thread].value.subtract(1, ordering: .relaxed)
        }

        func isSound(after runs: Int) -> Bool {
            clashes.load(ordering: .relaxed) == 0 && times.allSatisfy { $0.value.load(ordering: .relaxed) == runs }
        }
    }

    @Test func theCounterSeesAllocations() {
        #expect(allocations { _ = UnsafeMutablePointer<Int>.allocate(capacity: 100) } == 1)
        var values: [Int] = []
        #expect(allocations { for value in 0..<100 { values.append(value) } } > 1)
    }

    private func allocations(_ body: () throws -> Void) rethrows -> Int {
        allocation_counter_start()
        defer { _ = allocation_counter_stop() }
        try body()
        return allocation_counter_stop()
    }

    /// Noise as one image of so many patches.
    private func image(_ program: Program, rows: Int, columns: Int) throws -> VisionInput {
        let plan = try #require(program.plans.first { $0.entry == .vision })
        let pixels = try #require(plan.tensors.first { $0.name == "pixels" })
        let width = try #require(pixels.type.shape.dims.last?.fixedValue)
        let count = rows * columns
        let places = (0..<count).map { Int32($0 / columns) } + (0..<count).map { Int32($0 % columns) }
        return VisionInput(
            patches: count, results: count / 4, features: count / 4,
            tensors: [
                .init("pixels", .bytes((0..<count * width).map { UInt8(truncatingIfNeeded: $0 * 31) }), of: .patch),
                .init("patch_positions", .integers(places), of: .patch, lines: 2),
            ], segments: ["images": [0, Int32(count)]])
    }
}

extension StepIO {
    /// One sequence's last `tokens` of `context`; in a decode gear the other rows are padding.
    fileprivate func fill(tokens: Int, context: Int, samples: Int) {
        let isDecode = samples == tokens
        (tokenCount, sequenceCount, sampleCount, imageCount) = (tokens, isDecode ? tokens : 1, samples, 0)
        for row in 0..<tokens {
            ids[row] = Int32(row % vocabularySize)
            slots[row] = isDecode ? (row == 0 ? Int32(context - 1) : -1) : Int32(context - tokens + row)
            (imageRows[row], adapters[row]) = (-1, Int32(row % 3) - 1)
            for axis in 0..<positionAxes { positions[axis * tokens + row] = Int32(row) }
        }
        for row in 0..<sequenceCount {
            (queryStarts[row], queryCounts[row]) = (Int32(row), row == 0 ? Int32(isDecode ? 1 : tokens) : 0)
            contextLengths[row] = row == 0 ? Int32(context) : 0
        }
        for sample in 0..<samples { wantedLogits[sample] = isDecode ? 1 : 0 }
        for sample in 0..<samples { sampleRows[sample] = Int32(isDecode ? sample : tokens - 1) }
    }
}
