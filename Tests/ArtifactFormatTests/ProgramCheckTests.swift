import ArtifactFormat
import ArtifactSamples
import Plan
import Tensors
import Testing

@Suite struct ProgramCheckTests {
    struct Damage: CustomTestStringConvertible {
        var testDescription: String
        var apply: @Sendable (inout Program, inout [WeightEntry]) -> Void

        init(_ name: String, _ apply: @escaping @Sendable (inout Program, inout [WeightEntry]) -> Void) {
            testDescription = name
            self.apply = apply
        }
    }

    static let weights = [
        WeightEntry(name: "norm", layout: .plain, shape: [8], offset: 0, byteCount: 32, key: "a", sources: []),
        WeightEntry(name: "qkv", layout: .bf16Panels, shape: [8, 8], offset: 4096, byteCount: 128, key: "b", sources: []),
    ]

    static let damages: [Damage] = [
        Damage("slot beyond the arena") { program, _ in program.plans[0].arenaBytes -= 1 },
        Damage("negative offset") { program, _ in program.plans[0].steps[0].inputs[0].place = .arena(offset: -4, stride: 8) },
        Damage("huge offset") { program, _ in program.plans[0].steps[0].inputs[0].place = .arena(offset: .max - 3, stride: 8) },
        Damage("rows that overlap") { program, _ in program.plans[0].steps[0].inputs[0].place = .arena(offset: 0, stride: 7) },
        Damage("huge stride") { program, _ in program.plans[0].steps[0].inputs[0].place = .arena(offset: 0, stride: .max) },
        Damage("odd offset") { program, _ in program.plans[0].steps[0].inputs[0].place = .arena(offset: 2, stride: 8) },
        Damage("no such weight") { program, _ in program.plans[0].steps[0].inputs[1].place = .weight(2) },
        Damage("another weight's shape") { program, _ in program.plans[0].steps[0].inputs[1].place = .weight(1) },
        Damage("no such output") { program, _ in program.plans[1].steps[4].outputs[0].place = .output(-1) },
        Damage("unbound symbol") { program, _ in program.plans[0].bounds = [:] },
        Damage("huge bound") { program, _ in program.plans[0].bounds = ["T": .max] },
        Damage("overflowing type") { program, _ in
            program.plans[0].steps[0].inputs[0].type.shape = [.fixed(1 << 40), .fixed(1 << 40)]
        },
        Damage("negative extent") { program, _ in program.plans[0].steps[0].inputs[0].type.shape = [-1, -8] },
        Damage("operand missing") { program, _ in program.plans[0].steps[0].inputs.removeLast() },
        Damage("output missing") { program, _ in program.plans[0].steps[0].outputs = [] },
        Damage("layer that is not there") { program, _ in program.plans[0].steps[2].kernel = .kvWrite(layer: 1) },
        Damage("negative layer") { program, _ in
            program.plans[0].steps[3].kernel = .pagedAttention(.init(layer: -1, heads: 2, scale: 1))
        },
        Damage("heads that do not fit") { program, _ in
            program.plans[0].steps[3].kernel = .pagedAttention(.init(layer: 0, heads: 4, scale: 1))
        },
        Damage("linear of another size") { program, _ in
            program.plans[0].steps[1].kernel = .linear(
                .init(arithmetic: .f32, layout: .bf16Panels, inputs: 4, outputs: 16))
        },
        Damage("linear of another layout") { program, _ in
            program.plans[0].steps[1].kernel = .linear(.init(arithmetic: .f32, layout: .f32Panels, inputs: 8, outputs: 8))
        },
        Damage("output missing from a plan") { program, _ in program.plans[0].outputs = [] },
        Damage("three outputs") { program, _ in program.plans[0].outputs.append(program.plans[0].outputs[0]) },
        Damage("two outputs of decode") { program, _ in program.plans[1].outputs.append(program.plans[1].outputs[0]) },
        Damage("no hidden states of extend") { program, _ in program.plans[0].outputs.removeLast() },
        Damage("hidden states of another width") { program, _ in program.plans[0].outputs[1].type.shape = [.symbol("B"), 7] },
        Damage("more hidden states than a batch has") { program, _ in program.plans[0].outputs[1].type.shape = [.symbol("T"), 8] },
        Damage("inner states of extend alone") { program, _ in
            program.plans[0].outputs.append(.init(name: ExecutionPlan.innerStatesName, type: TensorType(.f32, [.symbol("T"), 8])))
        },
        Damage("hidden states called inner ones") { program, _ in program.plans[0].outputs[1].name = ExecutionPlan.innerStatesName },
        Damage("inner states that decode alone reads") { program, _ in
            program.plans[1].steps[0].inputs[0] = Slot(.input(.innerStates), program.plans[1].steps[0].inputs[0].type)
        },
        Damage("output of integers") { program, _ in program.plans[0].outputs[0].type.element = .i32 },
        Damage("more logits than a batch has") { program, _ in
            program.plans[0].outputs[0].type.shape = [.symbol("B"), 17]
            program.plans[0].steps[4].outputs[0].type.shape = [.symbol("B"), 17]
            program.plans[0].steps[4].inputs[0].type.shape = [.symbol("T"), 17]
            program.plans[0].arenaBytes = 1 << 20
            program.plans[0].steps[4].inputs[0].place = .arena(offset: 0, stride: 17)
        },
        Damage("missing gear") { program, _ in program.plans.removeLast() },
        Damage("entry twice") { program, _ in program.plans.append(program.plans[0]) },
        Damage("gears not ascending") { program, _ in program.limits.gears = [4, 1] },
        Damage("gears beyond the sequences") { program, _ in program.limits.maxSequences = 2 },
        Damage("no KV heads") { program, _ in program.kv.layers[0].heads = 0 },
        Damage("huge KV heads") { program, _ in program.kv.layers[0].headDim = .max },
        Damage("integer KV cache") { program, _ in program.kv.element = .i32 },
        Damage("weight too short") { _, weights in weights[1].byteCount = 127 },
        Damage("weight of no size") { _, weights in weights[0].shape = [0] },
        Damage("packed weight that is no matrix") { program, weights in weights[1].shape = [2, 4, 8] },
        Damage("weight of huge size") { _, weights in weights[0].shape = [.max, .max] },
        Damage("group of zero") { _, weights in weights[1].layout = .int4Blocks(group: 0) },
        Damage("group of zero bytes") { _, weights in weights[1].layout = .int8Blocks(group: 0) },
        Damage("group of zero floats") { _, weights in weights[1].layout = .f8Blocks(group: 0) },
        Damage("group of too many floats") { _, weights in weights[1].layout = .f4Blocks(group: .max) },
        Damage("floats too short") { _, weights in (weights[1].layout, weights[1].byteCount) = (.f8Blocks(group: 32), 63) },
    ]

    @Test func soundProgramPasses() {
        #expect(Sample.program().contradiction(weights: Self.weights) == nil)
    }

    @Test(arguments: damages) func contradictionIsFound(_ damage: Damage) {
        var (program, weights) = (Sample.program(), Self.weights)
        damage.apply(&program, &weights)
        #expect(program.contradiction(weights: weights) != nil)
    }
}
