import ArtifactFormat
import Plan
import Tensors
import Testing

@Suite struct StepCheckTests {
    /// What somebody's edit does to the first step of a kernel, and what the check says of it.
    struct Damage: CustomTestStringConvertible {
        var kernel: String
        var reason: String
        var entry: Entry
        var apply: @Sendable (inout Step) -> Void

        init(_ kernel: String, _ reason: String, in entry: Entry = .extend, _ apply: @escaping @Sendable (inout Step) -> Void) {
            (self.kernel, self.reason, self.entry, self.apply) = (kernel, reason, entry, apply)
        }

        var testDescription: String { "\(kernel): \(reason)" }

        func applied(to program: Program) throws -> Program {
            var program = program
            let plan = try #require(program.plans.firstIndex { $0.entry == entry })
            let step = try #require(program.plans[plan].steps.firstIndex { $0.kernel.name == kernel })
            apply(&program.plans[plan].steps[step])
            return program
        }
    }

    static let places: [Damage] = [
        Damage("plain_copy", "writes to") { $0.outputs[0] = Slot(.input(.imageEmbeds), TensorType(.f32, ["T", 8])) },
        Damage("rms_norm", "writes to") { $0.outputs[0] = $0.inputs[1] },
        Damage("embed", "is not the input ids") { $0.inputs[1].type.shape = [65] },
        Damage("embed", "is not the input ids") { $0.inputs[1].type.element = .f32 },
        Damage("kv_write", "is not the input slots") { $0.inputs[2].type.shape = [65] },
        Damage("select_rows", "is not the input image_rows") { $0.inputs[2].type.shape = [65] },
        Damage("select_rows", "is not the input image_embeds") { $0.inputs[1].type.shape = [65, 8] },
        Damage("select_rows", "is not the input image_embeds") { $0.inputs[1].type.shape = [4, 9] },
        Damage("select_rows", "is not the input image_embeds") { $0.inputs[1].type.element = .i32 },
        Damage("gather_rows", "is not the input sample_rows") { $0.inputs[1].type.shape = [5] },
        Damage("rotary_table", "is not the input positions") { $0.inputs[0].type.shape = [4, "T"] },
        Damage("rotary_table", "is not the input positions") { $0.inputs[0].type.shape = [3, 65] },
        Damage("rotary_table", "is not patch_positions", in: .vision) { $0.inputs[0].type.shape = [2, 33] },
        Damage("widen_u8", "is not pixels", in: .vision) { $0.inputs[0].type.shape = [32, 9] },
        Damage("widen_u8", "there is no ids", in: .vision) { $0.inputs[0].place = .input(.ids) },
        Damage("embed", "there is no tensor 0") { $0.inputs[1].place = .tensor(0) },
        Damage("plain_copy", "vary in size") { $0.inputs[0].type.shape = [8, "T"] },
        Damage("plain_copy", "does not take the elements") { $0.inputs[0].type.element = .i32 },
        Damage("embed", "is not read as i32") { $0.inputs[1] = Slot(.arena(offset: 0, stride: 1), TensorType(.f32, ["T"])) },
        Damage("gather_rows", "is not read as i32") { $0.inputs[1] = Slot(.weight(2), TensorType(.i32, [2])) },
        Damage("rms_norm", "is not read as f32") { $0.inputs[1] = Slot(.weight(4), TensorType(.f32, [128])) },
    ]

    static let screened: [Damage] = [
        Damage("screened_linear_bf16_bf16", "weight qkv has another shape or layout") { $0.inputs[2] = $0.inputs[1] },
        Damage("screened_linear_bf16_bf16", "weight screen has another shape or layout") { $0.inputs[1] = $0.inputs[2] },
        Damage("screened_linear_bf16_bf16", "no packed weight") { $0.inputs[2] = Slot(.weight(0), TensorType(.f32, [8, 1])) },
        Damage("screened_linear_bf16_bf16", "makes no logits") { $0.outputs[0].place = .arena(offset: 0, stride: 8) },
        Damage("screened_linear_bf16_bf16", "an activation") {
            $0.kernel = .screenedLinear(.init(arithmetic: .bf16, layout: .bf16Panels, inputs: 8, outputs: 8, activation: .relu))
        },
        Damage("screened_linear_bf16_bf16", "no row of the registry") {
            $0.kernel = .screenedLinear(.init(arithmetic: .bf16, layout: .f32Panels, inputs: 8, outputs: 8))
        },
        Damage("screened_linear_bf16_bf16", "instead of") { $0.inputs.removeLast() },
    ]

    static let rows: [Damage] = [
        Damage("embed", "are not 4 wide") { $0.outputs[0].type.shape = ["T", 4] },
        Damage("embed", "is not one index for each row") { $0.inputs[1].type.shape = [63] },
        Damage("embed", "is no packed weight") { $0.inputs[0] = Slot(.weight(0), TensorType(.f32, [8])) },
        Damage("select_rows", "has not the extents") { $0.inputs[0].type.shape = [63, 8] },
        Damage("select_rows", "has other columns") { $0.inputs[1] = Slot(.arena(offset: 0, stride: 4), TensorType(.f32, ["T", 4])) },
        Damage("select_rows", "is not one index for each row") { $0.inputs[2].type.shape = [63] },
        Damage("pack_activations_bf16", "has no rows for int8 group 16") { $0.kernel = .packActivations(.int8(group: 16)) },
        Damage("pack_activations_bf16", "are not the rows of") { $0.outputs[0] = Slot(.arena(offset: 8192, stride: 32), TensorType(.u8, ["T", 32])) },
        Damage("linear_bf16_bf16", "are no packed rows") { $0.inputs[0] = Slot(.arena(offset: 0, stride: 8), TensorType(.f32, ["T", 8])) },
        Damage("linear_bf16_bf16", "are no packed rows") { $0.inputs[0].place = .arena(offset: 32, stride: 64) },
        Damage("pack_activations_int16_blocks", "are not the rows of") { $0.kernel = .packActivations(.bf16) },
        Damage("linear_bf16_int16", "are no packed rows") { $0.inputs[0] = Slot(.arena(offset: 0, stride: 8), TensorType(.f32, ["T", 8])) },
        Damage("linear_bf16_int16", "is not 8 inputs to 8 outputs") { $0.inputs[0] = Slot(.arena(offset: 8192, stride: 64), TensorType(.u8, ["T", 64])) },
        Damage("gather_columns", "has other rows than") { $0.inputs[0].type.shape = [3, 8] },
        Damage("gather_columns", "is not one index for each column") { $0.outputs[0].type.shape = ["T", 1] },
        Damage("gather_rows", "has other columns") { $0.inputs[0].type.shape = ["T", 4] },
        Damage("gather_rows", "is not one index for each row") { $0.inputs[1].type.shape = [3] },
        Damage("gated_activation", "is not twice as wide") { $0.inputs[0].type.shape = ["T", 8] },
        Damage("gated_activation", "is not twice as wide") { $0.inputs[0].type.shape = [63, 16] },
        Damage("add", "has not as many elements") { $0.inputs[1].type.shape = [63, 8] },
        Damage("plain_copy", "is not copy of") { $0.inputs[0].type.shape = [63, 8] },
        Damage("add", "lie apart") { $0.inputs[0].place = .arena(offset: 0, stride: 9) },
        Damage("plain_copy", "lie apart") { $0.outputs[0].place = .arena(offset: 0, stride: 9) },
        Damage("widen_u8", "has not as many elements", in: .vision) { $0.outputs[0].type.shape = [31, 8] },
        Damage("widen_u8", "are no pixels", in: .vision) { $0.inputs[0] = $0.outputs[0] },
        Damage("widen_u8", "1 inputs and 2 outputs", in: .vision) { $0.outputs.append($0.outputs[0]) },
    ]

    static let layers: [Damage] = [
        Damage("rms_norm", "has not the extents") { $0.inputs[0].type.shape = ["T", 4] },
        Damage("rms_norm", "has not the extents") { $0.inputs[0].type.shape = [63, 8] },
        Damage("rms_norm", "is not a weight of 8") { $0.inputs[1] = Slot(.weight(2), TensorType(.f32, [2])) },
        Damage("layer_norm", "is not a weight of 8") { $0.inputs[2] = Slot(.weight(2), TensorType(.f32, [2])) },
        Damage("layer_norm", "is no weight") { $0.inputs[1] = $0.inputs[0] },
        Damage("add_rms_norm", "has not the extents") { $0.inputs[1].type.shape = [63, 8] },
        Damage("add_rms_norm", "has not the extents") { $0.outputs[1].type.shape = [63, 8] },
        Damage("add_layer_norm", "is not a weight of 8") { $0.inputs[3] = Slot(.weight(2), TensorType(.f32, [2])) },
        Damage("linear_bf16_f32", "is not 8 inputs to 8 outputs") { $0.outputs[0].type.shape = ["T", 2, 2] },
        Damage("linear_bf16_f32", "is not 8 inputs to 8 outputs") { $0.outputs[0].type.shape = [128, 4] },
        Damage("linear_bf16_f32", "is not 8 inputs to 8 outputs") { $0.inputs[0].type.shape = [63, 8] },
        Damage("linear_bf16_f32", "is not a weight of 8") { $0.inputs[2] = Slot(.weight(2), TensorType(.f32, [2])) },
        Damage("linear_bf16_f32", "is no weight") { $0.inputs[2] = $0.inputs[0] },
        Damage("linear_bf16_f32", "is no packed weight") { $0.inputs[1] = $0.inputs[2] },
        Damage("linear_f32_blas", "lie apart", in: .vision) {
            $0.inputs[0] = Slot(.arena(offset: 0, stride: 9), TensorType(.f32, [Dim(4, times: "M"), 8]))
        },
    ]

    static let adapters: [Damage] = [
        Damage("adapt", "the layers are not the columns") { $0.kernel = .adapt(.init(inputs: 8, layers: [])) },
        Damage("adapt", "the layers are not the columns") { $0.kernel = .adapt(.init(inputs: 8, layers: [.init(name: "q", outputs: 7)])) },
        Damage("adapt", "the layers are not the columns") {
            $0.kernel = .adapt(.init(inputs: 8, layers: [.init(name: "q", outputs: .max), .init(name: "k", outputs: 9)]))
        },
        Damage("adapt", "the layers are not the columns") { $0.kernel = .adapt(.init(inputs: 8, layers: [.init(name: "", outputs: 8)])) },
        Damage("adapt", "is not 7 inputs for each row") { $0.kernel = .adapt(.init(inputs: 7, layers: [.init(name: "q", outputs: 8)])) },
        Damage("adapt", "has not the extents") { $0.outputs[0].type.shape = [63, 8] },
        Damage("adapt", "is not 8 inputs for each row") { $0.inputs[1].type.shape = [63, 8] },
        Damage("adapt", "is not one index for each row") { $0.inputs[2].type.shape = [63] },
    ]

    static let recurrences: [Damage] = [
        Damage("short_convolution", "a convolution of 1 taps") { $0.kernel = .shortConvolution(.init(layer: 0, channels: 8, taps: 1)) },
        Damage("short_convolution", "there is no layer -1") { $0.kernel = .shortConvolution(.init(layer: -1, channels: 8, taps: 4)) },
        Damage("short_convolution", "the state is out of range") { $0.kernel = .shortConvolution(.init(layer: 0, channels: .max, taps: 4)) },
        Damage("short_convolution", "has not 4 channels") { $0.kernel = .shortConvolution(.init(layer: 0, channels: 4, taps: 4)) },
        Damage("short_convolution", "is not 3 taps of 8 channels") { $0.kernel = .shortConvolution(.init(layer: 0, channels: 8, taps: 3)) },
        Damage("short_convolution", "has not the extents") { $0.inputs[0].type.shape = [63, 8] },
        Damage("short_convolution", "is not one index for each row") { $0.inputs[2].type.shape = [63] },
        Damage("short_convolution", "is not the input ordinals") { $0.inputs[3].type.shape = [65] },
        Damage("short_convolution", "is no weight") { $0.inputs[1] = Slot(.arena(offset: 0, stride: 4), TensorType(.f32, [8, 4])) },
        Damage("gated_delta", "3 heads over 2 key heads") {
            $0.kernel = .gatedDelta(.init(layer: 0, keyHeads: 2, heads: 3, keyDim: 4, valueDim: 4))
        },
        Damage("gated_delta", "the state is out of range") {
            $0.kernel = .gatedDelta(.init(layer: 0, keyHeads: 1, heads: 2, keyDim: 1 << 28, valueDim: 4))
        },
        Damage("gated_delta", "is not 1 heads of 4") {
            $0.kernel = .gatedDelta(.init(layer: 0, keyHeads: 1, heads: 2, keyDim: 4, valueDim: 4))
        },
        Damage("gated_delta", "has not the extents") { $0.inputs[1].type.shape = [63, 1, 8] },
        Damage("gated_delta", "has not a row for each") {
            $0.inputs[0].type.shape = [63, 1, 8]
            $0.inputs[1].type.shape = [63, 1, 8]
        },
        Damage("gated_delta", "is not one number for each head") { $0.inputs[3] = Slot(.arena(offset: 0, stride: 1), TensorType(.f32, ["T", 1])) },
        Damage("gated_delta", "is not one index for each row") { $0.inputs[6].type.shape = [63] },
    ]

    static let plain: [Damage] = [
        Damage("plain_add", "is not add of") { $0.inputs[0].type.shape = ["T", 4] },
        Damage("plain_add", "does not take the elements") { $0.inputs[1].type.element = .i32 },
        Damage("plain_where", "does not take the elements") { $0.inputs[0].type.element = .u8 },
        Damage("plain_where", "1 inputs and") { $0.inputs.removeLast(2) },
        Damage("plain_transpose", "is not transpose of") { $0.kernel = .plain(.transpose([0, 1, 2])) },
        Damage("plain_transpose", "is not transpose of") { $0.kernel = .plain(.transpose([1, 0, 3])) },
        Damage("plain_transpose", "vary in size") { $0.outputs[0].place = .arena(offset: 0, stride: 64) },
        Damage("plain_slice", "is not slice of") { $0.kernel = .plain(.slice(axis: 1, start: 5)) },
        Damage("plain_slice", "is not slice of") { $0.kernel = .plain(.slice(axis: 1, start: -1)) },
        Damage("plain_slice", "is not slice of") { $0.kernel = .plain(.slice(axis: 2, start: 0)) },
        Damage("plain_concat", "is not concat of") { $0.inputs.removeLast() },
        Damage("plain_concat", "is not concat of") { $0.kernel = .plain(.concat(axis: 0)) },
        Damage("plain_expand", "is not expand of") { $0.outputs[0].type.shape = [8, 8] },
        Damage("plain_repeat", "is not repeat of") { $0.kernel = .plain(.repeats(axis: 1, count: 3)) },
        Damage("plain_softmax", "is not softmax of") { $0.kernel = .plain(.along(.softmax, axis: 3)) },
        Damage("plain_softmax", "is not softmax of") { $0.outputs[0].type.shape = ["T", 4, 2] },
        Damage("plain_top_k", "does not take the elements") { $0.outputs[1].type.element = .f32 },
        Damage("plain_top_k", "is not top_k of") { $0.inputs[0].type.shape = ["T", 1] },
        Damage("plain_matmul", "is not matmul of") { $0.kernel = .plain(.matmul(transposesB: true)) },
        Damage("plain_gather", "does not take the elements") { $0.outputs[0].type.element = .i32 },
        Damage("plain_gather", "is not gather of") { $0.outputs[0].type.shape = ["T", 2, 4] },
        Damage("plain_select_rows", "is not select_rows of") { $0.inputs[1].type.shape = ["T", 4] },
        Damage("plain_copy", "is not copy of") { $0.inputs[0].type.shape = ["T", 4] },
    ]

    static let attention: [Damage] = [
        Damage("rotary_table", "are not positions") { $0.inputs[0].type.shape = [3, 63] },
        Damage("rotary_table", "has not the extents") { $0.outputs[1].type.shape = [63, 2] },
        Damage("rotary_table", "lie apart") { $0.outputs[1].place = .arena(offset: 0, stride: 3) },
        Damage("rotary_table", "are not the frequencies") { $0.inputs[1] = Slot(.arena(offset: 0, stride: 1), TensorType(.f32, [3])) },
        Damage("rotary_table", "are not the axes") {
            $0.outputs[0].type.shape = ["T", 1]
            $0.outputs[1].type.shape = ["T", 1]
            $0.outputs[0].place = .arena(offset: 0, stride: 1)
            $0.outputs[1].place = .arena(offset: 0, stride: 1)
            $0.inputs[1] = Slot(.arena(offset: 0, stride: 1), TensorType(.f32, [1]))
        },
        Damage("rotary_table", "is no weight") { $0.inputs[2] = Slot(.input(.sampleRows), TensorType(.i32, [2])) },
        Damage("rotary", "have no halves") {
            $0.kernel = .rotary(heads: 8, headDim: 1, parts: 1)
            $0.inputs[0].type.shape = ["T", 8, 1]
        },
        Damage("rotary", "in 4 parts") { $0.kernel = .rotary(heads: 2, headDim: 4, parts: 4) },
        Damage("rotary", "in 0 parts") { $0.kernel = .rotary(heads: 2, headDim: 4, parts: 0) },
        Damage("scale", "has not the extents") { $0.inputs[0].type.shape = [63, 8] },
        Damage("scale", "is not a weight of 1 or 8") { $0.inputs[1] = Slot(.weight(2), TensorType(.f32, [2])) },
        Damage("scale", "is no weight") { $0.inputs[1] = $0.inputs[0] },
        Damage("scale_rows", "is not mul of") { $0.outputs[0].type.shape = ["T", 4, 2] },
        Damage("scale_rows", "is not one number for each row") { $0.inputs[1] = $0.inputs[0] },
        Damage("scale_rows", "has other rows") { $0.inputs[1].type.shape = [1, 1, 1] },
        Damage("copy_rows", "is not reshape of") { $0.inputs[0].type.shape = [63, 8] },
        Damage("copy_rows", "lie apart") { $0.outputs[0].place = .arena(offset: 0, stride: 9) },
        Damage("copy_columns", "is not slice of") { $0.kernel = .copyColumns(start: 5) },
        Damage("copy_columns", "is not slice of") { $0.inputs[0].type.shape = [63, 8] },
        Damage("join_columns", "is not concat of") { $0.inputs[1].type.shape = ["T", 3] },
        Damage("join_columns", "is not concat of") { $0.inputs[1].type.shape = [63, 4] },
        Damage("blend_rows", "is not matmul of") { $0.outputs[0].type.shape = ["T", 2, 4] },
        Damage("blend_rows", "has other rows") { $0.inputs[1].type.shape = [1, 2, 8] },
        Damage("blend_rows", "is not one weight for each row") {
            $0.inputs[0].type.shape = ["T", 2, 1]
            $0.inputs[1] = Slot(.arena(offset: 12288, stride: 4), TensorType(.f32, ["T", 1, 4]))
            $0.outputs[0].type.shape = ["T", 2, 4]
        },
        Damage("rotary", "has not the extents") { $0.inputs[0].type.shape = [63, 2, 4] },
        Damage("rotary", "is not 2 heads of 4") { $0.outputs[0].type.shape = ["T", 4] },
        Damage("rotary", "has not 2 angles a row") { $0.inputs[1].type.shape = [63, 2] },
        Damage("rotary", "has not 2 angles a row") { $0.inputs[2] = Slot(.arena(offset: 0, stride: 1), TensorType(.f32, ["T", 1])) },
        Damage("rotary", "lie apart") { $0.inputs[2].place = .arena(offset: 0, stride: 3) },
        Damage("kv_write", "has not the extents") { $0.inputs[1].type.shape = [63, 2, 4] },
        Damage("kv_write", "is not one index for each row") { $0.inputs[2].type.shape = [63] },
        Damage("paged_attention_f32", "has not the extents") { $0.inputs[0].type.shape = [63, 2, 4] },
        Damage("paged_attention_f32", "a row for each token") {
            $0.inputs[0].type.shape = [63, 2, 4]
            $0.outputs[0].type.shape = [63, 2, 4]
        },
        paged("the mask over a cache is segments {queries = images, keys = images}") { $0.mask = .segments("images") },
        paged("the window is 0,") { $0.mask = .causal(window: 0) },
        paged("the window is 2147483648,") { $0.mask = .causal(window: 1 << 31) },
        paged("the softcap is -1") { $0.softcap = -1 },
        paged("the softcap is inf") { $0.softcap = .infinity },
        paged("the scale is no number") { $0.scale = .nan },
        segment("the mask inside images is causal") { $0.mask = .causal() },
        segment("2 heads over 0 KV heads") { $0.kvHeads = 0 },
        segment("2 heads over 3 KV heads") { $0.kvHeads = 3 },
        segment("is not 1 heads of 4") { $0.kvHeads = 1 },
        segment("the softcap is nan") { $0.softcap = .nan },
        Damage("paged_attention_f32", "are of images") {
            $0.kernel = .segmentAttention(.init(heads: 2, kvHeads: 2, headDim: 4, scale: 1, mask: .segments("images")))
            $0.inputs = [$0.inputs[0], $0.inputs[0], $0.inputs[0]]
        },
        Damage("segment_attention_f32", "has not the extents", in: .vision) { $0.inputs[2].type.shape = [31, 2, 4] },
        Damage("segment_attention_f32", "is not 2 heads of 4", in: .vision) { $0.outputs[0].type.shape = [32, 4] },
        Damage("segment_attention_f32", "have no cache", in: .vision) {
            $0.kernel = .pagedAttention(.init(layer: 0, heads: 2, scale: 1))
            $0.inputs = [$0.inputs[0]]
        },
    ]

    private static func paged(_ reason: String, _ apply: @escaping @Sendable (inout Kernel.PagedAttention) -> Void) -> Damage {
        Damage("paged_attention_f32", reason) {
            guard case .pagedAttention(var attention) = $0.kernel else { return }
            apply(&attention)
            $0.kernel = .pagedAttention(attention)
        }
    }

    private static func segment(_ reason: String, _ apply: @escaping @Sendable (inout Kernel.SegmentAttention) -> Void) -> Damage {
        Damage("segment_attention_f32", reason, in: .vision) {
            guard case .segmentAttention(var attention) = $0.kernel else { return }
            apply(&attention)
            $0.kernel = .segmentAttention(attention)
        }
    }

    @Test func everyKernelHasASoundStep() {
        let program = KernelSample.program()
        #expect(program.contradiction(weights: KernelSample.weights) == nil)
        #expect(Set(program.plans.flatMap(\.steps).map(\.kernel.name)).count == 49)
    }

    @Test func fallbacksAreCounted() throws {
        let listing = PlanListing(KernelSample.program().plans[0], weights: KernelSample.weights)
        #expect(listing.fallbacks.count == 13 && listing.fallbacks["plain_top_k"] == 1)
        let vision = try #require(KernelSample.program().plans.first { $0.entry == .vision })
        #expect(vision.fallbacks.isEmpty)
    }

    @Test func statesAreAlikeInEveryPlan() throws {
        var program = KernelSample.program()
        #expect(program.states.map(\.width) == [24, 64])
        let step = try #require(program.plans[0].steps.firstIndex { $0.kernel.name == "short_convolution" })
        let plan = try #require(program.plans.firstIndex { $0.entry == .decode(gear: 4) })
        var other = program.plans[0].steps[step]
        other.inputs[1] = Slot(.weight(0), TensorType(.f32, [4, 2]))
        other.kernel = .shortConvolution(.init(layer: 0, channels: 4, taps: 2))
        for slot in [0, 2, 3] { other.inputs[slot].type.shape[0] = 4 }
        other.inputs[0] = Slot(.arena(offset: 0, stride: 4), TensorType(.f32, [4, 4]))
        other.outputs[0] = other.inputs[0]
        program.plans[plan].steps.insert(other, at: 0)
        #expect(program.contradiction(weights: KernelSample.weights)?.contains("the state columns(0) has 24 values, and 4 in another") == true)
    }

    @Test(arguments: places + screened + rows + layers + plain + attention + recurrences + adapters) func damageIsNamed(_ damage: Damage) throws {
        let reason = try damage.applied(to: KernelSample.program()).contradiction(weights: KernelSample.weights)
        #expect(reason?.contains(damage.reason) == true, "\(reason ?? "nothing is found")")
    }

    @Test func rowsOfImagesAreOfOneKind() throws {
        var program = KernelSample.program()
        let plan = try #require(program.plans.firstIndex { $0.entry == .vision })
        program.plans[plan].tensors[0].type.shape = ["M", "M"]
        #expect(program.contradiction(weights: KernelSample.weights)?.contains("the input pixels of vision is u8[M, M]") == true)
    }

    @Test func embeddingsOfAnotherWidth() throws {
        var program = KernelSample.program()
        let plan = try #require(program.plans.firstIndex { $0.entry == .vision })
        program.plans[plan].outputs[0].type.shape = [Dim(2, times: "M"), 4]
        #expect(program.contradiction(weights: KernelSample.weights)?.contains("is not the input image_embeds") == true)
    }

    @Test func linearOverAPlainTable() throws {
        let damage = Damage("linear_f32_f32", "no row of the registry") {
            $0.kernel = .linear(.init(arithmetic: .f32, layout: .plain, inputs: 8, outputs: 16))
        }
        var weights = KernelSample.weights
        weights[6].layout = .plain
        let reason = try damage.applied(to: KernelSample.program()).contradiction(weights: weights)
        #expect(reason?.contains(damage.reason) == true)
    }
}
