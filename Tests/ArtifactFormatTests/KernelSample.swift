import ArtifactFormat
import ArtifactSamples
import Plan
import Tensors

/// A program with a step of every kernel: those of tokens in `extend`, those of images in `vision`.
enum KernelSample {
    static let weights = [
        weight("norm", .plain, [8]), weight("qkv", .bf16Panels, [8, 8]), weight("frequencies", .plain, [2]),
        weight("axes", .indices, [2]), weight("table", .f32Panels, [16, 8]), weight("bias", .plain, [8]),
        weight("up", .f32Panels, [16, 8]), weight("merger", .f32Panels, [8, 32]),
        weight("taps", .plain, [8, 4]), weight("screen", .int8Panels, [8, 8]),
    ]

    private static func weight(_ name: String, _ layout: WeightLayout, _ shape: [Int]) -> WeightEntry {
        WeightEntry(
            name: name, layout: layout, shape: shape, offset: 0, byteCount: shape.reduce(4, *), key: name, sources: [])
    }

    static func program() -> Program {
        var program = Sample.program()
        program.plans[0] = ExecutionPlan(
            entry: .extend, outputs: ["logits", "hidden"].map { .init(name: $0, type: TensorType(.f32, ["B", 8])) }, steps: tokens + layer + plain + tail + [screened],
            bounds: ["T": 64, "B": 4, "I": 64], arenaBytes: 6 * 4096, unsharedBytes: 6 * 4096)
        program.plans.append(
            ExecutionPlan(
                entry: .vision, tensors: tensors, outputs: [.init(name: "image_embeds", type: TensorType(.f32, ["M", 8]))], steps: vision,
                bounds: ["M": 8], arenaBytes: 6 * 4096, unsharedBytes: 6 * 4096))
        return program
    }

    /// The value at a place of the arena, which has room for 64 rows of 16.
    private static func value(_ index: Int, _ rows: Dim = "T", _ columns: Dim...) -> Slot {
        let width = columns.reduce(1) { $0 * $1.factor }
        return Slot(.arena(offset: index * 4096, stride: width), TensorType(.f32, Shape([rows] + columns)))
    }

    private static func input(_ role: InputRole, _ element: DType, _ shape: Shape) -> Slot {
        Slot(.input(role), TensorType(element, shape))
    }

    /// Pixels, or the places of patches.
    private static func tensor(_ index: Int) -> Slot { Slot(.tensor(index), tensors[index].type) }

    private static let tensors: [ExecutionPlan.NamedTensor] = [
        .init(name: "pixels", type: TensorType(.u8, [Dim(4, times: "M"), 8])),
        .init(name: "patch_positions", type: TensorType(.i32, [2, Dim(4, times: "M")])),
    ]

    private static func constant(_ name: String) -> Slot {
        let index = weights.firstIndex { $0.name == name } ?? 0
        let element: DType = weights[index].layout == .indices ? .i32 : .f32
        return Slot(.weight(index), TensorType(element, Shape(weights[index].shape.map(Dim.fixed))))
    }

    private static func step(_ kernel: Kernel, _ inputs: [Slot], _ outputs: [Slot]) -> Step {
        Step(kernel, inputs: inputs, outputs: outputs, origin: "model")
    }

    private static func linear(_ arithmetic: Arithmetic, _ name: String, hasBias: Bool = false) -> Kernel {
        let weight = weights.first { $0.name == name } ?? weights[0]
        return .linear(
            Kernel.Linear(
                arithmetic: arithmetic, layout: weight.layout, inputs: weight.shape[1], outputs: weight.shape[0],
                hasBias: hasBias))
    }

    private static let tokens = [
        step(.embed, [constant("table"), input(.ids, .i32, ["T"])], [value(0, "T", 8)]),
        step(
            .selectRows, [value(0, "T", 8), input(.imageEmbeds, .f32, ["I", 8]), input(.imageRows, .i32, ["T"])],
            [value(0, "T", 8)]),
        step(
            .rotaryTable, [input(.positions, .i32, [3, "T"]), constant("frequencies"), constant("axes")],
            [value(4, "T", 2), value(5, "T", 2)]),
    ]

    private static let layer = [
        step(.rmsNorm(eps: 1e-6), [value(0, "T", 8), constant("norm")], [value(1, "T", 8)]),
        step(linear(.f32, "qkv", hasBias: true), [value(1, "T", 8), constant("qkv"), constant("bias")], [value(2, "T", 8)]),
        step(
            .rotary(heads: 2, headDim: 4, parts: 1), [value(2, "T", 2, 4), value(4, "T", 2), value(5, "T", 2)], [value(2, "T", 2, 4)]),
        step(.kvWrite(layer: 0), [value(2, "T", 2, 4), value(2, "T", 2, 4), input(.slots, .i32, ["T"])], []),
        step(
            .pagedAttention(.init(layer: 0, heads: 2, scale: 0.5, softcap: 50, mask: .causal(window: 7, spans: true))),
            [value(2, "T", 2, 4)], [value(3, "T", 2, 4)]),
        step(.pagedAttention(.init(arithmetic: .bf16, layer: 0, heads: 2, scale: 0.5)), [value(2, "T", 2, 4)], [value(3, "T", 2, 4)]),
        step(
            .adapt(.init(inputs: 8, layers: [.init(name: "model.layers.0.self_attn.q_proj", outputs: 6), .init(name: "k_proj", outputs: 2)])),
            [value(2, "T", 8), value(1, "T", 8), input(.adapters, .i32, ["T"])], [value(2, "T", 8)]),
        step(.packActivations(.bf16), [value(3, "T", 8)], [packedRows(2)]),
        step(linear(.bf16, "qkv"), [packedRows(2), constant("qkv")], [value(1, "T", 8)]),
        step(.packActivations(.int16Blocks), [value(3, "T", 8)], [packedRows(4, bytes: 128)]),
        step(linear(.int16, "qkv"), [packedRows(4, bytes: 128), constant("qkv")], [value(1, "T", 8)]),
        step(
            .addRMSNorm(eps: 1e-6), [value(1, "T", 8), value(0, "T", 8), constant("norm")],
            [value(0, "T", 8), value(2, "T", 8)]),
        step(
            .shortConvolution(.init(layer: 0, channels: 8, taps: 4)),
            [value(1, "T", 8), constant("taps"), input(.stateSlots, .i32, ["T"]), input(.ordinals, .i32, ["T"])], [value(1, "T", 8)]),
        step(
            .gatedDelta(.init(layer: 0, keyHeads: 1, heads: 2, keyDim: 8, valueDim: 4)),
            [value(1, "T", 1, 8), value(1, "T", 1, 8), value(1, "T", 2, 4), value(4, "T", 2), value(5, "T", 2)]
                + [input(.stateSlots, .i32, ["T"]), input(.ordinals, .i32, ["T"])], [value(3, "T", 2, 4)]),
        step(linear(.f32, "up"), [value(2, "T", 8), constant("up")], [value(3, "T", 16)]),
        step(.gatedActivation(.silu), [value(3, "T", 16)], [value(1, "T", 8)]),
    ]

    private static let tail = [
        step(.layerNorm(eps: 1e-6), [value(1, "T", 8), constant("norm"), constant("bias")], [value(2, "T", 8)]),
        step(
            .addLayerNorm(eps: 1e-6), [value(2, "T", 8), value(0, "T", 8), constant("norm"), constant("bias")],
            [value(0, "T", 8), value(1, "T", 8)]),
        step(.add, [value(0, "T", 8), value(1, "T", 8)], [value(2, "T", 8)]),
        step(.scale, [value(2, "T", 8), constant("norm")], [value(2, "T", 8)]),
        step(.scaleRows, [value(2, "T", 2, 4), value(4, "T", 1, 1)], [value(3, "T", 2, 4)]),
        step(.copyRows, [value(2, "T", 8)], [value(3, "T", 2, 4)]),
        step(.copyColumns(start: 4), [value(2, "T", 8)], [value(3, "T", 4)]),
        step(.gatherColumns, [value(2, "T", 8), constant("axes")], [value(4, "T", 2)]),
        step(.joinColumns, [value(2, "T", 4), value(4, "T", 4), value(5, "T", 8)], [value(3, "T", 16)]),
        step(.blendRows, [value(4, "T", 1, 2), value(3, "T", 2, 8)], [value(1, "T", 1, 8)]),
        step(.plain(.copy(.copy)), [value(2, "T", 8)], [value(3, "T", 2, 4)]),
        step(
            .gatherRows, [value(2, "T", 8), input(.sampleRows, .i32, ["B"])],
            [Slot(.output(0), TensorType(.f32, ["B", 8]))]),
    ]

    /// Its result is the logits, as the last of `tail` is: two steps may store the same.
    private static let screened = step(
        .screenedLinear(Kernel.Linear(arithmetic: .bf16, layout: .bf16Panels, inputs: 8, outputs: 8)),
        [Slot(.arena(offset: 4 * 4096, stride: 64), TensorType(.u8, ["B", 64])), constant("qkv"), constant("screen")],
        [Slot(.output(0), TensorType(.f32, ["B", 8]))])

    /// A value in the arena whose rows are as long as a symbol says.
    private static func heads(_ index: Int) -> Slot { Slot(.arena(offset: index * 4096, stride: nil), TensorType(.f32, [2, "T", 4])) }

    private static let plain = [
        step(.plain(.map(.add)), [value(2, "T", 8), value(4, "T", 1)], [value(3, "T", 8)]),
        step(.plain(.map(.choose)), [flags(5), value(2, "T", 8), value(3, "T", 8)], [value(1, "T", 8)]),
        step(.plain(.transpose([1, 0, 2])), [value(2, "T", 2, 4)], [heads(3)]),
        step(.plain(.slice(axis: 1, start: 4)), [value(2, "T", 8)], [value(3, "T", 4)]),
        step(.plain(.concat(axis: 1)), [value(2, "T", 4), value(4, "T", 4), value(5, "T", 8)], [value(3, "T", 16)]),
        step(.plain(.expand), [value(4, "T", 1)], [value(3, "T", 8)]),
        step(.plain(.repeats(axis: 1, count: 2)), [value(2, "T", 8)], [value(3, "T", 16)]),
        step(.plain(.along(.softmax, axis: 2)), [value(2, "T", 2, 4)], [value(3, "T", 2, 4)]),
        step(.plain(.along(.topK, axis: 1)), [value(2, "T", 8)], [value(3, "T", 2), numbers(4)]),
        step(.plain(.matmul(transposesB: false)), [heads(3), value(2, 4, 3)], [Slot(.arena(offset: 0, stride: nil), TensorType(.f32, [2, "T", 3]))]),
        step(.plain(.gather), [value(2, "T", 8), input(.imageRows, .i32, ["T"])], [value(3, "T", 8)]),
        step(.plain(.selectRows), [value(2, "T", 8), value(1, "T", 8), input(.imageRows, .i32, ["T"])], [value(3, "T", 8)]),
    ]

    /// Rows of eight numbers as bf16, or in so many bytes.
    private static func packedRows(_ index: Int, bytes: Int = 64) -> Slot {
        Slot(.arena(offset: index * 4096, stride: bytes), TensorType(.u8, ["T", .fixed(bytes)]))
    }
    private static func flags(_ index: Int) -> Slot { Slot(.arena(offset: index * 4096, stride: 8), TensorType(.bool, ["T", 8])) }
    private static func numbers(_ index: Int) -> Slot { Slot(.arena(offset: index * 4096, stride: 2), TensorType(.i32, ["T", 2])) }

    private static let vision: [Step] = {
        let patches = Dim(4, times: "M")
        let heads = value(0, patches, 2, 4)
        return [
            step(.widen, [tensor(0)], [value(0, patches, 8)]),
            step(
                .rotaryTable,
                [tensor(1), constant("frequencies"), constant("axes")],
                [value(4, patches, 2), value(5, patches, 2)]),
            step(
                .segmentAttention(.init(heads: 2, kvHeads: 2, headDim: 4, scale: 0.5, mask: .segments("images"))),
                [heads, heads, heads], [value(1, patches, 2, 4)]),
            step(
                .segmentAttention(.init(arithmetic: .bf16, heads: 2, kvHeads: 2, headDim: 4, scale: 0.5, mask: .segments("images"))),
                [heads, heads, heads], [value(1, patches, 2, 4)]),
            step(
                .segmentAttention(.init(arithmetic: .int16, heads: 2, kvHeads: 2, headDim: 4, scale: 0.5, mask: .segments("images"))),
                [heads, heads, heads], [value(1, patches, 2, 4)]),
            step(
                linear(.blas, "merger"), [value(1, "M", 32), constant("merger")],
                [Slot(.output(0), TensorType(.f32, ["M", 8]))]),
        ]
    }()
}
