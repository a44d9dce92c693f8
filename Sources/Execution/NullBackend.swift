package import Plan

/// A model of no weights, for tests of everything around a model.
///
/// Its logits depend on a seed and on the sequence's own tokens, positions and image embeddings alone, read back from
/// a simulated cache through the block tables: a batch that is put together wrongly yields other tokens.
///
/// Of a program that leaves inner states it leaves what each token has in the cache. Of one that reads them it is a head: its logits are those of such a
/// model behind the token that it is given.
package final class NullModel: LoadedModel {
    package let program: Program
    private let seed: UInt64
    /// Patches that make one image token.
    private let merge: Int
    private let failsOnToken: Int32?
    private let (innerWidth, innerWidthRead): (Int, Int)
    private let beforeRun: @Sendable (Entry) -> Void
    private var blockSize = 1
    private var cache: [UInt64] = []
    /// Of programs that keep states: by slot, what the tokens of its sequence have left and how many they are.
    private var states: [(hash: UInt64, count: Int32)]
    /// By row of the batch, the state behind its token.
    private var stateOfRow: [UInt64] = []
    private let vision: UnsafeMutableBufferPointer<Float>
    private var visionCount = 0
    private var visionStepsLeft = 0

    /// - Parameters:
    ///   - merge: patches that make one image token.
    ///   - failsOnToken: a token that no batch may hold; one that does throws.
    ///   - beforeRun: called before each batch, on the calling thread.
    package init(
        program: Program, seed: UInt64 = 1, merge: Int = 4, failsOnToken: Int32? = nil,
        beforeRun: @escaping @Sendable (Entry) -> Void = { _ in }
    ) {
        self.program = program
        self.seed = seed
        self.merge = merge
        self.failsOnToken = failsOnToken
        self.beforeRun = beforeRun
        (innerWidth, innerWidthRead) = (program.innerWidth, program.innerWidthRead)
        states = Array(repeating: (hash: 0, count: 0), count: program.keepsStates ? program.limits.maxSequences : 0)
        vision = .allocate(capacity: program.limits.maxPatches / merge * program.hiddenSize)
        vision.initialize(repeating: 0)
    }

    deinit { vision.deallocate() }

    package func reserveKV(blockSize: Int, blockCount: Int) throws(BackendError) {
        self.blockSize = blockSize
        cache = Array(repeating: 0, count: blockSize * blockCount)
    }

    package func makeStepIO(maxBlocks: Int) throws(BackendError) -> StepIO {
        try StepIO(
            maxTokens: max(program.limits.maxBatchedTokens, program.limits.maxSequences),
            maxSequences: program.limits.maxSequences, maxBlocks: maxBlocks, positionAxes: program.positionAxes,
            hiddenSize: program.hiddenSize, vocabularySize: program.vocabularySize,
            modelWidth: program.hiddenSize, innerWidth: program.innerRowWidth)
    }

    package func copy(_ copies: CacheCopies) {
        for copy in copies.blocks {
            for offset in 0..<blockSize { cache[Int(copy.to) * blockSize + offset] = cache[Int(copy.from) * blockSize + offset] }
        }
        if !states.isEmpty { for copy in copies.states { states[Int(copy.to)] = states[Int(copy.from)] } }
    }

    package var arithmetic: String { "null \(seed)" }
    package var blockBytes: Int { cache.isEmpty ? 0 : blockSize * MemoryLayout<UInt64>.stride }

    package func readBlock(_ block: Int32, into buffer: UnsafeMutableRawBufferPointer) {
        cache.withUnsafeBytes { buffer.copyMemory(from: UnsafeRawBufferPointer(rebasing: $0[place(of: block)])) }
    }

    package func writeBlock(_ block: Int32, from buffer: UnsafeRawBufferPointer) {
        let place = place(of: block)
        cache.withUnsafeMutableBytes { UnsafeMutableRawBufferPointer(rebasing: $0[place]).copyMemory(from: buffer) }
    }

    private func place(of block: Int32) -> Range<Int> { Int(block) * blockBytes..<(Int(block) + 1) * blockBytes }

    package func run(_ entry: Entry, _ io: StepIO) throws(BackendError) {
        beforeRun(entry)
        if case .decode(let gear) = entry, !program.limits.gears.contains(gear) || io.tokenCount != gear {
            throw .unsupported("a decode batch of \(io.tokenCount) rows in gear \(gear)")
        }
        for sequence in 0..<io.sequenceCount where io.contextLengths[sequence] < io.queryCounts[sequence] {
            throw .malformed("sequence \(sequence) has more tokens in the batch than in its context")
        }
        if let failsOnToken, io.ids[..<io.tokenCount].contains(failsOnToken) {
            throw .unsupported("token \(failsOnToken) fails on purpose")
        }
        guard innerWidthRead == 0 else { return guess(entry, io) }
        for row in 0..<io.tokenCount where io.slots[row] >= 0 { cache[Int(io.slots[row])] = content(of: row, io) }
        if innerWidth > 0 { for row in 0..<io.tokenCount { show(content(of: row, io), io.innerStates, at: row * innerWidth) } }
        if !states.isEmpty { try readInOrder(io) }
        for sequence in 0..<io.sequenceCount { try lookAhead(sequence, io) }
        for sample in 0..<io.sampleCount { writeLogits(sample, io, withHidden: entry == .extend) }
    }

    package func beginVision(_ input: VisionInput) throws(BackendError) {
        let patches = input.patches
        guard patches > 0, patches <= program.limits.maxPatches, case .bytes(let pixels)? = input["pixels"]?.values,
            case .integers(let positions)? = input["patch_positions"]?.values, pixels.count % patches == 0, positions.count == 2 * patches
        else { throw .unsupported("a vision call of \(patches) patches") }
        let row = pixels.count / patches
        visionCount = 0
        for token in 0..<patches / merge {
            var hash = seed
            for patch in token * merge..<(token + 1) * merge {
                mix(&hash, UInt64(UInt32(bitPattern: positions[patch])))
                mix(&hash, UInt64(UInt32(bitPattern: positions[patches + patch])))
                for byte in pixels[patch * row..<(patch + 1) * row] { mix(&hash, UInt64(byte)) }
            }
            for column in 0..<program.hiddenSize {
                mix(&hash, UInt64(column))
                vision[visionCount] = Float(hash >> 40)
                visionCount += 1
            }
        }
        visionStepsLeft = 3
    }

    package func advanceVision(seconds: Double) throws(BackendError) -> Bool {
        visionStepsLeft = seconds.isFinite ? visionStepsLeft - 1 : 0
        return visionStepsLeft <= 0
    }

    package var visionOutput: UnsafeBufferPointer<Float> {
        UnsafeBufferPointer(rebasing: vision[..<visionCount])
    }

    /// Takes the tokens of each sequence to its state, one after another.
    private func readInOrder(_ io: StepIO) throws(BackendError) {
        stateOfRow = Array(repeating: 0, count: io.tokenCount)
        for row in 0..<io.tokenCount where io.stateSlots[row] >= 0 {
            let (slot, ordinal) = (Int(io.stateSlots[row]), io.ordinals[row])
            if ordinal == 0 { states[slot] = (seed, 0) }
            guard states[slot].count == ordinal else { throw .malformed("row \(row) is token \(ordinal) behind \(states[slot].count)") }
            mix(&states[slot].hash, content(of: row, io))
            states[slot].count += 1
            stateOfRow[row] = states[slot].hash
        }
    }

    /// Tokens that see behind themselves leave what they see, which must be in the batch.
    private func lookAhead(_ sequence: Int, _ io: StepIO) throws(BackendError) {
        let start = Int(io.queryStarts[sequence]), count = Int(io.queryCounts[sequence])
        let first = Int(io.contextLengths[sequence]) - count
        for index in 0..<count where Int(io.reach[start + index]) > first + index && io.slots[start + index] >= 0 {
            let last = Int(io.reach[start + index]) - first
            guard last < count else { throw .malformed("sequence \(sequence) sees behind its tokens in the batch") }
            for row in start + index + 1...start + last { mix(&cache[Int(io.slots[start + index])], content(of: row, io)) }
        }
    }

    /// What a token leaves in the cache, so many positions behind its own.
    private func content(of row: Int, _ io: StepIO, ahead: Int32 = 0) -> UInt64 {
        var hash = seed
        mix(&hash, UInt64(UInt32(bitPattern: io.ids[row])))
        for axis in 0..<io.positionAxes {
            mix(&hash, UInt64(UInt32(bitPattern: io.positions[axis * io.tokenCount + row] + ahead)))
        }
        if io.adapters[row] >= 0 { mix(&hash, UInt64(io.adapters[row]) + 1) }
        if io.imageRows[row] >= 0 {
            let start = Int(io.imageRows[row]) * io.hiddenSize
            for value in io.imageEmbeds[start..<start + io.hiddenSize] { mix(&hash, UInt64(value.bitPattern)) }
        }
        return hash
    }

    /// What all cached tokens of a sequence leave up to and with a row's; nil for a row of no sequence.
    private func context(of row: Int, _ io: StepIO) -> UInt64? {
        let sequence = (0..<io.sequenceCount).first {
            let start = Int(io.queryStarts[$0])
            return (start..<start + Int(io.queryCounts[$0])).contains(row)
        }
        guard let sequence else { return nil }
        let rest = Int(io.queryStarts[sequence]) + Int(io.queryCounts[sequence]) - 1 - row
        var hash = seed
        for position in 0..<Int(io.contextLengths[sequence]) - rest {
            let block = Int(io.blockTables[sequence * io.maxBlocks + position / blockSize])
            mix(&hash, cache[block * blockSize + position % blockSize])
        }
        return hash
    }

    /// What a head leaves: each row has what the model has in the cache of one token, and the token behind it.
    private func guess(_ entry: Entry, _ io: StepIO) {
        let width = entry == .extend ? innerWidthRead : io.modelWidth
        for row in 0..<io.tokenCount where io.slots[row] >= 0 {
            cache[Int(io.slots[row])] = (0..<4).reduce(UInt64(0)) { $0 << 16 | UInt64(io.innerStates[row * width + $1]) }
        }
        for sample in 0..<io.sampleCount {
            let row = Int(io.sampleRows[sample])
            guard var hash = context(of: row, io) else { continue }
            let next = content(of: row, io, ahead: 1)
            mix(&hash, next)
            show(next, io.hidden, at: sample * io.modelWidth)
            for token in 0..<io.vocabularySize {
                mix(&hash, UInt64(token))
                io.logits[sample * io.vocabularySize + token] = Float(hash >> 40) * 0x1p-22
            }
        }
    }

    /// Four numbers of 16 bits each.
    private func show(_ content: UInt64, _ buffer: UnsafeMutableBufferPointer<Float>, at start: Int) {
        for part in 0..<4 { buffer[start + part] = Float(content >> (48 - 16 * UInt64(part)) & 0xFFFF) }
    }

    /// Logits from all cached tokens up to and with the sampled one.
    private func writeLogits(_ sample: Int, _ io: StepIO, withHidden: Bool) {
        let row = Int(io.sampleRows[sample])
        guard var hash = context(of: row, io) else { return }
        if !states.isEmpty { mix(&hash, stateOfRow[row]) }
        for column in 0..<(withHidden ? io.modelWidth : 0) {
            var own = hash
            mix(&own, UInt64(column))
            io.hidden[sample * io.modelWidth + column] = Float(own >> 40) * 0x1p-23 - 1
        }
        for token in 0..<io.vocabularySize {
            mix(&hash, UInt64(token))
            io.logits[sample * io.vocabularySize + token] = Float(hash >> 40) * 0x1p-22
        }
    }

    private func mix(_ hash: inout UInt64, _ value: UInt64) {
        hash = (hash ^ value) &* 0x9E37_79B9_7F4A_7C15
        hash ^= hash >> 29
    }
}
