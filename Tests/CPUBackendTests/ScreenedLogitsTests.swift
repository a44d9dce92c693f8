import ArtifactFormat
import CPUBackend
import Execution
import Foundation
import Plan
import Serving
import Testing

/// Heads that are scored from int8 weights first: what is chosen from the logits is what the head by itself gives.
@Suite struct ScreenedLogitsTests {
    /// A loaded model whose head is screened, and some sequences of it.
    private final class Session {
        let model: any LoadedModel
        let io: StepIO
        let gear: Int
        private var length = 0
        private static let lengthMax = 200, blocks = 16

        init(_ artifact: Artifact, gear: Int) throws {
            model = try CPUBackend(threads: 2).load(artifact)
            try model.reserveKV(blockSize: 16, blockCount: gear * Self.blocks)
            io = try model.makeStepIO(maxBlocks: Self.blocks)
            self.gear = gear
            for row in 0..<gear {
                io.ids[row] = Int32((row * 37 + 5) % io.vocabularySize)
                (io.stateSlots[row], io.imageRows[row], io.sampleRows[row]) = (Int32(row), -1, Int32(row))
                (io.queryStarts[row], io.queryCounts[row]) = (Int32(row), 1)
                for block in 0..<Self.blocks { io.blockTables[row * Self.blocks + block] = Int32(row * Self.blocks + block) }
            }
            (io.tokenCount, io.sequenceCount, io.sampleCount) = (gear, gear, gear)
        }

        /// The next token of every sequence by all logits.
        func next() { length = (length + 1) % Self.lengthMax }

        /// The logits of the token at hand, computed once more by each call.
        func run(wanted: [Int32], reach: Float = 0) throws -> [[Float]] {
            for row in 0..<gear {
                (io.wantedLogits[row], io.logitReach[row]) = (wanted[row % wanted.count], reach)
                io.slots[row] = Int32(row * Self.blocks * 16 + length)
                (io.reach[row], io.ordinals[row], io.contextLengths[row]) = (Int32(length), Int32(length), Int32(length + 1))
                for axis in 0..<io.positionAxes { io.positions[axis * gear + row] = Int32(length) }
            }
            try model.run(.decode(gear: gear), io)
            return (0..<gear).map { Array(io.logits[$0 * io.vocabularySize..<($0 + 1) * io.vocabularySize]) }
        }
    }

    private func artifact(_ name: String, _ store: TemporaryStore, gears: [Int]) throws -> Artifact {
        let artifact = try store.compile(name, .balanced, screenedBytes: 0, gears: gears)
        let kernels = artifact.program.plans.filter { $0.entry != .vision }.map { $0.steps.last?.kernel.name ?? "" }
        #expect(kernels.allSatisfy { $0.hasPrefix("screened_linear") }, "\(kernels)")
        return artifact
    }

    /// Together more than ten thousand tokens.
    @Test(arguments: [("demo", 1, 1200), ("wide", 1, 800), ("wide", 2, 300), ("wide", 4, 400), ("wide", 8, 400), ("wide", 16, 200), ("wide", 17, 40)])
    func greedyTokensAreTheSame(name: String, gear: Int, steps: Int) throws {
        let session = try Session(artifact(name, TemporaryStore(), gears: [gear]), gear: gear)
        var screened = 0
        for _ in 0..<steps {
            // Some rows only fill the gear.
            let ours = try session.run(wanted: gear == 8 ? [1, 1, 1, StepIO.noLogits] : [1])
            let all = try session.run(wanted: [0])
            screened += ours == all ? 0 : 1
            for row in 0..<gear {
                let token = try #require(firstGreatest(all[row]))
                session.io.ids[row] = token
                guard gear != 8 || row % 4 != 3 else { continue }
                #expect(firstGreatest(ours[row]) == token)
                #expect(ours[row][Int(token)].bitPattern == all[row][Int(token)].bitPattern)
            }
            session.next()
        }
        #expect(gear > 16 ? screened == 0 : screened > steps / 2, "\(screened) of \(steps) steps")
    }

    /// A row that wants all logits gets them, whatever its neighbours want.
    @Test func rowsMayWantDifferentThings() throws {
        let session = try Session(artifact("wide", TemporaryStore(), gears: [4]), gear: 4)
        let all = try session.run(wanted: [0])
        #expect(try session.run(wanted: [1, 0, 5, 1]) == all)
        #expect(try session.run(wanted: [1, 1, 300, 1]) == all)
        let alone = try session.run(wanted: [3, 1, 1, StepIO.noLogits])
        #expect(alone != all, "other logits keep their scores")
        for (row, count) in [3, 1, 1].enumerated() {
            let greatest = all[row].indices.sorted { all[row][$0] > all[row][$1] }.prefix(count)
            #expect(greatest.allSatisfy { alone[row][$0].bitPattern == all[row][$0].bitPattern })
        }
    }

    /// The same draws from the same seeds, and so often each token as its probability says.
    @Test(arguments: [(topK: 5, minP: 0 as Float), (topK: 40, minP: 0), (topK: 0, minP: 0.1), (topK: 12, minP: 0.05)])
    func samplesAreTheSame(topK: Int, minP: Float) throws {
        let session = try Session(artifact("demo", TemporaryStore(), gears: [1]), gear: 1)
        var parameters = SamplingParameters(), sampler = Sampler()
        (parameters.topK, parameters.minP, parameters.temperature) = (topK, minP, 1.5)
        for step in 0..<40 {
            let all = try session.run(wanted: [0])[0]
            let wanted = parameters.wantedLogits
            let ours = try session.run(wanted: [wanted.count], reach: wanted.reach)[0]
            let draws = step == 20 ? 20_000 : 50
            var counts: [Int32: Int] = [:]
            for position in 0..<draws {
                var (left, right) = (ours, all)
                let token = left.withUnsafeMutableBufferPointer { sampler.sample($0, parameters, position: position) }
                #expect(token == right.withUnsafeMutableBufferPointer { sampler.sample($0, parameters, position: position) })
                counts[try #require(token), default: 0] += 1
            }
            if step == 20 { try expectDistribution(counts, all, parameters) }
            session.io.ids[0] = try #require(firstGreatest(all))
            session.next()
        }
    }

    /// χ² of the counts against the probabilities that all logits give, below what chance passes once in ten thousand times.
    private func expectDistribution(_ counts: [Int32: Int], _ logits: [Float], _ parameters: SamplingParameters) throws {
        let most = try #require(logits.max()), last = parameters.topK > 0 ? logits.sorted(by: >)[parameters.topK - 1] : -.infinity
        var weights: [Int32: Double] = [:]
        for (token, logit) in logits.enumerated() where logit >= last {
            let weight = exp(Double((logit - most) / parameters.temperature))
            if weight >= Double(parameters.minP) { weights[Int32(token)] = weight }
        }
        #expect(counts.keys.allSatisfy { weights[$0] != nil })
        let total = weights.values.reduce(0, +), draws = Double(counts.values.reduce(0, +))
        var statistic = 0.0, cells = 0, rest = (expected: 0.0, found: 0.0)
        for (token, weight) in weights {
            let expected = draws * weight / total, found = Double(counts[token] ?? 0)
            if expected < 8 {
                rest = (rest.expected + expected, rest.found + found)
            } else {
                (statistic, cells) = (statistic + (found - expected) * (found - expected) / expected, cells + 1)
            }
        }
        if rest.expected >= 8 {
            statistic += (rest.found - rest.expected) * (rest.found - rest.expected) / rest.expected
            cells += 1
        }
        let freedom = Double(max(cells - 1, 1))
        #expect(statistic <= freedom + 3.8 * (2 * freedom).squareRoot() + 10, "\(statistic) of \(freedom)")
    }
}

/// The first index of the largest number; nil when there is none.
private func firstGreatest(_ logits: [Float]) -> Int32? {
    logits.filter { !$0.isNaN }.max().flatMap(logits.firstIndex).map(Int32.init)
}
