package import ArtifactFormat
import Foundation
package import Plan
import Tensors

/// A small but complete program, its weights and a store in a temporary directory that removes itself.
package final class Sample {
    package let root: String
    package let store: Store

    package init() throws {
        root = NSTemporaryDirectory() + "vlm-artifact-\(UUID().uuidString)"
        try FileManager.default.createDirectory(atPath: root, withIntermediateDirectories: true)
        store = Store(root: root + "/store")
    }

    deinit { try? FileManager.default.removeItem(atPath: root) }

    package static func key(checkpoint: String = "c0ffee", gears: [Int] = [1, 4], target: Target = .cpu) -> ArtifactKey {
        ArtifactKey(
            checkpoint: checkpoint, tensors: "7e4",
            configs: .init(config: "c0", tokenizer: Digest.of(tokenizerBytes), template: Digest.of(templateBytes)),
            pipeline: [.init(name: "fuse-rms-norm", version: 1), .init(name: "plan-memory", version: 2)],
            target: target, precision: .balanced, arithmetic: .bf16, limits: limits(gears), kvElement: .f32)
    }

    package static func limits(_ gears: [Int]) -> Program.Limits {
        Program.Limits(
            gears: gears, maxSequences: gears.last ?? 0, maxModelLength: 128, maxBatchedTokens: 64, maxPatches: 32)
    }

    /// Norm, linear and attention of one layer for `extend` and every gear; `repeats` makes it longer.
    package static func program(gears: [Int] = [1, 4], repeats: Int = 1) -> Program {
        Program(
            plans: [plan(.extend, rows: 64, samples: gears.last ?? 0, repeats: repeats)]
                + gears.map { plan(.decode(gear: $0), rows: $0, samples: $0, repeats: repeats) },
            limits: limits(gears), kv: KVLayout(layers: 1, heads: 2, headDim: 4, element: .f32), vocabularySize: 8,
            hiddenSize: 8, positionAxes: 3)
    }

    private static func plan(_ entry: Entry, rows: Int, samples: Int, repeats: Int) -> ExecutionPlan {
        let hidden = TensorType(.f32, [.symbol("T"), 8])
        let heads = TensorType(.f32, [.symbol("T"), 2, 4])
        let logits = TensorType(.f32, [.symbol("B"), 8])
        let rowBytes = rows * 32
        func slot(_ index: Int) -> Slot { Slot(.arena(offset: index * rowBytes, stride: 8), hidden) }
        let linear = Kernel.Linear(arithmetic: .f32, layout: .bf16Panels, inputs: 8, outputs: 8)
        let weight = Slot(.weight(1), TensorType(.bf16, [8, 8]))
        let query = Slot(.arena(offset: 2 * rowBytes, stride: 8), heads)
        let layer = [
            Step(.rmsNorm(eps: 1e-6), inputs: [slot(0), Slot(.weight(0), TensorType(.f32, [8]))], outputs: [slot(1)],
                origin: "model.layers.0.input_layernorm"),
            Step(.linear(linear), inputs: [slot(1), weight], outputs: [slot(2)], origin: "model.layers.0.self_attn"),
            Step(
                .kvWrite(layer: 0), inputs: [query, query, Slot(.input(.slots), TensorType(.i32, [.symbol("T")]))],
                outputs: [], origin: "model.layers.0.self_attn"),
            Step(
                .pagedAttention(.init(layer: 0, heads: 2, scale: 0.5)), inputs: [query],
                outputs: [Slot(.arena(offset: 0, stride: 8), heads)], origin: "model.layers.0.self_attn"),
        ]
        return ExecutionPlan(
            entry: entry, outputs: [.init(name: "logits", type: logits)] + (entry == .extend ? [.init(name: "hidden", type: logits)] : []),
            steps: Array(repeating: layer, count: repeats).flatMap { $0 }
                + [
                    Step(
                        .gatherRows, inputs: [slot(0), Slot(.input(.sampleRows), TensorType(.i32, [.symbol("B")]))],
                        outputs: [Slot(.output(0), logits)], origin: "lm_head")
                ],
            bounds: ["T": rows, "B": samples], arenaBytes: 3 * rowBytes, unsharedBytes: 4 * repeats * rowBytes)
    }

    private static let passes = """
        {"reports":[{"pass":"fuse-rms-norm","version":1,"stage":"fused","seconds":0.001,"matches":{"rms":2},"nodesBefore":9,
        "nodesAfter":5,"rounds":2,"rewrites":[{"rule":"rms","at":"@extend %0"}],"missCount":1,
        "misses":[{"rule":"rms","reason":"scale is not a constant","at":"@extend %3"}]}],
        "changes":[{"pass":"fuse-rms-norm","lines":["graph @extend","- %0 = square %x","+ %0 = rms_norm %x"]}]}
        """

    package static let tokenizerBytes: [UInt8] = [1, 2, 3]
    package static let templateBytes = Array("{{ messages }}".utf8)
    package static let normBytes = (0..<8).flatMap { withUnsafeBytes(of: Float($0).bitPattern.littleEndian, Array.init) }
    package static let linearBytes = [UInt8](repeating: 0x3f, count: 128)

    /// Writes an artifact; `fill` chooses the linear weight's bytes and with them its key.
    @discardableResult
    package func write(
        _ key: ArtifactKey = Sample.key(), fill: UInt8 = 0x3f, output: String? = nil, model: String = "demo"
    ) throws -> String {
        let writer = try ArtifactWriter(store: store, key: key, output: output)
        try Self.fill(writer, with: fill)
        return try Self.finish(writer, gears: key.limits.gears, model: model)
    }

    package static func fill(_ writer: ArtifactWriter, with fill: UInt8) throws {
        try normBytes.withUnsafeBytes { bytes in
            _ = try writer.appendWeight(
                name: "layers.0.norm", layout: .plain, shape: [8], key: "norm", sources: ["norm.weight"], bytes: bytes)
        }
        try [UInt8](repeating: fill, count: 128).withUnsafeBytes { bytes in
            _ = try writer.appendWeight(
                name: "layers.0.qkv", layout: .bf16Panels, shape: [8, 8], key: "qkv\(fill)", sources: ["q.weight"],
                bytes: bytes)
        }
    }

    package static func finish(_ writer: ArtifactWriter, gears: [Int], model: String = "demo") throws -> String {
        try writer.write(.tokenizer, tokenizerBytes)
        try writer.write(.chatTemplate, templateBytes)
        try writer.write(.passes, Array(passes.utf8))
        try writer.writeIR(stage: "fused", entry: "extend", text: String(repeating: "// vir 1\n", count: 50))
        return try writer.finish(
            program: program(gears: gears),
            provenance: .init(model: model, architecture: "Qwen2VLForConditionalGeneration"),
            tuning: .init(processor: "Test CPU", features: [.avx2], rates: ["bandwidth GB/s": 10]))
    }
}
