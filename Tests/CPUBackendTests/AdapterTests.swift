import ArtifactFormat
import CPUBackend
import Execution
import Foundation
import HuggingFace
import ModelRuntime
import Plan
import Seeded
import Serving
import Tensors
import Testing

/// Models with adapters: what PEFT computes, and for each row what it is alone.
@Suite struct AdapterTests {
    private static let folder = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
        .appending(path: "EndToEndTests/Fixtures/adapters").path

    /// Numbers of `expected.safetensors`.
    private static func expected(_ name: String) throws -> [Float] {
        let view = try #require(try SafetensorsFile(path: folder + "/expected.safetensors")[name])
        var values: [Float] = []
        if view.type.element == .i32 {
            view.withBytes { bytes in values = (0..<bytes.count / 4).map { Float(bytes.loadUnaligned(fromByteOffset: 4 * $0, as: Int32.self)) } }
        } else {
            view.forEachFloat { _, value in values.append(value) }
        }
        return values
    }

    private static func distance(_ ours: [Float], _ theirs: [Float]) -> Float {
        ours.count == theirs.count ? zip(ours, theirs).reduce(0) { max($0, abs($1.0 - $1.1)) } : .infinity
    }

    /// A session with both adapters of the record.
    private static func session(_ artifact: Artifact) throws -> (session: Session, adapters: [LoadedAdapter]) {
        let adapters = try ["plain", "patterns"].map {
            try LoadedAdapter(name: $0, directory: "\(folder)/\($0)", for: artifact.program, .init(maxRank: 32))
        }
        var options = EngineOptions()
        options.maxAdapters = 2
        return (try Session(artifact, adapters: adapters.map(\.adapter), on: CPUBackend(threads: 2), options: options), adapters)
    }

    @Test func logitsAreThoseOfPEFT() throws {
        let store = TemporaryStore()
        let artifact = try store.compile("qwen2_vl", .exact, takesAdapters: true)
        #expect(artifact.program.adaptedLayers.count == 14)
        let (session, adapters) = try Self.session(artifact)
        defer { session.engine.stop() }
        let prompt = Prompt(text: try Self.expected("ids").map { Int32($0) }, axes: artifact.program.positionAxes)
        let chosen = adapters.enumerated().map { ($1.name, ChosenAdapter(index: $0, digest: $1.digest)) as (String, ChosenAdapter?) }
        for (name, adapter) in [("base", nil)] + chosen {
            let outputs = try session.outputs(of: prompt, continuation: [1, 2], adapter: adapter, readsWholePrompt: true)
            #expect(Self.distance(outputs.prompt, try Self.expected(name)) < 1e-3, "\(name)")
        }
        #expect(Self.distance(try Self.expected("base"), try Self.expected("plain")) > 1)
    }

    /// Random adapters of some layers, one of them without those of the second layer.
    static func adapters(of program: Program) throws -> [Adapter] {
        var dice = Dice(3)
        return try [8, 20].enumerated().map { number, rank in
            let layers = program.adaptedLayers.filter { number == 0 || !$0.name.contains(".1.") }
            return try Adapter(name: "\(number)", layers: layers.map { ($0, $0.name.hasSuffix("v_proj") ? 1 : rank) }) { share in
                for index in share.down.indices { share.down[index] = Float.random(in: -0.2...0.2, using: &dice) }
                for index in share.up.indices { share.up[index] = Float.random(in: -0.2...0.2, using: &dice) }
            }
        }
    }

    /// Prompts of sequences by `extend`, then tokens by `decode`, each sequence with its adapter; the logits of each sequence's last tokens.
    private static func run(_ model: any LoadedModel, _ sequences: [(id: Int, adapter: Int32)], threadsOf gear: Int) throws -> [[Float]] {
        let count = 9, blocks = 1
        let io = try model.makeStepIO(maxBlocks: blocks)
        var results = sequences.map { _ in [Float]() }
        for (start, length, entry) in [(0, count, Entry.extend), (count, 1, Entry.decode(gear: gear))] {
            let isDecode = entry != .extend
            (io.sequenceCount, io.sampleCount, io.imageCount) = (isDecode ? gear : sequences.count, isDecode ? gear : sequences.count, 0)
            io.tokenCount = isDecode ? gear : sequences.count * length
            for index in 0..<io.sequenceCount {
                let isThere = index < sequences.count
                let (id, adapter) = isThere ? sequences[index] : (0, -1)
                let rows = isThere || isDecode ? length : 0
                (io.queryStarts[index], io.queryCounts[index]) = (Int32(index * length), isThere ? Int32(rows) : 0)
                (io.contextLengths[index], io.blockTables[index * io.maxBlocks]) = (isThere ? Int32(start + length) : 0, Int32(id))
                for offset in 0..<rows {
                    let (row, position) = (index * length + offset, start + offset)
                    io.ids[row] = Int32((position + 1) * (5 + 3 * id) % 200)
                    (io.slots[row], io.imageRows[row], io.reach[row]) = (isThere ? Int32(id * 16 + position) : -1, -1, Int32(position))
                    io.adapters[row] = adapter
                    for axis in 0..<io.positionAxes { io.positions[axis * io.tokenCount + row] = Int32(position) }
                }
                io.sampleRows[index] = Int32(index * length + length - 1)
            }
            try model.run(entry, io)
            for index in sequences.indices { results[index] += io.logits[index * io.vocabularySize..<(index + 1) * io.vocabularySize] }
        }
        return results
    }

    private static func model(_ artifact: Artifact, threads: Int = 2) throws -> any LoadedModel {
        let model = try CPUBackend(threads: threads).load(artifact, adapters: adapters(of: artifact.program))
        try model.reserveKV(blockSize: 16, blockCount: 4)
        return model
    }

    /// Two adapters and the model alone in one batch: the same bits as each by itself, whatever the threads.
    @Test(arguments: ["qwen2_vl", "qwen2_vl_awq", "qwen2_vl_hubstyle"], [ArtifactKey.Precision.exact, .balanced])
    func rowsAreWhatTheyAreAlone(name: String, precision: ArtifactKey.Precision) throws {
        let store = TemporaryStore()
        let artifact = try store.compile(name, precision, gears: [1, 4], takesAdapters: true)
        let (model, single) = (try Self.model(artifact), try Self.model(artifact, threads: 1))
        let sequences: [(id: Int, adapter: Int32)] = [(0, 0), (1, -1), (2, 1), (3, 0)]
        let together = try Self.run(model, sequences, threadsOf: 4)
        for (index, sequence) in sequences.enumerated() {
            #expect(try Self.run(single, [sequence], threadsOf: 1)[0] == together[index], "sequence \(index)")
        }
        // An adapter changes what its rows say, and nothing of others'.
        let plain = try Self.run(model, sequences.map { ($0.id, -1) }, threadsOf: 4)
        #expect(plain[1] == together[1])
        // Nor does it matter without one whether the plan takes adapters.
        let bare = try CPUBackend(threads: 2).load(store.compile(name, precision, gears: [1, 4]))
        try bare.reserveKV(blockSize: 16, blockCount: 4)
        #expect(try Self.run(bare, sequences.map { ($0.id, -1) }, threadsOf: 4) == plain)
        for index in [0, 2, 3] { #expect(Self.distance(plain[index], together[index]) > 1e-2, "sequence \(index)") }
    }

    /// Layers that are joined, quantized or read permuted inputs: the same as where every op stands by itself.
    @Test(arguments: ["qwen2_vl_awq", "qwen2_vl_gptq_asym_act", "qwen2_vl_ct_w8a8", "gemma3", "llava15"])
    func fusedLayersAreThePlainOnes(name: String) throws {
        let store = TemporaryStore()
        let folder = name == "qwen2_vl_awq" ? "EndToEndTests" : "Families"
        let (fused, plain) = try (
            store.compile(name, .exact, from: folder, gears: [4], takesAdapters: true),
            store.compile(name, .exact, from: folder, gears: [4], takesAdapters: true, rewriteLimit: 0))
        let sequences: [(id: Int, adapter: Int32)] = [(0, 0), (1, -1), (2, 1), (3, 0)]
        let (ours, theirs) = (try Self.run(Self.model(fused), sequences, threadsOf: 4), try Self.run(Self.model(plain), sequences, threadsOf: 4))
        for index in sequences.indices { #expect(Self.distance(ours[index], theirs[index]) < 1e-3, "sequence \(index)") }
    }

    @Test func rowsOfUnknownAdaptersAreRefused() throws {
        let store = TemporaryStore()
        let artifact = try store.compile("qwen2_vl", .exact, gears: [1], takesAdapters: true)
        #expect(throws: BackendError.self) { try Self.run(Self.model(artifact), [(0, 2)], threadsOf: 1) }
    }

    @Test func whatDoesNotFitTheModelIsNamed() throws {
        let store = TemporaryStore()
        func message(_ artifact: Artifact, maxRank: Int) -> String {
            do {
                _ = try LoadedAdapter(name: "a", directory: Self.folder + "/patterns", for: artifact.program, .init(maxRank: maxRank))
                return ""
            } catch { return "\(error)" }
        }
        let artifact = try store.compile("qwen2_vl", .exact, takesAdapters: true)
        #expect(message(artifact, maxRank: 32).isEmpty)
        #expect(message(artifact, maxRank: 16).hasSuffix("layers.0.self_attn.v_proj.lora_A.weight\": has rank 32, above --max-lora-rank 16"))
        let plain = try store.compile("qwen2_vl", .exact)
        #expect(message(plain, maxRank: 32).contains("layers.0.mlp.down_proj.lora_A.weight\": is of a layer that the model does not have"))
        let other = try store.compile("qwen2_vl_v452", .exact, takesAdapters: true)
        #expect(message(other, maxRank: 32).contains("but the layer of the model has"), "\(message(other, maxRank: 32))")
        #expect(plain.program.adaptedLayers.isEmpty && plain.manifest.key.digest != artifact.manifest.key.digest)
    }
}
