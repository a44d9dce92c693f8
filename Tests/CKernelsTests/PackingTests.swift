import CKernels
import Seeded
import Testing

@Suite struct PackingTests {
    /// Rows of a packed weight through vlm_unpack_rows.
    private func unpack(_ format: vlm_weight_format, _ packed: Guarded<UInt8>, outputs: Int, inputs: Int, group: Int, isa: vlm_isa) -> [Float] {
        let ids = Guarded((0..<outputs).map { Int32($0) }), y = Guarded(outputs * inputs) { _ in Float.nan }
        var a = vlm_unpack_rows_args(
            format: format, outputs: Int64(outputs), inputs: Int64(inputs), group: Int64(group), packed: packed.pointer, ids: ids.pointer,
            y: y.pointer, y_stride: Int64(inputs))
        #expect(vlm_unpack_rows(&a, 0, Int64(outputs), isa) == VLM_OK)
        ids[0] = Int32(outputs)
        #expect(vlm_unpack_rows(&a, 0, 1, isa) == VLM_BAD_INDEX)
        return y.values
    }

    @Test("packed rows unpack to themselves", arguments: [(33, 7), (64, 64), (1, 1), (95, 130)])
    func roundTrip(outputs: Int, inputs: Int) {
        var random = Dice(UInt64(outputs * inputs))
        let values = random.floats(outputs * inputs)
        let halves = values.map { Float16($0).bitPattern }, brains = values.map { UInt16(bf16($0).bitPattern >> 16) }
        for format in [VLM_WEIGHT_F32, VLM_WEIGHT_BF16] {
            for type in [VLM_F32, VLM_F16, VLM_BF16] {
                let packed = Guarded<UInt8>(vlm_weight_bytes(format, Int64(outputs), Int64(inputs), 0), aligned: true) { _ in 0xff }
                let f32 = Guarded(values), u16 = Guarded(type == VLM_F16 ? halves : brains)
                let source = type == VLM_F32 ? UnsafeRawPointer(f32.pointer) : UnsafeRawPointer(u16.pointer)
                var a = vlm_pack_rows_args(
                    format: format, source_type: type, outputs: Int64(outputs), inputs: Int64(inputs), first: 0, count: Int64(outputs),
                    source: source, source_stride: Int64(inputs), packed: packed.pointer)
                #expect(vlm_pack_rows(&a) == VLM_OK)
                let exact: [Float] = switch type {
                case VLM_F32: values
                case VLM_F16: halves.map { Float(Float16(bitPattern: $0)) }
                default: values.map(bf16)
                }
                let expected = format == VLM_WEIGHT_BF16 ? exact.map(bf16) : exact
                for isa in featureSets { #expect(unpack(format, packed, outputs: outputs, inputs: inputs, group: 0, isa: isa) == expected) }
            }
        }
    }

    @Test("AWQ columns from two sources become rows of one weight", arguments: [32, 64, 128])
    func awq(group: Int) {
        let inputs = 2 * group, widths = [40, 24], outputs = 64, order = [0, 4, 1, 5, 2, 6, 3, 7]
        var random = Dice(UInt64(group)), expected = [Float](repeating: 0, count: outputs * inputs), first = 0
        let packed = Guarded<UInt8>(vlm_weight_bytes(VLM_WEIGHT_INT4, Int64(outputs), Int64(inputs), Int64(group)), aligned: true) { _ in 0xff }
        for width in widths {
            let q = Guarded(inputs * width / 8) { _ in Int32(truncatingIfNeeded: random.next()) }
            let zeros = Guarded(2 * width / 8) { _ in Int32(truncatingIfNeeded: random.next()) }
            let scales = Guarded(2 * width) { _ in Float16(Float.random(in: 0.01...0.1, using: &random)).bitPattern }
            for (begin, end) in [(0, 11), (11, width)] {
                var a = vlm_pack_awq_args(
                    outputs: Int64(outputs), inputs: Int64(inputs), group: Int64(group), source_outputs: Int64(width),
                    source_begin: Int64(begin), source_end: Int64(end), first: Int64(first + begin), qweight: q.pointer, qzeros: zeros.pointer,
                    scales: scales.pointer, zeros: nil, packed: packed.pointer)
                #expect(vlm_pack_awq(&a) == VLM_OK)
            }
            func nibble(_ words: Guarded<Int32>, _ row: Int, _ column: Int) -> Float {
                Float(UInt32(bitPattern: words[row * width / 8 + column / 8]) >> UInt32(4 * order[column % 8]) & 15)
            }
            for o in 0..<width {
                for k in 0..<inputs {
                    let g = k / group
                    expected[(first + o) * inputs + k] =
                        (nibble(q, k, o) - nibble(zeros, g, o)) * Float(Float16(bitPattern: scales[g * width + o]))
                }
            }
            first += width
        }
        for isa in featureSets {
            #expect(unpack(VLM_WEIGHT_INT4, packed, outputs: outputs, inputs: inputs, group: group, isa: isa) == expected)
        }
    }

    /// Every code, with scales at the ends of what f32 and the format hold; products round once.
    @Test("e4m3 unpacks to code times scale")
    func float8() {
        let inputs = 256, group = 16, groups = inputs / group, outputs = 37
        let ends: [Float] = [0x1p-149, 0x1.8p-140, 0x1p-127, 0x1p-126, 0.3, -0.7, 448 / 3, 0x1.8p119, 0, .nan]
        let codes = Guarded(outputs * inputs) { UInt8(truncatingIfNeeded: $0) }, scales = Guarded(outputs * groups) { ends[$0 % ends.count] }
        let packed = Guarded<UInt8>(vlm_weight_bytes(VLM_WEIGHT_F8, Int64(outputs), Int64(inputs), Int64(group)), aligned: true) { _ in 0xff }
        var a = vlm_pack_f8_args(
            outputs: Int64(outputs), inputs: Int64(inputs), group: Int64(group), first: 0, count: Int64(outputs), codes: codes.pointer,
            scales: scales.pointer, packed: packed.pointer)
        #expect(vlm_pack_f8(&a) == VLM_OK)
        for (i, value) in unpack(VLM_WEIGHT_F8, packed, outputs: outputs, inputs: inputs, group: group, isa: 0).enumerated() {
            let expected = Float(e4m3(codes[i]) * Double(scales[i / group]))
            // A NaN is one of its whole block.
            if expected.isNaN || i % 128 >= 112 { #expect(value.isNaN) } else { #expect(value.bitPattern == expected.bitPattern, "\(i)") }
        }
    }

    /// Every code with every scale that has a number; 2⁻¹²⁷ is the one that e8m0 loses.
    @Test("e2m1 unpacks to code times scales", arguments: [16, 32])
    func float4(group: Int) {
        let inputs = 16 * group, groups = inputs / group, outputs = 37, ends: [Float] = [1, 0.3, -0.7, 0x1p-20, 0x1.8p20]
        let codes = Guarded(outputs * inputs / 2) { UInt8(truncatingIfNeeded: $0 * 2 + ($0 % 16 << 4)) }
        let scales = Guarded(outputs * groups) { i in
            let code = UInt8(truncatingIfNeeded: i)
            return group == 16 ? (code & 0x7f == 0x7f ? 0x7e : code) : (code == 255 ? 254 : code)
        }
        let outputScales = Guarded(outputs) { ends[$0 % ends.count] }
        let packed = Guarded<UInt8>(vlm_weight_bytes(VLM_WEIGHT_F4, Int64(outputs), Int64(inputs), Int64(group)), aligned: true) { _ in 0xff }
        var a = vlm_pack_f4_args(
            outputs: Int64(outputs), inputs: Int64(inputs), group: Int64(group), first: 0, count: Int64(outputs), codes: codes.pointer,
            scales: scales.pointer, output_scales: outputScales.pointer, packed: packed.pointer)
        #expect(vlm_pack_f4(&a) == VLM_OK)
        for (i, value) in unpack(VLM_WEIGHT_F4, packed, outputs: outputs, inputs: inputs, group: group, isa: 0).enumerated() {
            let code = scales[i / group], stored = group == 16 ? e4m3(code) : code == 0 ? 0 : e8m0(code)
            let scale = Float(stored * Double(outputScales[i / inputs]) / 2)
            let expected = Float(2 * e2m1(codes[i / 2] >> UInt8(4 * (i % 2)) & 15)) * scale
            #expect(value == expected || value.isNaN && expected.isNaN, "\(i)")
        }
    }

    @Test("a NaN among the scales of e2m1 makes its output NaN, and no other", arguments: [(16, UInt8(0x7f)), (16, 0xff), (32, 0xff)])
    func notAScale(group: Int, code: UInt8) {
        let inputs = 64, outputs = 3, groups = inputs / group, x = Guarded<Float>(inputs) { _ in 1 }, y = Guarded<Float>(outputs) { _ in 0 }
        let codes = Guarded<UInt8>(outputs * inputs / 2) { _ in 0 }, scales = Guarded(outputs * groups) { $0 == groups + 1 ? code : 0x38 }
        let outputScales = Guarded<Float>(outputs) { _ in 1 }
        let packed = Guarded<UInt8>(vlm_weight_bytes(VLM_WEIGHT_F4, 3, Int64(inputs), Int64(group)), aligned: true) { _ in 0 }
        var a = vlm_pack_f4_args(
            outputs: 3, inputs: Int64(inputs), group: Int64(group), first: 0, count: 3, codes: codes.pointer, scales: scales.pointer,
            output_scales: outputScales.pointer, packed: packed.pointer)
        #expect(vlm_pack_f4(&a) == VLM_OK)
        let memory = scratch(vlm_linear_scratch_bytes())
        let row = scratch(vlm_row_bytes(VLM_ROWS_INT8_BLOCKS, Int64(inputs), 0))
        for isa in featureSets {
            for kind in [VLM_LINEAR_F4_F32, VLM_LINEAR_F4_INT8] {
                var rows = vlm_pack_activations_args(
                    format: VLM_ROWS_INT8_BLOCKS, rows: 1, inputs: Int64(inputs), group: 0, x: x.pointer, x_stride: Int64(inputs),
                    packed: row.pointer)
                #expect(vlm_pack_activations(&rows, 0, 1, isa) == VLM_OK)
                var layer = vlm_linear_args()
                (layer.kind, layer.rows, layer.inputs, layer.outputs, layer.group) = (kind, 1, Int64(inputs), 3, Int64(group))
                (layer.x, layer.x_stride, layer.y, layer.y_stride) = (UnsafePointer(x.pointer), Int64(inputs), y.pointer, 3)
                (layer.weight, layer.packed) = (UnsafeRawPointer(packed.pointer), UnsafeRawPointer(row.pointer))
                #expect(vlm_linear(&layer, 0, 1, memory.pointer, isa) == VLM_OK)
                #expect(y[0] == 0 && y[1].isNaN && y[2] == 0, "isa \(isa)")
            }
        }
    }

    @Test("a NaN among the codes makes its output NaN, and no other", arguments: [UInt8(0x7f), 0xff])
    func notANumber(code: UInt8) {
        let inputs = 40, outputs = 3, y = Guarded<Float>(outputs) { _ in 0 }, x = Guarded<Float>(inputs) { _ in 0 }
        let codes = Guarded(outputs * inputs) { $0 == inputs + 37 ? code : 0x38 }, scales = Guarded<Float>(outputs * 2) { _ in 1 }
        let packed = Guarded<UInt8>(vlm_weight_bytes(VLM_WEIGHT_F8, 3, 40, 32), aligned: true) { _ in 0 }
        var a = vlm_pack_f8_args(
            outputs: 3, inputs: 40, group: 32, first: 0, count: 3, codes: codes.pointer, scales: scales.pointer, packed: packed.pointer)
        #expect(vlm_pack_f8(&a) == VLM_OK)
        let memory = scratch(vlm_linear_scratch_bytes())
        for isa in featureSets {
            var layer = vlm_linear_args()
            (layer.kind, layer.rows, layer.inputs, layer.outputs, layer.group) = (VLM_LINEAR_F8_F32, 1, 40, 3, 32)
            (layer.x, layer.x_stride, layer.y, layer.y_stride) = (UnsafePointer(x.pointer), 40, y.pointer, 3)
            layer.weight = UnsafeRawPointer(packed.pointer)
            #expect(vlm_linear(&layer, 0, 1, memory.pointer, isa) == VLM_OK)
            #expect(y[0] == 0 && y[1].isNaN && y[2] == 0, "isa \(isa)")
        }
    }

    @Test("small floats of other shapes are refused")
    func smallFloatRefusals() {
        let usual = vlm_pack_f4_args(
            outputs: 8, inputs: 64, group: 32, first: 0, count: 0, codes: nil, scales: nil, output_scales: nil, packed: nil)
        let changes: [(inout vlm_pack_f4_args) -> Void] = [
            { $0.group = 24 }, { $0.group = 64 }, { $0.group = 0 }, { $0.inputs = 40 }, { $0.inputs = .max }, { $0.outputs = 0 }, { $0.count = 9 },
            { $0.first = 8; $0.count = 1 }, { $0.first = -1; $0.count = 1 }, { $0.count = .min },
        ]
        for change in changes {
            var a = usual
            change(&a)
            #expect(vlm_pack_f4(&a) == VLM_BAD_SHAPE)
        }
        var a = vlm_pack_f8_args(outputs: 8, inputs: 64, group: 24, first: 0, count: 0, codes: nil, scales: nil, packed: nil)
        #expect(vlm_pack_f8(&a) == VLM_BAD_SHAPE)
    }

    @Test("8-bit weights come back as they were packed", arguments: [(32, 96), (128, 128), (80, 80)])
    func eightBits(group: Int, inputs: Int) {
        var random = Dice(8)
        let outputs = 37, groups = inputs / group
        let codes = Guarded(outputs * inputs) { _ in UInt8.random(in: 0...255, using: &random) }
        let zeros = Guarded(outputs * groups) { _ in UInt16.random(in: 0...256, using: &random) }
        let scales = Guarded(outputs * groups) { _ in Float.random(in: 0.001...0.1, using: &random) }
        let packed = Guarded<UInt8>(vlm_weight_bytes(VLM_WEIGHT_INT8, Int64(outputs), Int64(inputs), Int64(group)), aligned: true) { _ in 0xff }
        var a = vlm_pack_int8_args(
            outputs: Int64(outputs), inputs: Int64(inputs), group: Int64(group), first: 0, count: Int64(outputs), codes: codes.pointer,
            scales: scales.pointer, zeros: zeros.pointer, packed: packed.pointer)
        #expect(vlm_pack_int8(&a) == VLM_OK)
        let expected = (0..<outputs * inputs).map { (Float(codes[$0]) - Float(zeros[$0 / group])) * scales[$0 / group] }
        for isa in featureSets {
            #expect(unpack(VLM_WEIGHT_INT8, packed, outputs: outputs, inputs: inputs, group: group, isa: isa) == expected)
        }
        zeros[3] = 257
        #expect(vlm_pack_int8(&a) == VLM_BAD_SHAPE)
        zeros[3] = 0
        for change: (inout vlm_pack_int8_args) -> Void in [
            { $0.group = 24 }, { $0.group = 0 }, { $0.inputs = 40 }, { $0.outputs = .max }, { $0.first = -1 }, { $0.first = 1 }, { $0.count = .min },
        ] {
            var damaged = a
            change(&damaged)
            #expect(vlm_pack_int8(&damaged) == VLM_BAD_SHAPE)
        }
    }

    @Test("rows outside the weight are refused")
    func refusals() {
        let source = Guarded<Float>(64) { _ in 1 }, packed = scratch(32 * 32 * 4)
        var a = vlm_pack_rows_args(
            format: VLM_WEIGHT_F32, source_type: VLM_F32, outputs: 2, inputs: 32, first: 1, count: 2, source: source.pointer,
            source_stride: 32, packed: packed.pointer)
        #expect(vlm_pack_rows(&a) == VLM_BAD_SHAPE)
        a.first = -1
        #expect(vlm_pack_rows(&a) == VLM_BAD_SHAPE)
    }

    @Test("columns outside the source are refused, however far", arguments: [(0, .min), (26, .min), (5, 4), (-1, 8), (0, 17), (.max, .max)])
    func columns(begin: Int64, end: Int64) {
        var a = vlm_pack_awq_args()
        (a.outputs, a.inputs, a.group, a.source_outputs) = (16, 32, 32, 16)
        (a.source_begin, a.source_end) = (begin, end)
        #expect(vlm_pack_awq(&a) == VLM_BAD_SHAPE)
    }
}
