import ArtifactFormat
import CPUBackend
import Compiler
import Execution
import Foundation
import HuggingFace
import Plan
import Tensors
import Testing

/// EAGLE heads beside the model that they guess for: what torch makes of the same weights (Tests/Oracle/make_eagle_records.py).
@Suite struct EagleTests {
    private static let folder = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent().appending(path: "EndToEndTests/Fixtures")

    /// What torch recorded of one head.
    private struct Record {
        let ids, tokens, positions, guesses: [Int32]
        let states, chain: [Float]

        init(_ name: String) throws {
            let file = try SafetensorsFile(path: EagleTests.folder.appending(path: "eagle/expected.safetensors").path)
            func values<Value>(_ field: String) throws -> [Value] {
                try #require(file["\(name).\(field)"]).withBytes { bytes in
                    (0..<bytes.count / 4).map { bytes.loadUnaligned(fromByteOffset: 4 * $0, as: Value.self) }
                }
            }
            (ids, tokens, positions, guesses) = (try values("ids"), try values("tokens"), try values("positions"), try values("guesses"))
            (states, chain) = (try values("states"), try values("chain"))
        }
    }

    /// A model and its head, with the blocks of one sequence each.
    private struct Pair {
        let artifact, headArtifact: Artifact
        let model, head: any LoadedModel
        let io, headIO: StepIO
        let table: [Int32]

        init(_ store: TemporaryStore, _ name: String, precision: ArtifactKey.Precision = .exact) throws {
            (artifact, headArtifact) = try store.compile(head: "eagle/\(name)", of: "qwen2_vl", precision)
            let backend = CPUBackend(threads: 2)
            model = try backend.load(artifact)
            head = try backend.load(headArtifact, adapters: [], beside: model)
            for loaded in [model, head] { try loaded.reserveKV(blockSize: 16, blockCount: 4) }
            (io, headIO) = (try model.makeStepIO(maxBlocks: 4), try head.makeStepIO(maxBlocks: 4))
            table = headArtifact.has(.draftTokens)
                ? try headArtifact.section(.draftTokens).chunks.map { $0.reversed().reduce(Int32(0)) { $0 << 8 | Int32($1) } } : []
        }

        /// Fills rows of the one sequence, from `start` on.
        func fill(_ io: StepIO, _ tokens: ArraySlice<Int32>, start: Int, sampled: [Int], gear: Int? = nil, position: (_ row: Int, _ axis: Int) -> Int32) {
            let count = tokens.count
            (io.tokenCount, io.sequenceCount, io.sampleCount, io.imageCount) = (gear ?? count, gear ?? 1, sampled.count, 0)
            (io.queryStarts[0], io.queryCounts[0], io.contextLengths[0]) = (0, Int32(count), Int32(start + count))
            for row in 0..<(gear ?? count) {
                let place = start + row
                io.ids[row] = row < count ? tokens[tokens.startIndex + row] : 0
                if gear != nil {
                    (io.queryStarts[row], io.queryCounts[row], io.contextLengths[row]) = (Int32(row), row < count ? 1 : 0, row < count ? Int32(place + 1) : 0)
                }
                for block in 0..<4 where gear != nil || row == 0 { io.blockTables[row * io.maxBlocks + block] = Int32(block) }
                io.slots[row] = row < count ? Int32(place) : -1
                (io.reach[row], io.ordinals[row], io.stateSlots[row], io.imageRows[row], io.adapters[row]) = (Int32(place), Int32(place), -1, -1, -1)
                for axis in 0..<io.positionAxes { io.positions[axis * io.tokenCount + row] = row < count ? position(row, axis) : 0 }
            }
            for (sample, row) in sampled.enumerated() { (io.sampleRows[sample], io.wantedLogits[sample], io.logitReach[sample]) = (Int32(row), 0, 0) }
        }

        func guess(_ row: Int) -> Int32 {
            let logits = headIO.logits[row * headIO.vocabularySize..<(row + 1) * headIO.vocabularySize]
            let own = (logits.indices.max { logits[$0] < logits[$1] } ?? 0) - row * headIO.vocabularySize
            return table.isEmpty ? Int32(own) : table[own]
        }
    }

    private func distance(_ left: some Collection<Float>, _ right: some Collection<Float>) -> Float { zip(left, right).map { abs($0 - $1) }.max() ?? 0 }

    /// The head's states of every row, in chunks as a prompt is read, and its guesses by a chain of decode steps.
    @Test(arguments: ["third", "first"]) func statesAndGuessesAreThoseOfTorch(name: String) throws {
        let record = try Record(name)
        let pair = try Pair(TemporaryStore(), name)
        let (count, width) = (record.ids.count, pair.headIO.modelWidth)
        let columns = pair.io.innerWidth
        #expect(columns == (name == "third" ? 3 * width : width) && pair.headArtifact.program.innerWidthRead == columns)
        func position(_ row: Int, _ axis: Int) -> Int32 { record.positions[axis * count + row] }
        // Chunks of the model's rows, of which each token of the first is sampled in turn.
        for chunk in [0..<7, 7..<8, 8..<count] {
            let gear = chunk.count == 1 ? 4 : nil
            pair.fill(pair.io, record.ids[chunk], start: chunk.lowerBound, sampled: [chunk.count - 1], gear: gear) { position(chunk.lowerBound + $0, $1) }
            try pair.model.run(gear.map { .decode(gear: $0) } ?? .extend, pair.io)
            for first in stride(from: 0, to: chunk.count, by: 8) {
                let rows = first..<min(first + 8, chunk.count)
                let start = chunk.lowerBound + rows.lowerBound
                pair.fill(pair.headIO, record.tokens[start..<start + rows.count], start: start, sampled: Array(0..<rows.count)) { position(start + $0, $1) }
                for index in 0..<rows.count * columns { pair.headIO.innerStates[index] = pair.io.innerStates[rows.lowerBound * columns + index] }
                try pair.head.run(.extend, pair.headIO)
                let found = pair.headIO.hidden[..<(rows.count * width)]
                #expect(distance(found, record.states[start * width..<(start + rows.count) * width]) < 1e-3, "\(start)")
            }
        }
        var last = (count - 1) % 8 == 7 ? 7 : (count - 9) % 8
        var guesses = [pair.guess(last)]
        for step in 0..<record.guesses.count - 1 {
            let state = Array(pair.headIO.hidden[last * width..<(last + 1) * width])
            let gear = [1, 2, 4, 8][step]
            pair.fill(pair.headIO, guesses.suffix(1), start: count + step, sampled: [0], gear: gear) { position(count - 1, $1) + Int32(step + 1 + $0) }
            for (column, value) in state.enumerated() { pair.headIO.innerStates[column] = value }
            try pair.head.run(.decode(gear: gear), pair.headIO)
            last = 0
            #expect(distance(pair.headIO.hidden[..<width], record.chain[step * width..<(step + 1) * width]) < 1e-3, "chain \(step)")
            guesses.append(pair.guess(0))
        }
        #expect(guesses == record.guesses)
    }

    /// A model that shows hidden states gives the same logits, under another key; one that does not has its key as ever.
    @Test func logitsAreThoseWithoutAHead() throws {
        let store = TemporaryStore()
        let plain = try store.compile("qwen2_vl", .balanced)
        let (shown, _) = try store.compile(head: "eagle/third", of: "qwen2_vl", .balanced)
        #expect(plain.manifest.key.innerStates == nil && shown.manifest.key.innerStates == .beforeLayers([0, 1, 2]))
        #expect(shown.manifest.key.difference(from: plain.manifest.key).map(\.description) == ["inner states: none → before 0,1,2"])
        #expect(plain.program.innerWidth == 0 && shown.program.innerWidth == 192 && plain.program.plans.allSatisfy { $0.innerStates == nil })
        var logits: [[Float]] = []
        for artifact in [plain, shown] {
            let model = try CPUBackend(threads: 1).load(artifact)
            try model.reserveKV(blockSize: 16, blockCount: 4)
            let io = try model.makeStepIO(maxBlocks: 4)
            for (row, token) in [5, 17, 100, 201].enumerated() {
                (io.ids[row], io.slots[row], io.reach[row], io.ordinals[row]) = (Int32(token), Int32(row), Int32(row), Int32(row))
                (io.stateSlots[row], io.imageRows[row], io.adapters[row]) = (-1, -1, -1)
                for axis in 0..<io.positionAxes { io.positions[axis * 4 + row] = Int32(row) }
            }
            (io.tokenCount, io.sequenceCount, io.sampleCount, io.imageCount) = (4, 1, 1, 0)
            (io.queryStarts[0], io.queryCounts[0], io.contextLengths[0], io.sampleRows[0], io.blockTables[0]) = (0, 4, 4, 3, 0)
            try model.run(.extend, io)
            logits.append(Array(io.logits[..<io.vocabularySize]))
        }
        #expect(logits[0] == logits[1])
    }

    @Test func headsThatDoNotFitAreErrors() throws {
        let store = TemporaryStore()
        let third = Self.folder.appending(path: "eagle/third").path
        func error(_ head: String, of model: String) -> String {
            do {
                _ = try store.compile(head: head, of: model, .exact)
                return "none"
            } catch { return "\(error)" }
        }
        #expect(error("eagle/third", of: "qwen2_vl_v452").contains("that of the model that it guesses for"))
        #expect(error("qwen2_vl", of: "qwen2_vl").contains("num_hidden_layers is 80; heads of one layer are known"))
        let changed = FileManager.default.temporaryDirectory.appending(path: "vlm-eagle-\(UUID().uuidString)")
        try FileManager.default.copyItem(atPath: third, toPath: changed.path)
        defer { try? FileManager.default.removeItem(at: changed) }
        let config = try String(contentsOf: changed.appending(path: "config.json"), encoding: .utf8)
        for (old, new, message) in [
            ("\"vocab_size\": 312", "\"vocab_size\": 300", "vocab_size is 300, that of the model that it guesses for 312"),
            ("\"target_hidden_size\": 64", "\"target_hidden_size\": 32", "target_hidden_size is 32, that of the model that it guesses for 64"),
            ("\"draft_vocab_size\": 200", "\"draft_vocab_size\": 199", "d2t"),
            ("\"intermediate_size\": 96", "\"intermediate_size\": 100", "midlayer.mlp.gate_proj.weight"),
            ("   2\n", "   3\n", "eagle_aux_hidden_state_layer_ids is [0, 1, 3], but the model has 2 layers"),
        ] {
            let other = config.replacing(old, with: new)
            #expect(other != config, "\(old)")
            try other.write(to: changed.appending(path: "config.json"), atomically: true, encoding: .utf8)
            #expect(error(changed.path, of: "qwen2_vl").contains(message), "\(new): \(error(changed.path, of: "qwen2_vl"))")
        }
        let alone = #expect(throws: CompileError.self) { try ModelSource(directory: third, store: store.store) }
        #expect("\(try #require(alone))".contains("compile it with --head-of"))
    }
}

extension [UInt8] {
    fileprivate var chunks: [ArraySlice<UInt8>] { stride(from: 0, to: count - 3, by: 4).map { self[$0..<$0 + 4] } }
}
