import CKernels
import Seeded
import Testing

/// Weights that make screening hard.
private enum Rows: String, CaseIterable {
    case random, nearTies, equal, zeros, outliers, tiny, huge, notFinite

    func values(outputs: Int, inputs: Int, _ random: inout Dice) -> [Float] {
        let base = random.floats(inputs)
        return (0..<outputs).flatMap { output -> [Float] in
            switch self {
            case .random: return random.floats(inputs)
            case .nearTies: return base.map { $0 + Float.random(in: -0.004...0.004, using: &random) }
            case .equal: return output % 3 == 0 ? random.floats(inputs) : base
            case .zeros: return output % 5 == 0 ? random.floats(inputs, in: -0.001...0) : Array(repeating: 0, count: inputs)
            case .outliers:
                var row = random.floats(inputs)
                row[output % inputs] = output % 2 == 0 ? 3000 : -3000
                return row
            case .tiny: return random.floats(inputs).map { $0 * (output % 2 == 0 ? 0x1p-126 : 0x1p-90) }
            case .huge: return random.floats(inputs).map { $0 * (output % 7 == 0 ? 0x1p100 : 0x1p40) }
            case .notFinite:
                var row = random.floats(inputs)
                if output % 11 == 0 { row[output % inputs] = [Float.infinity, -.infinity, .nan][output % 3] }
                return row
            }
        }
    }
}

/// A layer with both weights, its outputs by vlm_linear and by screening.
private final class Screening {
    let kind: vlm_linear_kind
    let rows, inputs, outputs, panels: Int
    let x, exact, y, lower, upper: Guarded<Float>
    let weight, screen, packed, coded, memory: Guarded<UInt8>
    let chosen: Guarded<Int32>
    let isa: vlm_isa

    init(_ kind: vlm_linear_kind, rows: Int, inputs: Int, outputs: Int, weights: [Float], x values: [Float], isa: vlm_isa) {
        (self.kind, self.rows, self.inputs, self.outputs, self.isa) = (kind, rows, inputs, outputs, isa)
        panels = Int(vlm_panels(Int64(outputs)))
        x = Guarded(values)
        (exact, y) = (Guarded(rows * outputs) { _ in .nan }, Guarded(rows * outputs) { _ in .nan })
        (lower, upper) = (Guarded(rows * panels) { _ in .nan }, Guarded(rows * panels) { _ in .nan })
        chosen = Guarded(panels) { _ in -1 }
        memory = scratch(vlm_linear_scratch_bytes())
        packed = scratch(rows * vlm_row_bytes(VLM_ROWS_BF16, Int64(inputs), 0))
        coded = scratch(rows * vlm_screen_row_bytes(Int64(inputs)))
        func pack(_ format: vlm_weight_format) -> Guarded<UInt8> {
            let result = scratch(vlm_weight_bytes(format, Int64(outputs), Int64(inputs), 0)), source = Guarded(weights)
            for (begin, end) in [(outputs / 2, outputs), (0, outputs / 2)] {
                var a = vlm_pack_rows_args(
                    format: format, source_type: VLM_F32, outputs: Int64(outputs), inputs: Int64(inputs), first: Int64(begin),
                    count: Int64(end - begin), source: source.pointer + begin * inputs, source_stride: Int64(inputs), packed: result.pointer)
                #expect(vlm_pack_rows(&a) == VLM_OK)
            }
            return result
        }
        (weight, screen) = (pack(VLM_WEIGHT_BF16), pack(VLM_WEIGHT_SCREEN))
    }

    private var readsPacked: Bool { vlm_linear_rows(kind) >= 0 }

    func linear(rows: Int, to y: Guarded<Float>) -> vlm_linear_args {
        var a = vlm_linear_args()
        (a.kind, a.rows, a.inputs, a.outputs) = (kind, Int64(rows), Int64(inputs), Int64(outputs))
        (a.x, a.x_stride, a.weight, a.y, a.y_stride) = (UnsafePointer(x.pointer), Int64(inputs), UnsafeRawPointer(weight.pointer), y.pointer, Int64(outputs))
        if readsPacked { a.packed = UnsafeRawPointer(packed.pointer) }
        return a
    }

    func arguments(rows: Int) -> vlm_screen_args {
        vlm_screen_args(
            rows: Int64(rows), inputs: Int64(inputs), outputs: Int64(outputs), x: readsPacked ? nil : UnsafePointer(x.pointer),
            x_stride: Int64(inputs), packed: readsPacked ? UnsafeRawPointer(packed.pointer) : nil, coded: coded.pointer, weight: screen.pointer,
            y: y.pointer, y_stride: Int64(outputs), lower: lower.pointer, upper: upper.pointer, is_far: false)
    }

    /// All outputs by vlm_linear, and the scores; in two ranges of rows and panels.
    func score(rows: Int) {
        if readsPacked {
            var a = vlm_pack_activations_args(
                format: VLM_ROWS_BF16, rows: Int64(rows), inputs: Int64(inputs), group: 0, x: x.pointer, x_stride: Int64(inputs), packed: packed.pointer)
            #expect(vlm_pack_activations(&a, 0, Int64(rows), isa) == VLM_OK)
        }
        var linear = linear(rows: rows, to: exact), a = arguments(rows: rows)
        #expect(vlm_linear(&linear, 0, Int64(panels), memory.pointer, isa) == VLM_OK)
        let half = Int64(rows / 2), middle = Int64(panels / 3)
        #expect(vlm_screen_code(&a, 0, half, isa) == VLM_OK && vlm_screen_code(&a, half, Int64(rows), isa) == VLM_OK)
        #expect(vlm_screen(&a, middle, Int64(panels), isa) == VLM_OK)
        a.is_far = true
        #expect(vlm_screen(&a, 0, middle, isa) == VLM_OK)
    }

    /// Computes the chosen panels over the scores; returns how many they are.
    func compute(rows: Int, wanted: [Int32], reach: [Float]) -> Int {
        let (wanted, reach) = (Guarded(wanted), Guarded(reach))
        var choice = vlm_screen_choice(
            rows: Int64(rows), panels: Int64(panels), lower: lower.pointer, upper: upper.pointer, wanted: wanted.pointer, reach: reach.pointer,
            chosen: chosen.pointer)
        let count = Int(vlm_screen_choose(&choice))
        var a = linear(rows: rows, to: y)
        for index in 0..<max(count, 0) {
            let panel = Int64(chosen[index])
            #expect(vlm_linear(&a, panel, panel + 1, memory.pointer, isa) == VLM_OK)
        }
        return count
    }

    func row(_ values: Guarded<Float>, _ row: Int) -> ArraySlice<Float> { values.values[row * outputs..<(row + 1) * outputs] }
}

/// The first index of the greatest number, passing over NaN.
private func argmax(_ values: ArraySlice<Float>) -> Int? {
    let numbers = values.enumerated().filter { !$0.element.isNaN }
    return numbers.max { $0.element < $1.element || ($0.element == $1.element && $0.offset > $1.offset) }?.offset
}

@Suite struct ScreenTests {
    static let kinds = [VLM_LINEAR_BF16_F32.rawValue, VLM_LINEAR_BF16_BF16.rawValue]
    private static let shapes = [(inputs: 1, outputs: 1), (inputs: 3, outputs: 40), (inputs: 130, outputs: 300), (inputs: 1537, outputs: 203)]

    private func screening(
        _ kind: UInt32, rows: Int, _ shape: (inputs: Int, outputs: Int), _ weights: Rows, isa: vlm_isa, outlier: Float = 1
    ) -> Screening {
        var random = Dice(UInt64(shape.inputs * 31 + shape.outputs))
        let values = weights.values(outputs: shape.outputs, inputs: shape.inputs, &random)
        var x = random.floats(rows * shape.inputs)
        for index in stride(from: 0, to: x.count, by: 97) { x[index] *= outlier }
        return Screening(
            vlm_linear_kind(rawValue: kind), rows: rows, inputs: shape.inputs, outputs: shape.outputs, weights: values, x: x, isa: isa)
    }

    @Test("bounds hold, and the greatest outputs are the same bits", arguments: kinds, Rows.allCases.map(\.rawValue))
    func agrees(kind: UInt32, weights: String) throws {
        let weights = try #require(Rows(rawValue: weights))
        for (shape, outlier) in zip(Self.shapes, [1, 50, 1, 400] as [Float]) {
            for isa in featureSets {
                let rows = 5, s = screening(kind, rows: rows, shape, weights, isa: isa, outlier: outlier)
                let what: Comment = "kind \(kind) \(weights) \(shape) isa \(isa)"
                s.score(rows: rows)
                expectBounds(s, rows, what)
                let wanted: [Int32] = [1, 7, -1, 50, 1], reach: [Float] = [0, 0, 0, 0, 0.25]
                _ = s.compute(rows: rows, wanted: wanted, reach: reach)
                for row in 0..<rows where wanted[row] > 0 {
                    let exact = s.row(s.exact, row), ours = s.row(s.y, row)
                    #expect(argmax(exact) == argmax(ours), what)
                    let limit = exact.filter { !$0.isNaN }.sorted(by: >).prefix(Int(wanted[row])).last.map { $0 - reach[row] } ?? .infinity
                    for (e, o) in zip(exact, ours) where e >= limit || o >= limit { #expect(e.bitPattern == o.bitPattern, what) }
                }
            }
        }
    }

    /// No output is above its panel's bound, and one is not below the other bound.
    private func expectBounds(_ s: Screening, _ rows: Int, _ what: Comment) {
        for row in 0..<rows {
            for panel in 0..<s.panels {
                let outputs = s.row(s.exact, row).dropFirst(panel * Int(VLM_PANEL)).prefix(Int(VLM_PANEL)).filter { !$0.isNaN }
                let (lower, upper) = (s.lower[row * s.panels + panel], s.upper[row * s.panels + panel])
                #expect(!lower.isNaN && !upper.isNaN, what)
                guard let most = outputs.max() else { continue }
                #expect(most <= upper, what)
                #expect(lower <= most || outputs.count < min(Int(VLM_PANEL), s.outputs - panel * Int(VLM_PANEL)), what)
            }
        }
    }

    @Test("a row is the same bits among any number of rows", arguments: kinds)
    func rowsDoNotMeet(kind: UInt32) {
        for isa in featureSets {
            let s = screening(kind, rows: 17, (inputs: 130, outputs: 300), .random, isa: isa)
            s.score(rows: 17)
            let (y, lower, upper) = (s.y.values, s.lower.values, s.upper.values)
            for rows in 1...16 {
                s.score(rows: rows)
                #expect(s.y.values[..<(rows * 300)] == y[..<(rows * 300)], "\(rows) rows")
                #expect(s.lower.values[..<(rows * s.panels)] == lower[..<(rows * s.panels)], "\(rows) rows")
                #expect(s.upper.values[..<(rows * s.panels)] == upper[..<(rows * s.panels)], "\(rows) rows")
            }
        }
    }

    @Test("few panels are left of a wide layer")
    func leavesFew() {
        let s = screening(VLM_LINEAR_BF16_F32.rawValue, rows: 1, (inputs: 512, outputs: 6400), .random, isa: vlm_cpu_features())
        s.score(rows: 1)
        #expect(s.compute(rows: 1, wanted: [1], reach: [0]) < s.panels / 4)
        #expect(s.compute(rows: 1, wanted: [-1], reach: [0]) == 0)
        #expect(s.compute(rows: 1, wanted: [Int32(VLM_SCREEN_WANTED)], reach: [0]) == s.panels, "fewer panels than outputs are wanted")
        #expect(s.compute(rows: 1, wanted: [Int32(VLM_SCREEN_WANTED) + 1], reach: [0]) == -1)
    }

    @Test("rows that are not finite, or that would overflow, leave every panel", arguments: kinds)
    func notFinite(kind: UInt32) {
        for isa in featureSets {
            for value in [Float.nan, .infinity, -.infinity, 0x1p120] {
                let s = screening(kind, rows: 2, (inputs: 130, outputs: 300), .random, isa: isa)
                s.x[70] = value
                s.score(rows: 2)
                #expect(s.compute(rows: 2, wanted: [1, -1], reach: [0, 0]) == s.panels)
                for (e, o) in zip(s.exact.values, s.y.values) { #expect(e.bitPattern == o.bitPattern) }
                #expect(s.compute(rows: 2, wanted: [-1, 1], reach: [0, 0]) < s.panels, "the other row is not touched")
            }
        }
    }

    @Test("versions and refusals")
    func refusals() {
        #expect(String(cString: vlm_screen_version_name(VLM_ISA_GENERIC)).hasSuffix("_generic"))
        #expect(String(cString: vlm_screen_version_name(VLM_ISA_AVX512)).hasSuffix("_generic"), "AVX-512 without AVX2 is not enough")
        let s = screening(VLM_LINEAR_BF16_F32.rawValue, rows: 2, (inputs: 8, outputs: 40), .random, isa: 0)
        var a = s.arguments(rows: 2)
        #expect(vlm_screen_code(&a, 0, 3, 0) == VLM_BAD_SHAPE && vlm_screen_code(&a, -1, 1, 0) == VLM_BAD_SHAPE)
        #expect(vlm_screen(&a, 0, 3, 0) == VLM_BAD_SHAPE && vlm_screen(&a, -1, 1, 0) == VLM_BAD_SHAPE)
        a.x = nil
        #expect(vlm_screen_code(&a, 0, 1, 0) == VLM_BAD_SHAPE)
        a = s.arguments(rows: 2)
        a.coded += 4
        #expect(vlm_screen_code(&a, 0, 1, 0) == VLM_BAD_ALIGNMENT && vlm_screen(&a, 0, 1, 0) == VLM_BAD_ALIGNMENT)
        a = s.arguments(rows: 2)
        a.inputs = Int64(VLM_SCREEN_INPUTS) + 1
        #expect(vlm_screen_code(&a, 0, 1, 0) == VLM_BAD_SHAPE && vlm_screen(&a, 0, 1, 0) == VLM_BAD_SHAPE)
        #expect(vlm_weight_bytes(VLM_WEIGHT_SCREEN, 32, a.inputs, 0) == 0 && vlm_screen_row_bytes(a.inputs) == 0)
        #expect(vlm_weight_bytes(VLM_WEIGHT_SCREEN, 33, 5, 0) == 2 * (2 * 128 + 384))
    }
}
