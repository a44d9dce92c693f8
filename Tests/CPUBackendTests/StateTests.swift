import ArtifactFormat
import CPUBackend
import Execution
import Plan
import Testing

/// Models that keep a state of each sequence: the same logits, however the tokens come and whoever is computed with them.
@Suite struct StateTests {
    /// A loaded model, and the tokens of its sequences: sequence `n` has the state slot and the cache blocks of that number.
    private struct Session {
        let model: any LoadedModel
        let io: StepIO
        let tokens: [[Int32]]

        init(_ artifact: Artifact, sequences: Int, count: Int) throws {
            let vocabulary = artifact.program.vocabularySize
            try self.init(
                artifact, tokens: (0..<sequences).map { sequence in (0..<count).map { Int32((($0 + 1) * (7 + 5 * sequence) + sequence) % vocabulary) } })
        }

        init(_ artifact: Artifact, tokens: [[Int32]]) throws {
            model = try CPUBackend(threads: 2).load(artifact)
            try model.reserveKV(blockSize: 16, blockCount: tokens.count * blocks)
            io = try model.makeStepIO(maxBlocks: blocks)
            self.tokens = tokens
        }

        /// Computes the next tokens of sequences; returns the logits of each one's last.
        func run(_ parts: [(sequence: Int, range: Range<Int>)], gear: Int? = nil) throws -> [[Float]] {
            (io.sequenceCount, io.sampleCount, io.imageCount) = (gear ?? parts.count, gear ?? parts.count, 0)
            io.tokenCount = gear ?? parts.reduce(0) { $0 + $1.range.count }
            var row = 0
            for (index, part) in parts.enumerated() {
                (io.queryStarts[index], io.queryCounts[index]) = (Int32(row), Int32(part.range.count))
                io.contextLengths[index] = Int32(part.range.upperBound)
                for block in 0..<blocks { io.blockTables[index * io.maxBlocks + block] = Int32(part.sequence * blocks + block) }
                for position in part.range {
                    io.ids[row] = tokens[part.sequence][position]
                    io.slots[row] = Int32(part.sequence * blocks * 16 + position)
                    (io.stateSlots[row], io.ordinals[row]) = (Int32(part.sequence), Int32(position))
                    (io.imageRows[row], io.reach[row]) = (-1, Int32(position))
                    for axis in 0..<io.positionAxes { io.positions[axis * io.tokenCount + row] = Int32(position) }
                    row += 1
                }
                io.sampleRows[index] = Int32(row - 1)
            }
            for padding in row..<(gear ?? row) {
                (io.ids[padding], io.slots[padding], io.stateSlots[padding], io.ordinals[padding]) = (3, -1, -1, 0)
                (io.queryStarts[padding], io.queryCounts[padding], io.contextLengths[padding]) = (Int32(padding), 0, 0)
                for axis in 0..<io.positionAxes { io.positions[axis * io.tokenCount + padding] = 0 }
            }
            try model.run(gear.map { .decode(gear: $0) } ?? .extend, io)
            return parts.indices.map { Array(io.logits[$0 * io.vocabularySize..<($0 + 1) * io.vocabularySize]) }
        }
    }

    /// What forks from a sequence goes on as if it had computed all tokens itself, on its own and beside the one that it forks from.
    @Test(arguments: ["lfm2_vl", "qwen3_5"]) func copiedStatesAndBlocksAreGoneOnWith(name: String) throws {
        let store = TemporaryStore()
        let artifact = try store.compile(name, .exact, from: "Families")
        let tokens = try Session(artifact, sequences: 2, count: 24).tokens
        let child = Array(tokens[0].prefix(20) + tokens[1].suffix(4))
        let expected = try [tokens[0], child].map { try Session(artifact, tokens: [$0]).run([(0, 0..<24)])[0] }
        let forked = try Session(artifact, tokens: [tokens[0], child])
        _ = try forked.run([(0, 0..<20)])
        var copies = CacheCopies()
        copies.blocks = [.init(from: 0, to: Int32(blocks)), .init(from: 1, to: Int32(blocks) + 1)]
        copies.states = [.init(from: 0, to: 1)]
        forked.model.copy(copies)
        let both = try forked.run([(0, 20..<24), (1, 20..<24)])
        expectSame(both[0], expected[0], "the one that it forks from")
        expectSame(both[1], expected[1], "what forks")
        #expect(zip(expected[0], expected[1]).contains { abs($0 - $1) > 1e-3 })
    }

    private func expectSame(_ ours: [Float], _ theirs: [Float], _ what: String) {
        let largest = theirs.reduce(0) { max($0, abs($1)) }
        let difference = zip(ours, theirs).reduce(0) { max($0, abs($1.0 - $1.1)) }
        #expect(difference <= 1e-4 * largest, "\(what)")
    }

    @Test(arguments: ["lfm2_vl", "qwen3_5"]) func tokensInPartsAreTheTokensAtOnce(name: String) throws {
        let store = TemporaryStore()
        let artifact = try store.compile(name, .exact, from: "Families")
        #expect(artifact.program.keepsStates)
        let count = 21
        let session = try Session(artifact, sequences: 4, count: count)
        let gears = artifact.program.limits.gears
        // Each alone and at once, twice: what a slot holds of another sequence does not matter.
        var alone: [[[Float]]] = []
        for sequence in 0..<4 {
            alone.append([try session.run([(sequence, 0..<count - 1)])[0], try session.run([(sequence, count - 1..<count)])[0]])
        }
        #expect(alone[0] != alone[1])
        let again = try session.run([(2, 0..<count)])[0]
        expectSame(again, alone[2][1], "\(name) at once")
        for chunk in [1, 2, 7] {
            var last: [Float] = []
            for start in stride(from: 0, to: count, by: chunk) { last = try session.run([(1, start..<min(start + chunk, count))])[0] }
            expectSame(last, alone[1][1], "\(name) in chunks of \(chunk)")
        }
        // One after another by each gear, others beside them and behind the last some padding.
        for gear in gears {
            let sequences = Array(0..<min(gear, 3))
            var last = try session.run(sequences.map { ($0, 0..<count - 4) })
            for position in count - 4..<count { last = try session.run(sequences.map { ($0, position..<position + 1) }, gear: gear) }
            for sequence in sequences { expectSame(last[sequence], alone[sequence][1], "\(name), sequence \(sequence) in gear \(gear)") }
        }
        // Parts of several sequences in one batch, in an order that changes.
        for (number, ends) in [[5, 9, 2], [13, 10, 20], [count, count, count]].enumerated() {
            let starts = [[0, 0, 0], [5, 9, 2], [13, 10, 20]][number]
            let order = number % 2 == 0 ? [0, 1, 2] : [2, 0, 1]
            let last = try session.run(order.map { ($0, starts[$0]..<ends[$0]) })
            guard ends[0] == count else { continue }
            for (index, sequence) in order.enumerated() { expectSame(last[index], alone[sequence][1], "\(name), sequence \(sequence) mixed") }
        }
    }

    @Test func slotsBeyondTheSequencesAreRefused() throws {
        let store = TemporaryStore()
        let artifact = try store.compile("lfm2_vl", .exact, from: "Families")
        let session = try Session(artifact, sequences: 1, count: 3)
        _ = try session.run([(0, 0..<3)])
        session.io.stateSlots[1] = Int32(artifact.program.limits.maxSequences)
        #expect(throws: BackendError.self) { try session.model.run(.extend, session.io) }
    }
}

private let blocks = 8
