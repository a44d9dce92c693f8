import CKernels
import Seeded
import Testing

/// A linear layer with its operands in guarded memory and its result in f64.
struct LinearCase: CustomTestStringConvertible {
    var kind: vlm_linear_kind
    var rows, inputs, outputs, group: Int
    var activation = VLM_ACTIVATION_NONE
    var residual = false
    var seed: UInt64 = 1

    /// The form in which the kind reads activations; nil for f32.
    var rowFormat: vlm_row_format? { vlm_linear_rows(kind) < 0 ? nil : vlm_row_format(UInt32(vlm_linear_rows(kind))) }

    var testDescription: String {
        "kind \(kind.rawValue) \(rows)×\(inputs)→\(outputs) group \(group) activation \(activation.rawValue) residual \(residual)"
    }
}

private func activate(_ activation: vlm_activation, _ x: Double) -> Double { reference(activation, x) }

final class LinearFixture {
    let c: LinearCase
    let x, bias, residual, y: Guarded<Float>
    let weight, packed, memory: Guarded<UInt8>
    var dense: [Double]  // [outputs, inputs], as the packed weight represents it

    init(_ c: LinearCase) {
        self.c = c
        var random = Dice(c.seed)
        let format = vlm_linear_format(c.kind)
        x = Guarded(random.floats(c.rows * c.inputs))
        bias = Guarded(random.floats(c.outputs))
        residual = Guarded(random.floats(c.rows * c.outputs))
        y = Guarded(c.rows * c.outputs) { _ in .nan }
        weight = Guarded(vlm_weight_bytes(format, Int64(c.outputs), Int64(c.inputs), Int64(c.group)), aligned: true) { _ in 0xff }
        let row = c.rowFormat.map { vlm_row_bytes($0, Int64(c.inputs), Int64(c.group)) } ?? 0
        packed = scratch(c.rows * row)
        memory = scratch(vlm_linear_scratch_bytes())
        dense = []
        switch format {
        case VLM_WEIGHT_INT4: dense = packInt4(c, &random, weight)
        case VLM_WEIGHT_INT8: dense = packInt8(c, &random, weight)
        case VLM_WEIGHT_F8: dense = packF8(c, &random, weight)
        case VLM_WEIGHT_F4: dense = packF4(c, &random, weight)
        default: dense = packRows(c, format, &random, weight)
        }
    }

    func arguments(isFar: Bool = false) -> vlm_linear_args {
        vlm_linear_args(
            kind: c.kind, activation: c.activation, rows: Int64(c.rows), inputs: Int64(c.inputs), outputs: Int64(c.outputs),
            group: Int64(c.group), x: x.pointer, x_stride: Int64(c.inputs), packed: c.rowFormat == nil ? nil : packed.pointer, weight: weight.pointer, bias: bias.pointer, residual: c.residual ? UnsafePointer(residual.pointer) : nil,
            residual_stride: Int64(c.outputs), y: y.pointer, y_stride: Int64(c.outputs), is_far: isFar, is_gated: false)
    }

    /// Packs some of all, or of the first `count`, activations where the kind reads them so.
    func pack(_ rows: Range<Int>, of count: Int? = nil, _ isa: vlm_isa) {
        guard let format = c.rowFormat else { return }
        var a = vlm_pack_activations_args(
            format: format, rows: Int64(count ?? c.rows), inputs: Int64(c.inputs), group: Int64(c.group), x: x.pointer, x_stride: Int64(c.inputs),
            packed: packed.pointer)
        #expect(vlm_pack_activations(&a, Int64(rows.lowerBound), Int64(rows.upperBound), isa) == VLM_OK)
    }

    /// Runs in two ranges of rows and of items, for near and for far memory, which must be the same.
    func run(_ isa: vlm_isa) -> [Float] {
        let far = run(isa, isFar: true), near = run(isa, isFar: false)
        #expect(far == near, "isa \(isa)")
        return near
    }

    private func run(_ isa: vlm_isa, isFar: Bool) -> [Float] {
        var a = arguments(isFar: isFar)
        let half = c.rows / 2, items = vlm_linear_items(&a, isa), middle = items / 3
        pack(0..<half, isa)
        pack(half..<c.rows, isa)
        #expect(vlm_linear(&a, 0, middle, memory.pointer, isa) == VLM_OK)
        #expect(vlm_linear(&a, middle, items, memory.pointer, isa) == VLM_OK)
        return y.values
    }

    func expected() -> [Double] {
        var result = [Double](repeating: 0, count: c.rows * c.outputs)
        for t in 0..<c.rows {
            for o in 0..<c.outputs {
                var sum = Double(bias[o])
                for k in 0..<c.inputs {
                    let value = x[t * c.inputs + k]
                    sum += Double(c.rowFormat == VLM_ROWS_BF16 ? bf16(value) : value) * dense[o * c.inputs + k]
                }
                result[t * c.outputs + o] = activate(c.activation, sum) + (c.residual ? Double(residual[t * c.outputs + o]) : 0)
            }
        }
        return result
    }
}

/// Packs random rows in two calls, the later rows first.
private func packRows(_ c: LinearCase, _ format: vlm_weight_format, _ random: inout Dice, _ weight: Guarded<UInt8>) -> [Double] {
    let source = Guarded(random.floats(c.outputs * c.inputs))
    let first = c.outputs / 3
    for (begin, count) in [(first, c.outputs - first), (0, first)] {
        var a = vlm_pack_rows_args(
            format: format, source_type: VLM_F32, outputs: Int64(c.outputs), inputs: Int64(c.inputs), first: Int64(begin),
            count: Int64(count), source: source.pointer + begin * c.inputs, source_stride: Int64(c.inputs), packed: weight.pointer)
        #expect(vlm_pack_rows(&a) == VLM_OK)
    }
    return source.values.map { Double(format == VLM_WEIGHT_BF16 ? bf16($0) : $0) }
}

private func packInt4(_ c: LinearCase, _ random: inout Dice, _ weight: Guarded<UInt8>) -> [Double] {
    let groups = c.inputs / c.group
    let q = Guarded(c.outputs * c.inputs) { _ in UInt8.random(in: 0...15, using: &random) }
    let zeros = Guarded(c.outputs * groups) { _ in UInt8.random(in: 0...15, using: &random) }
    let scales = Guarded(c.outputs * groups) { _ in Float16(Float.random(in: 0.001...0.1, using: &random)).bitPattern }
    var a = vlm_pack_int4_args(
        outputs: Int64(c.outputs), inputs: Int64(c.inputs), group: Int64(c.group), first: 0, count: Int64(c.outputs), q: q.pointer,
        scales: scales.pointer, zeros: zeros.pointer, packed: weight.pointer)
    #expect(vlm_pack_int4(&a) == VLM_OK)
    return (0..<c.outputs * c.inputs).map { i in
        let g = i / c.group
        return (Double(q[i]) - Double(zeros[g])) * Double(Float16(bitPattern: scales[g]))
    }
}

/// Packs random codes in two calls, the later outputs first.
private func packInt8(_ c: LinearCase, _ random: inout Dice, _ weight: Guarded<UInt8>) -> [Double] {
    let groups = c.inputs / c.group
    let codes = Guarded(c.outputs * c.inputs) { _ in UInt8.random(in: 0...255, using: &random) }
    let zeros = Guarded(c.outputs * groups) { _ in UInt16.random(in: 0...256, using: &random) }
    let scales = Guarded(c.outputs * groups) { _ in Float.random(in: 0.0001...0.01, using: &random) }
    pack8(c, codes, scales, zeros, weight)
    return (0..<c.outputs * c.inputs).map { i in
        let g = i / c.group
        return (Double(codes[i]) - Double(zeros[g])) * Double(scales[g])
    }
}

private func pack8(_ c: LinearCase, _ codes: Guarded<UInt8>, _ scales: Guarded<Float>, _ zeros: Guarded<UInt16>, _ weight: Guarded<UInt8>) {
    let groups = c.inputs / c.group, first = c.outputs / 3
    for (begin, count) in [(first, c.outputs - first), (0, first)] {
        var a = vlm_pack_int8_args(
            outputs: Int64(c.outputs), inputs: Int64(c.inputs), group: Int64(c.group), first: Int64(begin), count: Int64(count),
            codes: codes.pointer + begin * c.inputs, scales: scales.pointer + begin * groups, zeros: zeros.pointer + begin * groups,
            packed: weight.pointer)
        #expect(vlm_pack_int8(&a) == VLM_OK)
    }
}

/// Packs random e4m3 codes in two calls, the later outputs first.
private func packF8(_ c: LinearCase, _ random: inout Dice, _ weight: Guarded<UInt8>) -> [Double] {
    let groups = (c.inputs + c.group - 1) / c.group
    let codes = Guarded(c.outputs * c.inputs) { _ in
        let code = UInt8.random(in: 0...255, using: &random)
        return code & 0x7f == 0x7f ? 0x7e : code
    }
    let scales = Guarded(c.outputs * groups) { _ in Float.random(in: 0.00001...0.001, using: &random) }
    let first = c.outputs / 3
    for (begin, count) in [(first, c.outputs - first), (0, first)] {
        var a = vlm_pack_f8_args(
            outputs: Int64(c.outputs), inputs: Int64(c.inputs), group: Int64(c.group), first: Int64(begin), count: Int64(count),
            codes: codes.pointer + begin * c.inputs, scales: scales.pointer + begin * groups, packed: weight.pointer)
        #expect(vlm_pack_f8(&a) == VLM_OK)
    }
    return (0..<c.outputs * c.inputs).map { i in
        let value = e4m3(codes[i]) * Double(scales[i / c.inputs * groups + i % c.inputs / c.group])
        return c.rowFormat == VLM_ROWS_BF16 ? Double(bf16(Float(value))) : value
    }
}

/// Packs random e2m1 codes in two calls, the later outputs first.
private func packF4(_ c: LinearCase, _ random: inout Dice, _ weight: Guarded<UInt8>) -> [Double] {
    let groups = c.inputs / c.group, width = c.inputs / 2
    let codes = Guarded(c.outputs * width) { _ in UInt8.random(in: 0...255, using: &random) }
    // Near 1, in all of the format's fractions; a few are tiny.
    let scales = Guarded(c.outputs * groups) { _ in
        c.group == 16 ? UInt8.random(in: 0...9, using: &random) == 0 ? 3 : UInt8.random(in: 0x30...0x48, using: &random) : UInt8.random(in: 122...130, using: &random)
    }
    let outputScales = Guarded(c.outputs) { _ in Float.random(in: 0.001...0.1, using: &random) }
    let first = c.outputs / 3
    for (begin, count) in [(first, c.outputs - first), (0, first)] {
        var a = vlm_pack_f4_args(
            outputs: Int64(c.outputs), inputs: Int64(c.inputs), group: Int64(c.group), first: Int64(begin), count: Int64(count),
            codes: codes.pointer + begin * width, scales: scales.pointer + begin * groups, output_scales: outputScales.pointer + begin,
            packed: weight.pointer)
        #expect(vlm_pack_f4(&a) == VLM_OK)
    }
    return (0..<c.outputs * c.inputs).map { i in
        let (o, k) = (i / c.inputs, i % c.inputs), scale = scales[o * groups + k / c.group]
        let code = e2m1(codes[i / 2] >> UInt8(4 * (k % 2)) & 15)
        return code * (c.group == 16 ? e4m3(scale) : e8m0(scale)) * Double(outputScales[o])
    }
}

@Suite struct LinearTests {
    static let kinds = [
        VLM_LINEAR_BF16_F32, VLM_LINEAR_BF16_BF16, VLM_LINEAR_F32_F32, VLM_LINEAR_INT4_F32, VLM_LINEAR_INT4_INT8,
        VLM_LINEAR_F8_F32, VLM_LINEAR_F4_F32, VLM_LINEAR_F8_BF16, VLM_LINEAR_F4_INT8, VLM_LINEAR_INT8_F32, VLM_LINEAR_INT8_INT8,
        VLM_LINEAR_BF16_INT16,
    ]

    private static func isInt4(_ kind: vlm_linear_kind) -> Bool { vlm_linear_format(kind) == VLM_WEIGHT_INT4 }
    private static func isInt8(_ kind: vlm_linear_kind) -> Bool { vlm_linear_format(kind) == VLM_WEIGHT_INT8 }
    private static func hasIntegers(_ kind: vlm_linear_kind) -> Bool { [VLM_ROWS_INT8, VLM_ROWS_INT8_BLOCKS].contains { vlm_linear_rows(kind) == Int32($0.rawValue) } }

    private static func usualGroup(_ kind: vlm_linear_kind) -> Int { vlm_linear_format(kind) == VLM_WEIGHT_F4 ? 16 : 64 }

    private static func groups(_ kind: vlm_linear_kind) -> [Int] {
        switch vlm_linear_format(kind) {
        case VLM_WEIGHT_INT4, VLM_WEIGHT_INT8: [32, 64, 128]
        case VLM_WEIGHT_F4: [16, 32]
        default: [16, 32, 64, 128]
        }
    }

    /// Whether inputs come in whole groups.
    private static func isWhole(_ kind: vlm_linear_kind) -> Bool { isInt4(kind) || isInt8(kind) || vlm_linear_format(kind) == VLM_WEIGHT_F4 }

    private static func cases(_ kind: vlm_linear_kind, seed: UInt64) -> [LinearCase] {
        var random = Dice(seed), cases: [LinearCase] = []
        for rows in [1, 2, 3, 4, 5, 6, 7, 8, 11, 12, 13, 16, 17, 24, 25, 37, 200] {
            var group = groups(kind).randomElement(using: &random)!
            var inputs = isWhole(kind) ? group * Int.random(in: 1...(rows < 20 ? 12 : 4), using: &random) : Int.random(in: 1...(rows < 20 ? 1300 : 300), using: &random)
            // Rows of 8-bit weights may have one scale.
            if isInt8(kind), rows % 2 == 1 { (group, inputs) = (inputs + 16, inputs + 16) }
            let activation = vlm_activation(rawValue: UInt32.random(in: 0...4, using: &random))
            cases.append(LinearCase(
                kind: kind, rows: rows, inputs: inputs, outputs: Int.random(in: 1...100, using: &random), group: group,
                activation: activation, residual: Bool.random(using: &random), seed: random.next()))
        }
        return cases
    }

    @Test("every version agrees with f64 mathematics", arguments: kinds.map(\.rawValue))
    func matchesReference(kind: UInt32) {
        for c in Self.cases(vlm_linear_kind(rawValue: kind), seed: UInt64(kind) + 7) {
            let fixture = LinearFixture(c), expected = fixture.expected()
            for isa in featureSets {
                let error = relativeError(fixture.run(isa), expected)
                #expect(error < (Self.hasIntegers(c.kind) ? 0.06 : c.kind == VLM_LINEAR_BF16_INT16 ? 2e-3 : 2e-5), "\(c.testDescription) isa \(isa)")
            }
        }
    }

    @Test("int4 integer arithmetic agrees with generic to f32 rounding")
    func integerMatchesGeneric() {
        for c in Self.cases(VLM_LINEAR_INT4_INT8, seed: 99) {
            let fixture = LinearFixture(c), generic = fixture.run(VLM_ISA_GENERIC).map(Double.init)
            for isa in featureSets { #expect(relativeError(fixture.run(isa), generic) < 2e-5, "\(c.testDescription) isa \(isa)") }
        }
    }

    @Test("int4 integer arithmetic is the same bits on every instruction set with vectors")
    func integersAreTheSameBits() {
        for var c in Self.cases(VLM_LINEAR_INT4_INT8, seed: 17) {
            c.activation = VLM_ACTIVATION_NONE
            let fixture = LinearFixture(c), vectors = featureSets.dropFirst(), first = vectors.first.map(fixture.run)
            for isa in vectors.dropFirst() { #expect(fixture.run(isa) == first, "\(c.testDescription) isa \(isa)") }
        }
    }

    @Test("integer arithmetic is the same bits on every instruction set, the generic one included",
        arguments: [VLM_LINEAR_INT8_INT8, VLM_LINEAR_F4_INT8, VLM_LINEAR_BF16_INT16].map(\.rawValue))
    func allAreTheSameBits(kind: UInt32) {
        for var c in [23, 24].flatMap({ Self.cases(vlm_linear_kind(rawValue: kind), seed: $0) }) {
            c.activation = VLM_ACTIVATION_NONE
            let fixture = LinearFixture(c), generic = fixture.run(VLM_ISA_GENERIC)
            for isa in featureSets { #expect(fixture.run(isa) == generic, "\(c.testDescription) isa \(isa)") }
        }
    }

    /// Every product and every sum of products is as far from zero as it can be, to the last input that a group may have.
    @Test("8-bit sums have room for the greatest numbers", arguments: [(32, 64), (128, 256), (656, 656), (1 << 16, 1 << 16)], [
        (UInt8(255), UInt16(0)), (0, 256), (255, 255), (0, 0), (255, 128), (1, 128),
    ])
    func eightBitsHaveRoom(shape: (group: Int, inputs: Int), levels: (code: UInt8, zero: UInt16)) {
        let (rows, inputs, outputs) = (7, shape.inputs, 33)
        let c = LinearCase(kind: VLM_LINEAR_INT8_INT8, rows: rows, inputs: inputs, outputs: outputs, group: shape.group)
        let fixture = LinearFixture(c), groups = inputs / shape.group
        let codes = Guarded(outputs * inputs) { _ in levels.code }, zeros = Guarded(outputs * groups) { _ in levels.zero }
        pack8(c, codes, Guarded(outputs * groups) { _ in 1 }, zeros, fixture.weight)
        for i in 0..<fixture.x.count { fixture.x[i] = i / inputs % 2 == 0 ? 127 : -127 }
        for isa in featureSets {
            let y = fixture.run(isa)
            for t in 0..<rows {
                let part = Float((t % 2 == 0 ? 127 : -127) * shape.group * (Int(levels.code) - Int(levels.zero)))
                let sum = (0..<groups).reduce(Float(0)) { sum, _ in sum + part }
                for o in 0..<outputs { #expect(y[t * outputs + o] == sum + fixture.bias[o], "isa \(isa) row \(t) output \(o)") }
            }
        }
    }

    @Test("a row with one scale is the same bits among any number of rows", arguments: [VLM_LINEAR_INT8_INT8, VLM_LINEAR_INT8_F32].map(\.rawValue))
    func rowsOfOneScaleDoNotMeet(kind: UInt32) {
        let most = 60, c = LinearCase(kind: vlm_linear_kind(rawValue: kind), rows: most, inputs: 1328, outputs: 70, group: 1328)
        let fixture = LinearFixture(c)
        for isa in featureSets {
            let all = fixture.run(isa)
            for rows in 1..<most {
                var a = fixture.arguments()
                a.rows = Int64(rows)
                #expect(vlm_linear(&a, 0, vlm_linear_items(&a, isa), fixture.memory.pointer, isa) == VLM_OK)
                #expect(fixture.y.values[..<(rows * c.outputs)] == all[..<(rows * c.outputs)], "isa \(isa), \(rows) rows")
            }
        }
    }

    /// Every product and every sum of products is as far from zero as it can be.
    @Test("integer sums have room for the greatest numbers", arguments: [32, 64, 128], [(UInt8(15), UInt8(0)), (0, 15), (15, 15), (0, 0)])
    func integersHaveRoom(group: Int, levels: (q: UInt8, zero: UInt8)) {
        let (rows, inputs, outputs) = (7, 2 * group, 40)
        let fixture = LinearFixture(LinearCase(kind: VLM_LINEAR_INT4_INT8, rows: rows, inputs: inputs, outputs: outputs, group: group))
        let q = Guarded(outputs * inputs) { _ in levels.q }, zeros = Guarded(outputs * 2) { _ in levels.zero }
        let scales = Guarded(outputs * 2) { _ in Float16(1).bitPattern }
        var packing = vlm_pack_int4_args(
            outputs: Int64(outputs), inputs: Int64(inputs), group: Int64(group), first: 0, count: Int64(outputs), q: q.pointer,
            scales: scales.pointer, zeros: zeros.pointer, packed: fixture.weight.pointer)
        #expect(vlm_pack_int4(&packing) == VLM_OK)
        for i in 0..<fixture.x.count { fixture.x[i] = i / inputs % 2 == 0 ? 127 : -127 }
        for isa in featureSets {
            let y = fixture.run(isa)
            for t in 0..<rows {
                let sum = Float((t % 2 == 0 ? 127 : -127) * inputs * (Int(levels.q) - Int(levels.zero)))
                for o in 0..<outputs { #expect(y[t * outputs + o] == sum + fixture.bias[o], "isa \(isa) row \(t) output \(o)") }
            }
        }
    }

    @Test("sums of e2m1 have room for the greatest numbers", arguments: [(16, UInt8(0x38)), (16, 0x7e), (16, 0xfe), (16, 1), (32, 127), (32, 160), (32, 1)],
        [UInt8(0x77), 0xff, 0])
    func smallFloatsHaveRoom(scaled: (group: Int, by: UInt8), codes: UInt8) {
        let group = scaled.group, scale = Float(group == 16 ? e4m3(scaled.by) : e8m0(scaled.by))
        let (rows, inputs, outputs) = (7, 160, 40), groups = inputs / group
        let fixture = LinearFixture(LinearCase(kind: VLM_LINEAR_F4_INT8, rows: rows, inputs: inputs, outputs: outputs, group: group))
        let bytes = Guarded(outputs * inputs / 2) { _ in codes }, scales = Guarded(outputs * groups) { _ in scaled.by }
        let outputScales = Guarded<Float>(outputs) { _ in 1 }
        var packing = vlm_pack_f4_args(
            outputs: Int64(outputs), inputs: Int64(inputs), group: Int64(group), first: 0, count: Int64(outputs), codes: bytes.pointer,
            scales: scales.pointer, output_scales: outputScales.pointer, packed: fixture.weight.pointer)
        #expect(vlm_pack_f4(&packing) == VLM_OK)
        for i in 0..<fixture.x.count { fixture.x[i] = i / inputs % 2 == 0 ? 127 : -127 }
        for isa in featureSets {
            let y = fixture.run(isa)
            for t in 0..<rows {
                let sum = Float((t % 2 == 0 ? 127 : -127) * inputs) * Float(e2m1(codes & 15)) * scale
                for o in 0..<outputs { #expect(y[t * outputs + o] == sum + fixture.bias[o], "isa \(isa) row \(t) output \(o)") }
            }
        }
    }

    /// A group whose scale is below 2⁻¹³ of the block's greatest adds nothing; what is above counts to the unit.
    @Test("scales of e2m1 far apart in a block", arguments: [16, 32])
    func smallFloatsFarApart(group: Int) {
        let (rows, inputs, outputs) = (3, 256, 33), groups = inputs / group
        let fixture = LinearFixture(LinearCase(kind: VLM_LINEAR_F4_INT8, rows: rows, inputs: inputs, outputs: outputs, group: group))
        let bytes = Guarded<UInt8>(outputs * inputs / 2) { _ in 0x22 }, outputScales = Guarded<Float>(outputs) { _ in 1 }
        let scales = Guarded(outputs * groups) { i in group == 16 ? UInt8(1 + 16 * (i % groups) % 120) : UInt8(100 + 9 * (i % groups) % 30) }
        var packing = vlm_pack_f4_args(
            outputs: Int64(outputs), inputs: Int64(inputs), group: Int64(group), first: 0, count: Int64(outputs), codes: bytes.pointer,
            scales: scales.pointer, output_scales: outputScales.pointer, packed: fixture.weight.pointer)
        #expect(vlm_pack_f4(&packing) == VLM_OK)
        for i in 0..<fixture.x.count { fixture.x[i] = 127 }
        let values = scales.values[..<groups].map { group == 16 ? e4m3($0) : e8m0($0) }
        for isa in featureSets {
            let y = fixture.run(isa)
            for (i, value) in y.enumerated() {
                let expected = values.reduce(0) { $0 + $1 * Double(127 * group) } + Double(fixture.bias[i % outputs])
                let least = values.max()! * 0x1p-12 * Double(127 * inputs) / 2
                #expect(abs(Double(value) - expected) <= least + abs(expected) * 1e-6, "isa \(isa) \(i)")
            }
        }
    }

    @Test("many panels, several blocks of rows and of inputs", arguments: kinds.map(\.rawValue))
    func blocks(kind: UInt32) {
        let kind = vlm_linear_kind(rawValue: kind)
        let fixture = LinearFixture(LinearCase(kind: kind, rows: 205, inputs: 1152, outputs: 330, group: Self.usualGroup(kind), seed: 5))
        let generic = fixture.run(VLM_ISA_GENERIC).map(Double.init)
        for isa in featureSets { #expect(relativeError(fixture.run(isa), generic) < 2e-5, "isa \(isa)") }
    }

    @Test("the residual may be the result itself", arguments: kinds.map(\.rawValue))
    func residualInPlace(kind: UInt32) {
        let c = LinearCase(kind: vlm_linear_kind(rawValue: kind), rows: 30, inputs: 640, outputs: 45, group: 32, residual: true, seed: 3)
        let fixture = LinearFixture(c), expected = fixture.run(VLM_ISA_GENERIC)
        for isa in featureSets {
            for i in 0..<fixture.y.count { fixture.y[i] = fixture.residual[i] }
            var a = fixture.arguments()
            a.residual = UnsafePointer(fixture.y.pointer)
            fixture.pack(0..<c.rows, isa)
            #expect(vlm_linear(&a, 0, vlm_linear_items(&a, isa), fixture.memory.pointer, isa) == VLM_OK)
            #expect(relativeError(fixture.y.values, expected.map(Double.init)) < 2e-5, "isa \(isa)")
        }
    }

    /// What a sequence says may not depend on which others are in the batch.
    @Test("a row is the same bits among any number of rows", arguments: kinds.map(\.rawValue), [(130, 32), (256, 128)])
    func rowsDoNotMeet(kind: UInt32, shape: (outputs: Int, inputs: Int)) {
        let kind = vlm_linear_kind(rawValue: kind), most = 60
        let inputs = Self.isWhole(kind) ? 4 * shape.inputs : 4 * shape.inputs + 1
        let fixture = LinearFixture(LinearCase(kind: kind, rows: most, inputs: inputs, outputs: shape.outputs, group: Self.usualGroup(kind), residual: true))
        for isa in featureSets {
            let all = fixture.run(isa)
            for rows in 1..<most {
                var a = fixture.arguments()
                a.rows = Int64(rows)
                fixture.pack(0..<rows, of: rows, isa)
                #expect(vlm_linear(&a, 0, vlm_linear_items(&a, isa), fixture.memory.pointer, isa) == VLM_OK)
                let count = rows * shape.outputs
                #expect(fixture.y.values[..<count] == all[..<count], "isa \(isa), \(rows) rows")
            }
        }
    }

    @Test("every e4m3 code times a scale is rounded once, whether outputs share the scale or not", arguments: [
        Float(0.0137), -0.37, 1, 0x1.fep-90, 0x1.1p-80, 0x1.7p90, 0x1.01p100,
    ])
    func roundsCodes(scale: Float) {
        let inputs = 256, outputs = 64, most = 40
        let codes = Guarded<UInt8>(outputs * inputs) { $0 % inputs & 0x7f == 0x7f ? 0 : UInt8($0 % inputs) }
        let scales = Guarded<Float>(outputs * 2) { $0 == 2 * outputs - 1 ? scale / 2 : scale }
        let weight = Guarded<UInt8>(vlm_weight_bytes(VLM_WEIGHT_F8, Int64(outputs), Int64(inputs), 128), aligned: true) { _ in 0 }
        var pack = vlm_pack_f8_args(
            outputs: Int64(outputs), inputs: Int64(inputs), group: 128, first: 0, count: Int64(outputs), codes: codes.pointer, scales: scales.pointer,
            packed: weight.pointer)
        #expect(vlm_pack_f8(&pack) == VLM_OK)
        let memory = scratch(vlm_linear_scratch_bytes()), y = Guarded<Float>(most * outputs) { _ in .nan }
        let packed = Guarded<UInt8>(most * vlm_row_bytes(VLM_ROWS_BF16, Int64(inputs), 128), aligned: true) { _ in 0 }
        for isa in featureSets {
            for (rows, first) in [(1, 0), (1, 77), (7, 120), (20, 100), (most, 0), (most, 200)] {
                let x = Guarded<Float>(rows * inputs) { $0 % inputs == first + $0 / inputs ? 1 : 0 }
                var a = vlm_pack_activations_args(
                    format: VLM_ROWS_BF16, rows: Int64(rows), inputs: Int64(inputs), group: 128, x: x.pointer, x_stride: Int64(inputs),
                    packed: packed.pointer)
                #expect(vlm_pack_activations(&a, 0, Int64(rows), isa) == VLM_OK)
                var layer = vlm_linear_args()
                (layer.kind, layer.rows, layer.inputs, layer.outputs, layer.group) = (VLM_LINEAR_F8_BF16, Int64(rows), Int64(inputs), Int64(outputs), 128)
                (layer.weight, layer.packed) = (UnsafeRawPointer(weight.pointer), UnsafeRawPointer(packed.pointer))
                (layer.x, layer.x_stride, layer.y, layer.y_stride) = (UnsafePointer(x.pointer), Int64(inputs), y.pointer, Int64(outputs))
                #expect(vlm_linear(&layer, 0, vlm_linear_items(&layer, isa), memory.pointer, isa) == VLM_OK)
                let wrong = (0..<rows * outputs).filter { i in
                    let (k, o) = (first + i / outputs, i % outputs)
                    return y[i] != bf16(Float(e4m3(codes[o * inputs + k]) * Double(scales[2 * o + k / 128])))
                }
                #expect(wrong.isEmpty, "isa \(isa), \(rows) rows, codes \(wrong.prefix(8).map { first + $0 / outputs })")
            }
        }
    }

    @Test("the dispatcher takes the last version whose features are there")
    func versions() {
        let all = VLM_ISA_AVX2 | VLM_ISA_AVX_VNNI | VLM_ISA_AVX512 | VLM_ISA_AVX512_VNNI | VLM_ISA_AVX512_BF16, tiles = all | VLM_ISA_AMX
        for kind in Self.kinds {
            #expect(String(cString: vlm_linear_version_name(kind, VLM_ISA_GENERIC)).hasSuffix("_generic"))
            #expect(String(cString: vlm_linear_version_name(kind, VLM_ISA_AVX512)).hasSuffix("_generic"), "AVX-512 without AVX2 is not enough")
            #if arch(x86_64)
            #expect(String(cString: vlm_linear_version_name(kind, all)).contains("_avx512"))
            let hasTiles = [VLM_LINEAR_INT4_INT8, VLM_LINEAR_INT8_INT8, VLM_LINEAR_BF16_BF16, VLM_LINEAR_F8_BF16].contains(kind)
            #expect(String(cString: vlm_linear_version_name(kind, tiles)).hasSuffix("_amx") == hasTiles)
            #elseif arch(arm64)
            let hasOwn = vlm_linear_rows(kind) != Int32(VLM_ROWS_BF16.rawValue)
            #expect(String(cString: vlm_linear_version_name(kind, VLM_ISA_NEON | VLM_ISA_NEON_DOT)).contains("_neon") == hasOwn)
            #endif
        }
        #expect(vlm_linear_version_name(vlm_linear_kind(rawValue: 99), all) == nil)
    }

    @Test("wrong shapes, ranges and alignments are refused")
    func refusals() {
        let fixture = LinearFixture(LinearCase(kind: VLM_LINEAR_INT4_INT8, rows: 2, inputs: 64, outputs: 40, group: 32))
        var a = fixture.arguments()
        #expect(vlm_linear(&a, 0, 3, fixture.memory.pointer, 0) == VLM_BAD_SHAPE)
        #expect(vlm_linear(&a, 0, 2, fixture.memory.pointer + 4, 0) == VLM_BAD_ALIGNMENT)
        a.group = 48
        #expect(vlm_linear(&a, 0, 2, fixture.memory.pointer, 0) == VLM_BAD_SHAPE)
        a = fixture.arguments()
        a.packed = nil
        #expect(vlm_linear(&a, 0, 2, fixture.memory.pointer, 0) == VLM_BAD_SHAPE)
        var rows = vlm_pack_activations_args(
            format: VLM_ROWS_INT8, rows: 2, inputs: 64, group: 32, x: fixture.x.pointer, x_stride: 64, packed: fixture.packed.pointer)
        #expect(vlm_pack_activations(&rows, 0, 3, 0) == VLM_BAD_SHAPE && vlm_pack_activations(&rows, -1, 2, 0) == VLM_BAD_SHAPE)
        rows.packed = UnsafeMutableRawPointer(fixture.packed.pointer) + 4
        #expect(vlm_pack_activations(&rows, 0, 2, 0) == VLM_BAD_ALIGNMENT)
        for (inputs, group) in [(64, 24), (64, 0), (100, 32), (0, 32), (-32, 32)] {
            #expect(vlm_row_bytes(VLM_ROWS_INT8, Int64(inputs), Int64(group)) == 0)
        }
        #expect(vlm_weight_bytes(VLM_WEIGHT_F32, .max, .max, 0) == 0)
        #expect(vlm_weight_bytes(VLM_WEIGHT_INT4, 32, 100, 32) == 0)
        for (inputs, group) in [(64, 48), (64, 0), (40, 40), (1 << 17, 1 << 17), (1 << 17, 128), (256, 16)] {
            #expect(vlm_weight_bytes(VLM_WEIGHT_INT8, 32, Int64(inputs), Int64(group)) == 0)
        }
        #expect(vlm_weight_bytes(VLM_WEIGHT_INT8, 33, 48, 48) == 2 * (48 * 32 + 192))
        #expect(vlm_weight_bytes(VLM_WEIGHT_F4, 32, 100, 16) == 0 && vlm_weight_bytes(VLM_WEIGHT_F4, 32, 64, 0) == 0)
        for group: Int64 in [-16, 0, 8, 48, 256] { #expect(vlm_weight_bytes(VLM_WEIGHT_F8, 32, 256, group) == 0) }
        #expect(vlm_weight_bytes(VLM_WEIGHT_F8, 33, 37, 32) == 2 * (37 * 32 + 2 * 128))
    }
}
