import ArtifactFormat
import CPUBackend
import Execution
import Plan
import Tensors
import Testing

/// Nothing runs that would leave the memory of weights, arena or buffers.
@Suite struct BoundsTests {
    private let store = TemporaryStore()

    /// Loads the artifact with other bytes in its weights.
    private func load(_ artifact: Artifact, _ change: (Int, inout [UInt8]) -> Void) throws {
        let writer = try ArtifactWriter(store: store.store, key: artifact.manifest.key, output: store.path + "/changed")
        for (index, weight) in artifact.weights.enumerated() {
            var bytes = Array(artifact.weightBytes(index))
            change(index, &bytes)
            try bytes.withUnsafeBytes { bytes in
                _ = try writer.appendWeight(
                    name: weight.name, layout: weight.layout, shape: weight.shape, key: weight.key, sources: weight.sources,
                    bytes: bytes)
            }
        }
        for name in [SectionName.tokenizer, .chatTemplate, .inputs] where artifact.has(name) { try writer.write(name, artifact.section(name)) }
        let path = try writer.finish(
            program: artifact.program, provenance: artifact.manifest.provenance, tuning: artifact.manifest.tuning)
        _ = try CPUBackend(threads: 1).load(Artifact.open(directory: path))
    }

    @Test func panelsWithoutTheirPadding() throws {
        let artifact = try store.compile("qwen2_vl_hubstyle", .exact)
        let table = try #require(
            artifact.weights.firstIndex { $0.layout == .f32Panels && $0.shape[0] % 32 != 0 }, "every weight fills its panels")
        let weight = artifact.weights[table]
        try load(artifact) { _, _ in }
        let error = try #require(throws: BackendError.self) {
            try load(artifact) { index, bytes in
                if index == table { bytes.removeLast(bytes.count - weight.shape.reduce(4, *)) }
            }
        }
        #expect(error.description.contains("weight \(weight.name) has"))
    }

    @Test(arguments: [-1, 3] as [Int32]) func axisThatPositionsDoNotHave(axis: Int32) throws {
        let artifact = try store.compile("qwen2_vl_hubstyle", .exact)
        let error = try #require(throws: BackendError.self) {
            try load(artifact) { index, bytes in
                guard artifact.weights[index].layout == .indices else { return }
                bytes.replaceSubrange(0..<4, with: withUnsafeBytes(of: axis.littleEndian, Array.init))
            }
        }
        #expect(error.description.contains("takes axis \(axis) of"))
    }

    @Test func batchesBeyondThePlan() throws {
        let artifact = try store.compile("qwen2_vl_hubstyle", .exact)
        let model = try CPUBackend(threads: 1).load(artifact)
        try model.reserveKV(blockSize: 16, blockCount: 4)
        let io = try model.makeStepIO(maxBlocks: 4)
        let limits = artifact.program.limits
        let cases: [(Entry, tokens: Int, samples: Int, images: Int)] = [
            (.extend, limits.maxBatchedTokens + 1, 1, 0), (.extend, 1, limits.maxSequences + 1, 0),
            (.extend, 1, 1, limits.maxBatchedTokens + 1), (.decode(gear: 1), 2, 1, 0), (.decode(gear: 1), 1, 2, 0),
        ]
        for (entry, tokens, samples, images) in cases {
            (io.tokenCount, io.sampleCount, io.imageCount, io.sequenceCount) = (tokens, samples, images, 0)
            #expect(throws: BackendError.self) { try model.run(entry, io) }
            #expect(throws: BackendError.self) { try model.warm(entry, io) }
        }
    }

    @Test func imagesBeyondThePlan() throws {
        let artifact = try store.compile("qwen2_vl_hubstyle", .exact)
        let model = try CPUBackend(threads: 1).load(artifact)
        let width = try #require(artifact.program.plan(for: .vision)?.tensors.first { $0.name == "pixels" }?.type.shape[1].fixedValue)
        func input(patches: Int, bytes: Int? = nil, positions: Int? = nil, bounds: [Int32]? = nil) -> VisionInput {
            VisionInput(
                patches: patches, results: patches / 4, features: patches / 4,
                tensors: [
                    .init("pixels", .bytes(Array(repeating: 0, count: bytes ?? patches * width)), of: .patch),
                    .init("patch_positions", .integers(Array(repeating: 0, count: positions ?? 2 * patches)), of: .patch, lines: 2),
                ], segments: ["images": bounds ?? [0, Int32(patches)]])
        }
        let most = artifact.program.limits.maxPatches / 4 * 4
        let refused: [(VisionInput, String)] = [
            (input(patches: 0), "of 0 patches"), (input(patches: most + 4), "of \(most + 4) patches"),
            (input(patches: 8, positions: 17), "patch_positions of a vision call has 17 elements"), (input(patches: 6), "no multiple of"),
            (input(patches: 8, positions: 24), "others have them for"), (input(patches: 8, bytes: 8 * width - 8), "pixels of a vision call has"),
            (input(patches: 8, bounds: [1, 8]), "begin at row 0"), (input(patches: 8, bounds: [0, 4]), "end at row 8"),
            (input(patches: 8, bounds: [0]), "begin at row 0"), (input(patches: 8, bounds: [0, 12, 8]), "segment 1"),
            (input(patches: 8, bounds: [0, 4, 4, 8]), "segment 1"),
        ]
        for (input, reason) in refused {
            let error = try #require(throws: BackendError.self) { try model.beginVision(input) }
            #expect(error.description.contains(reason))
        }
        try model.beginVision(input(patches: most))
        try model.beginVision(input(patches: 8, bounds: [0, 4, 8]))
    }
}
