package import Plan

/// One sequence alone on a loaded model: what tools that compare and ask single questions need of an engine.
package final class SingleSequence {
    private let model: any LoadedModel
    private let io: StepIO
    private let blockSize: Int
    private var length = 0

    /// Reserves a cache for `capacity` tokens.
    package init(_ model: any LoadedModel, capacity: Int, blockSize: Int = 16) throws(BackendError) {
        self.model = model
        self.blockSize = blockSize
        let blocks = max(1, (capacity + blockSize - 1) / blockSize)
        try model.reserveKV(blockSize: blockSize, blockCount: blocks)
        io = try model.makeStepIO(maxBlocks: blocks)
        for block in 0..<blocks { io.blockTables[block] = Int32(block) }
    }

    /// Forgets every token.
    package func restart() { length = 0 }

    /// Embeddings of pictures, f32 `[M, H]` in input order; in several vision calls where one does not take them all.
    package func encode(_ pictures: [VisionInput]) throws(BackendError) -> [Float] {
        var embeddings: [Float] = []
        var start = 0
        while start < pictures.count {
            var end = start + 1
            while end < pictures.count, model.program.takes(Array(pictures[start...end])) { end += 1 }
            try model.beginVision(.joined(Array(pictures[start..<end])))
            while try !model.advanceVision(budget: .infinity) {}
            embeddings += model.visionOutput
            start = end
        }
        return embeddings
    }

    /// What stands at the tokens of a prompt.
    package struct Prompt {
        package var ids: [Int32]
        /// i32 `[A, T]`.
        package var positions: [Int32]
        /// For each token the row of `embeddings` that stands for it; −1 for text.
        package var imageRows: [Int32]
        /// f32 `[I, H]`.
        package var embeddings: [Float]
        /// Ranges of tokens that see each other whole.
        package var spans: [Range<Int>]

        package init(ids: [Int32], positions: [Int32], imageRows: [Int32], embeddings: [Float], spans: [Range<Int>] = []) {
            self.spans = spans
            self.ids = ids
            self.positions = positions
            self.imageRows = imageRows
            self.embeddings = embeddings
        }
    }

    /// Reads a prompt and hands out logits: of every token when `everyRow`, else of the last one.
    package func prefill(_ prompt: Prompt, everyRow: Bool = false) throws(BackendError) -> [Float] {
        var logits: [Float] = []
        var start = 0
        while start < prompt.ids.count {
            let rows = start..<end(of: prompt, from: start)
            fill(prompt, rows)
            let isLast = rows.upperBound == prompt.ids.count
            // The same rows are computed again for as many as can be sampled at once.
            let sampled = everyRow ? Array(0..<rows.count) : [rows.count - 1]
            for first in stride(from: 0, to: sampled.count, by: io.maxSequences) where everyRow || isLast || first == 0 {
                let part = sampled[first..<min(first + io.maxSequences, sampled.count)]
                io.sampleCount = part.count
                for (sample, row) in part.enumerated() { io.sampleRows[sample] = Int32(row) }
                try model.run(.extend, io)
                if everyRow || isLast { logits += io.logits[..<(io.sampleCount * io.vocabularySize)] }
            }
            start = rows.upperBound
        }
        return logits
    }

    /// Where a batch that begins at `start` ends: not inside a span, unless it is all of it.
    private func end(of prompt: Prompt, from start: Int) -> Int {
        let end = min(start + io.maxTokens, prompt.ids.count)
        guard let cut = prompt.spans.first(where: { $0.lowerBound < end && end < $0.upperBound }), cut.lowerBound > start else { return end }
        return cut.lowerBound
    }

    /// The logits after one more token, whose rotary position is the same on every axis, or 0 on all but `axis`; by the first decode gear
    /// or `gear`.
    package func decode(_ token: Int32, position: Int32, axis used: Int? = nil, gear: Int? = nil) throws(BackendError) -> [Float] {
        guard let gear = gear ?? model.program.limits.gears.first else { throw .unsupported("the artifact has no decode gear") }
        for row in 0..<gear {
            io.ids[row] = 0
            io.slots[row] = -1
            io.queryStarts[row] = Int32(row)
            io.queryCounts[row] = row == 0 ? 1 : 0
            io.contextLengths[row] = 0
        }
        for index in 0..<io.positionAxes * gear { io.positions[index] = 0 }
        io.ids[0] = token
        for axis in 0..<io.positionAxes { io.positions[axis * gear] = axis == used ?? axis ? position : 0 }
        io.slots[0] = Int32(length)
        io.reach[0] = Int32(length)
        length += 1
        io.contextLengths[0] = Int32(length)
        (io.tokenCount, io.sequenceCount, io.sampleCount, io.imageCount) = (gear, gear, gear, 0)
        try model.run(.decode(gear: gear), io)
        return Array(io.logits[..<io.vocabularySize])
    }

    private func fill(_ prompt: Prompt, _ rows: Range<Int>) {
        var images = 0
        for (row, token) in rows.enumerated() {
            io.ids[row] = prompt.ids[token]
            io.slots[row] = Int32(length + row)
            let end = prompt.spans.first { $0.contains(token) }?.upperBound ?? token + 1
            io.reach[row] = Int32(length + min(end, rows.upperBound) - 1 - rows.lowerBound)
            io.imageRows[row] = -1
            for axis in 0..<io.positionAxes {
                io.positions[axis * rows.count + row] = prompt.positions[axis * prompt.ids.count + token]
            }
            let source = Int(prompt.imageRows[token])
            guard source >= 0 else { continue }
            for column in 0..<io.hiddenSize {
                io.imageEmbeds[images * io.hiddenSize + column] = prompt.embeddings[source * io.hiddenSize + column]
            }
            io.imageRows[row] = Int32(images)
            images += 1
        }
        length += rows.count
        io.queryStarts[0] = 0
        io.queryCounts[0] = Int32(rows.count)
        io.contextLengths[0] = Int32(length)
        (io.tokenCount, io.sequenceCount, io.imageCount) = (rows.count, 1, images)
    }
}
