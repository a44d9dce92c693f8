internal import Execution
internal import Plan

/// Warms every plan, so that the first request finds kernels that ran and threads awake.
struct WarmUp {
    let model: any LoadedModel
    let gears: [Int]
    let blockSize: Int
    let blockCount: Int
    let hasAdapters: Bool
    let io: StepIO

    /// Runs vision, `extend` and each decode gear; `progress` is told how many of how many are done.
    func run(_ progress: (Int, Int) -> Void) throws(BackendError) {
        let count = gears.count + 2
        progress(0, count)
        try runVision()
        progress(1, count)
        try runTexts { progress(1 + $0, count) }
    }

    /// Runs `extend` and each decode gear; `progress` is told how many are done.
    func runTexts(_ progress: (Int) -> Void) throws(BackendError) {
        try runText(.extend, rows: 1)
        progress(1)
        for (index, gear) in gears.enumerated() {
            try runText(.decode(gear: gear), rows: gear)
            progress(2 + index)
        }
    }

    /// One token for each of `rows` sequences, in blocks that nobody uses yet.
    private func runText(_ entry: Entry, rows: Int) throws(BackendError) {
        io.tokenCount = rows
        io.sequenceCount = rows
        io.sampleCount = rows
        io.imageCount = 0
        for row in 0..<rows {
            let block = Int32(row % blockCount)
            io.ids[row] = 0
            io.slots[row] = block * Int32(blockSize)
            io.reach[row] = 0
            (io.stateSlots[row], io.ordinals[row]) = (Int32(row), 0)
            io.imageRows[row] = -1
            io.adapters[row] = hasAdapters ? 0 : -1
            io.queryStarts[row] = Int32(row)
            io.queryCounts[row] = 1
            io.contextLengths[row] = 1
            io.blockTables[row * io.maxBlocks] = block
            io.sampleRows[row] = Int32(row)
            // `extend` computes all logits, the gears those of greedy requests.
            (io.wantedLogits[row], io.logitReach[row]) = (entry == .extend ? 0 : 1, 0)
            for axis in 0..<io.positionAxes { io.positions[axis * rows + row] = 0 }
        }
        try model.warm(entry, io)
    }

    /// A small image of one gray.
    private func runVision() throws(BackendError) {
        guard let input = model.program.plan(for: .vision)?.blankVisionInput(size: 4), input.patches <= model.program.limits.maxPatches else { return }
        try model.beginVision(input)
        try model.warm(.vision, io)
    }
}

extension WarmUp {
    init(model: any LoadedModel, configuration: EngineConfiguration, io: StepIO) {
        self.init(
            model: model, gears: configuration.gears, blockSize: configuration.blockSize, blockCount: configuration.blockCount,
            hasAdapters: !configuration.adapters.isEmpty, io: io)
    }
}
