import ArtifactFormat
import CPUBackend
import Execution
import Foundation
import ModelRuntime
import Plan
import Serving
import Testing

/// Models whose cached blocks outlive them: the same bits as without, and none for another artifact.
@Suite struct StoredBlockTests {
    private let store = TemporaryStore()
    private var folder: String { store.path + "-blocks" }

    /// Blocks that are copied out of one model and into other places of another one are gone on with as if it had computed them.
    @Test(arguments: [ArtifactKey.Precision.exact, .balanced], [16, 64]) func aBlockIsTheSameInAnotherModel(precision: ArtifactKey.Precision, size: Int) throws {
        let artifact = try store.compile("qwen2_vl", precision)
        let tokens = (0..<3 * size + 5).map { Int32(($0 * 13 + 5) % artifact.program.vocabularySize) }
        func model() throws -> any LoadedModel {
            let model = try CPUBackend(threads: 2).load(artifact)
            #expect(model.blockBytes == 0)
            try model.reserveKV(blockSize: size, blockCount: 8)
            return model
        }
        /// The logits of the last token of a range, whose sequence has these blocks.
        func run(_ model: any LoadedModel, _ range: Range<Int>, _ blocks: [Int32]) throws -> [Float] {
            let io = try model.makeStepIO(maxBlocks: 4)
            (io.tokenCount, io.sequenceCount, io.sampleCount, io.imageCount) = (range.count, 1, 1, 0)
            (io.queryStarts[0], io.queryCounts[0], io.contextLengths[0]) = (0, Int32(range.count), Int32(range.upperBound))
            for (place, block) in blocks.enumerated() { io.blockTables[place] = block }
            for (row, position) in range.enumerated() {
                io.ids[row] = tokens[position]
                io.slots[row] = blocks[position / size] * Int32(size) + Int32(position % size)
                (io.imageRows[row], io.reach[row], io.stateSlots[row], io.ordinals[row], io.adapters[row]) = (-1, Int32(position), -1, Int32(position), -1)
                for axis in 0..<io.positionAxes { io.positions[axis * io.tokenCount + row] = Int32(position) }
            }
            io.sampleRows[0] = Int32(range.count - 1)
            try model.run(.extend, io)
            return Array(io.logits[..<io.vocabularySize])
        }
        let first = try model(), second = try model()
        #expect(first.blockBytes == artifact.program.kvBlockBytes(blockSize: size) && first.arithmetic == second.arithmetic)
        _ = try run(first, 0..<3 * size, [0, 1, 2, 3])
        let expected = try run(first, 3 * size..<tokens.count, [0, 1, 2, 3])
        var content = [UInt8](repeating: 0, count: first.blockBytes)
        for (from, to) in [(0, 5), (1, 7), (2, 1)] as [(Int32, Int32)] {
            content.withUnsafeMutableBytes { first.readBlock(from, into: $0) }
            content.withUnsafeBytes { second.writeBlock(to, from: $0) }
        }
        #expect(try run(second, 3 * size..<tokens.count, [5, 7, 1, 0]) == expected)
        #expect(try run(try model(), 3 * size..<tokens.count, [0, 1, 2, 3]) != expected, "without the blocks there is something else")
    }

    /// Texts of prompts and how many tokens of each were cached.
    private func answers(_ artifact: Artifact, _ prompts: [Prompt], stored: Bool = true, threads: Int = 2) async throws -> [Answer] {
        var options = EngineOptions()
        options.blockSize = 16
        if stored { options.blockStore = BlockStore(directory: folder) }
        let session = try Session(artifact, on: CPUBackend(threads: threads), options: options, availableBytes: 64 << 20)
        while session.engine.phase != .serving {
            if case .failed(let why) = session.engine.phase { throw Failed(why: why) }
            try await Task.sleep(for: .milliseconds(1))
        }
        var found: [Answer] = []
        for prompt in prompts {
            var request = GenerationRequest(prompt: prompt, maxTokens: 12, ignoresEnd: true, decoder: NoText())
            request.sampling.temperature = 0
            request.logprobs = 0
            var answer = Answer()
            for await event in try session.engine.submit(request).events {
                switch event {
                case .token(let choice): answer.text.append(choice.chosen.token)
                case .finished(let completion): answer.cached = completion.usage.cachedTokens
                default: break
                }
            }
            found.append(answer)
        }
        await session.engine.drain(timeout: .seconds(5))
        return found
    }

    private struct Answer {
        var text: [Int32] = []
        var cached = 0
    }

    private struct Failed: Error { let why: String }

    private struct NoText: TokenTextDecoder {
        mutating func append(_ token: Int32) -> String { "" }
        mutating func finish() -> String { "" }
    }

    @Test func theNextSessionGoesOnAndAnotherArtifactDoesNot() async throws {
        defer { try? FileManager.default.removeItem(atPath: folder) }
        let (balanced, exact) = (try store.compile("demo", .balanced), try store.compile("demo", .exact))
        let prompts: [Prompt] = [(40, 0), (70, 1), (100, 2), (130, 0)].map { (count: Int32, first: Int32) -> Prompt in
            let ids: [Int32] = (0..<count).map { ($0 * 11 + first) % 700 + 20 }
            return Prompt(text: ids, axes: balanced.program.positionAxes)
        }
        let plain = try await answers(balanced, prompts, stored: false)
        let first = try await answers(balanced, prompts)
        let second = try await answers(balanced, prompts.reversed(), threads: 1)
        #expect(first.map(\.text) == plain.map(\.text) && second.reversed().map(\.text) == plain.map(\.text))
        #expect(first.map(\.cached) == [0, 0, 0, 32] && second.map(\.cached) == [128, 96, 64, 32])
        let other = try await answers(exact, prompts)
        let plainExact = try await answers(exact, prompts, stored: false)
        #expect(other.map(\.text) == plainExact.map(\.text) && other.map(\.cached) == [0, 0, 0, 32])
        #expect(try await answers(exact, prompts).map(\.cached) == [32, 64, 96, 128])
    }
}
