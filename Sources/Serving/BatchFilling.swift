internal import Execution
internal import Plan

extension StepIO {
    /// Writes a batch into the buffers as `StepIO` documents them.
    ///
    /// - Parameters:
    ///   - gear: rows of a decode gear, or nil for `extend`.
    ///   - running: the scheduler's running sequences, which the items index.
    func fill(
        _ batch: Batch, gear: Int?, running: [SequenceState], blockSize: Int, requests: [Int: ActiveRequest]
    ) {
        tokenCount = gear ?? batch.tokenCount
        sequenceCount = gear ?? batch.items.count
        sampleCount = 0
        imageCount = 0
        var (row, sequences) = (0, 0)
        for item in batch.items {
            guard let request = requests[item.id] else { continue }
            let sequence = running[item.index]
            // A row of a decode gear is a sequence by itself: of guessed tokens, each finds those before it in the cache.
            let width = gear == nil ? item.count : 1
            for first in stride(from: 0, to: item.count, by: width) {
                queryStarts[sequences] = Int32(row + first)
                queryCounts[sequences] = Int32(width)
                contextLengths[sequences] = Int32(item.start + first + width)
                for (place, block) in sequence.blocks.enumerated() { blockTables[sequences * maxBlocks + place] = block }
                sequences += 1
            }
            fillTokens(sequence, item, row: row, blockSize: blockSize)
            fillPositions(sequence, request.request.prompt, item, row: row)
            fillImages(request, item, row: row)
            for place in item.logits {
                sampleRows[sampleCount] = Int32(row + place - item.start)
                let ahead = place - item.lastKnown
                let isChosenFrom = item.samples && ahead >= 0
                let wanted = item.isReplay ? (count: Self.noLogits, reach: 0) : isChosenFrom ? request.beginChoice(behind: ahead) : (0, 0)
                (wantedLogits[sampleCount], logitReach[sampleCount]) = wanted
                sampleCount += 1
            }
            row += item.count
        }
        if let gear { pad(from: batch.tokenCount, to: gear) }
    }

    private func fillTokens(_ sequence: SequenceState, _ item: Batch.Item, row: Int, blockSize: Int) {
        for offset in 0..<item.count {
            let position = item.start + offset
            ids[row + offset] = sequence.token(at: position)
            let block = Int(sequence.blocks[position / blockSize])
            slots[row + offset] = Int32(block * blockSize + position % blockSize)
            reach[row + offset] = Int32(sequence.reach(of: position))
            stateSlots[row + offset] = sequence.stateSlot
            ordinals[row + offset] = Int32(position)
            imageRows[row + offset] = -1
            adapters[row + offset] = Int32(sequence.adapter?.index ?? -1)
        }
    }

    private func fillPositions(_ sequence: SequenceState, _ prompt: Prompt, _ item: Batch.Item, row: Int) {
        let used = sequence.positionAxis
        for axis in 0..<positionAxes {
            for offset in 0..<item.count {
                let index = item.start + offset
                let position = if let used { axis == used ? Int32(index) : 0 } else { prompt.position(of: index, axis: axis) }
                positions[axis * tokenCount + row + offset] = position
            }
        }
    }

    private func fillImages(_ request: ActiveRequest, _ item: Batch.Item, row: Int) {
        let chunk = item.start..<item.start + item.count
        for (index, image) in request.request.prompt.images.enumerated() {
            guard let embeddings = request.embeddings[index] else { continue }
            for part in image.tokens.parts(in: chunk) {
                let first = part.first * hiddenSize
                embeddings.values.withUnsafeBufferPointer { values in
                    let source = UnsafeBufferPointer(rebasing: values[first..<first + part.tokens.count * hiddenSize])
                    let target = imageEmbeds[(imageCount * hiddenSize)...]
                    _ = UnsafeMutableBufferPointer(rebasing: target).update(fromContentsOf: source)
                }
                for (offset, position) in part.tokens.enumerated() {
                    imageRows[row + position - chunk.lowerBound] = Int32(imageCount + offset)
                }
                imageCount += part.tokens.count
            }
        }
    }

    /// Fills the rows of a decode gear that no sequence uses.
    func pad(from first: Int, to gear: Int) {
        for row in first..<gear {
            ids[row] = 0
            slots[row] = -1
            reach[row] = 0
            stateSlots[row] = -1
            ordinals[row] = 0
            imageRows[row] = -1
            adapters[row] = -1
            for axis in 0..<positionAxes { positions[axis * gear + row] = 0 }
            queryStarts[row] = Int32(row)
            queryCounts[row] = 0
            contextLengths[row] = 0
            sampleRows[row] = Int32(row)
            (wantedLogits[row], logitReach[row]) = (Self.noLogits, 0)
        }
    }
}
