import CKernels
import Seeded
import Testing

/// Numbers of a layer, as rows and as weights have them.
private enum Spread: CaseIterable {
    case normal, heavyTails, oneOutlier, outlierInEach

    func numbers(_ count: Int, _ random: inout Dice) -> [Float] {
        (0..<count).map { index in
            let x = (0..<12).reduce(Float(-6)) { sum, _ in sum + Float.random(in: 0...1, using: &random) }
            switch self {
            case .normal: return x
            case .heavyTails: return x * x * x
            case .oneOutlier: return index == 77 ? 1001.7 + 50 * x : x
            case .outlierInEach: return index % 256 == 100 ? 1000 * x : x
            }
        }
    }
}

extension LinearFixture {
    /// Weights of these numbers, rounded to bf16, instead of those at hand.
    fileprivate func repack(_ numbers: [Float]) {
        let source = Guarded(numbers)
        var a = vlm_pack_rows_args(
            format: VLM_WEIGHT_BF16, source_type: VLM_F32, outputs: Int64(c.outputs), inputs: Int64(c.inputs), first: 0, count: Int64(c.outputs),
            source: source.pointer, source_stride: Int64(c.inputs), packed: weight.pointer)
        #expect(vlm_pack_rows(&a) == VLM_OK)
        dense = numbers.map { Double(bf16($0)) }
    }

    /// Root mean square distance from f64 mathematics of the unrounded rows.
    fileprivate func error(_ isa: vlm_isa) -> Double {
        let y = run(isa)
        var squares = 0.0
        for t in 0..<c.rows {
            for o in 0..<c.outputs {
                let sum = (0..<c.inputs).reduce(Double(bias[o])) { $0 + Double(x[t * c.inputs + $1]) * dense[o * c.inputs + $1] }
                squares += (Double(y[t * c.outputs + o]) - sum) * (Double(y[t * c.outputs + o]) - sum)
            }
        }
        return (squares / Double(y.count)).squareRoot()
    }
}

/// Layers over bf16 weights in 16-bit codes.
@Suite struct FixedPointTests {
    private func fixture(_ kind: vlm_linear_kind, rows: Int, inputs: Int, outputs: Int) -> LinearFixture {
        LinearFixture(LinearCase(kind: kind, rows: rows, inputs: inputs, outputs: outputs, group: 0))
    }

    /// Rows, weights, and how far off a product may be, in the errors of bf16 products of the same numbers. Outliers of rows and weights in other
    /// inputs of one block are left out: there bf16 is the better one.
    private static let spreads: [(Spread, Spread, errorMax: Double)] = [
        (.normal, .normal, 0.3), (.heavyTails, .normal, 0.6), (.normal, .heavyTails, 0.6), (.heavyTails, .heavyTails, 0.75),
        (.oneOutlier, .normal, 1.5), (.normal, .oneOutlier, 1.5), (.outlierInEach, .normal, 1.5), (.normal, .outlierInEach, 1.5),
        (.oneOutlier, .oneOutlier, 0.1), (.outlierInEach, .outlierInEach, 0.1),
    ]

    /// A layer of such rows and weights.
    private func spread(_ kind: vlm_linear_kind, _ rows: Spread, _ weights: Spread) -> LinearFixture {
        var random = Dice(41)
        let fixture = fixture(kind, rows: 6, inputs: 700, outputs: 40)
        for t in 0..<6 { for (k, value) in rows.numbers(700, &random).enumerated() { fixture.x[t * 700 + k] = value } }
        fixture.repack((0..<40).flatMap { _ in weights.numbers(700, &random) })
        return fixture
    }

    @Test("codes are no further off than bf16, or little", arguments: spreads.indices)
    func accuracy(index: Int) {
        let (rows, weights, errorMax) = Self.spreads[index]
        let share = spread(VLM_LINEAR_BF16_INT16, rows, weights).error(VLM_ISA_GENERIC) / spread(VLM_LINEAR_BF16_BF16, rows, weights).error(VLM_ISA_GENERIC)
        #expect(share <= errorMax, "\(rows) · \(weights): \(share)")
    }

    /// Half a code of each of 256 numbers, of rows and of weights.
    @Test("no product is further off than the norms of its blocks allow")
    func worstCase() {
        for (rows, weights) in Spread.allCases.flatMap({ rows in Spread.allCases.map { (rows, $0) } }) {
            let fixture = spread(VLM_LINEAR_BF16_INT16, rows, weights), (y, expected) = (fixture.run(VLM_ISA_GENERIC), fixture.expected())
            func norm(_ value: (Int) -> Double, _ block: Range<Int>) -> Double { block.reduce(0) { $0 + value($1) * value($1) }.squareRoot() }
            for i in y.indices {
                let (t, o) = (i / 40, i % 40)
                let norms = stride(from: 0, to: 700, by: 256).reduce(0.0) { sum, first in
                    let block = first..<min(first + 256, 700)
                    return sum + norm({ Double(fixture.x[t * 700 + $0]) }, block) * norm({ fixture.dense[o * 700 + $0] }, block)
                }
                #expect(abs(Double(y[i]) - expected[i]) <= 2 * 8 / 2895 * norms + 1e-5, "\(rows) · \(weights) \(i)")
            }
        }
    }

    @Test("numbers become the nearest code, ties the even one, by every version")
    func rounding() {
        let numbers: [Float] = [2895, 0.5, 1.5, 2.5, -0.5, -1.5, -2.5, 2894.5, -2895, 0, 7.49, -7.51]
        let codes: [Int16] = [2895, 0, 2, 2, 0, -2, -2, 2894, -2895, 0, 7, -8], inputs = 300
        let x = Guarded<Float>(inputs) { $0 < numbers.count ? numbers[$0] : $0 < 256 ? 0 : 1e-31 }
        let row = scratch(vlm_row_bytes(VLM_ROWS_INT16_BLOCKS, Int64(inputs), 0))
        #expect(row.count == 320 * 2 + 64)
        for isa in featureSets {
            var a = vlm_pack_activations_args(
                format: VLM_ROWS_INT16_BLOCKS, rows: 1, inputs: Int64(inputs), group: 0, x: x.pointer, x_stride: Int64(inputs), packed: row.pointer)
            #expect(vlm_pack_activations(&a, 0, 1, isa) == VLM_OK)
            let made = UnsafeRawPointer(row.pointer).assumingMemoryBound(to: Int16.self), scales = UnsafeRawPointer(row.pointer + 640).assumingMemoryBound(to: Float.self)
            #expect((0..<320).map { made[$0] } == codes + Array(repeating: 0, count: 320 - codes.count), "isa \(isa)")
            #expect([scales[0], scales[1]] == [1, 0], "isa \(isa)")
        }
    }

    /// Every code is as far from zero as it can be, and all products have one sign.
    @Test("sums have room for the greatest codes", arguments: [1, 2, 255, 256, 257, 700], [Float(1), -1])
    func room(inputs: Int, weight: Float) {
        let (rows, outputs) = (26, 33), fixture = fixture(VLM_LINEAR_BF16_INT16, rows: rows, inputs: inputs, outputs: outputs)
        fixture.repack(Array(repeating: weight, count: outputs * inputs))
        for i in 0..<fixture.x.count { fixture.x[i] = i / inputs % 2 == 0 ? 8 : -8 }
        for isa in featureSets {
            let y = fixture.run(isa)
            for (i, value) in y.enumerated() {
                let expected = Double((i / outputs % 2 == 0 ? 8 : -8) * weight) * Double(inputs) + Double(fixture.bias[i % outputs])
                #expect(abs(Double(value) - expected) <= 1e-6 * abs(expected), "isa \(isa) \(i)")
            }
        }
    }

    @Test("numbers that are not finite make NaN of their row or output, and of no other", arguments: [Float.nan, .infinity, -.infinity])
    func notFinite(value: Float) {
        let (rows, inputs, outputs) = (27, 520, 40), fixture = fixture(VLM_LINEAR_BF16_INT16, rows: rows, inputs: inputs, outputs: outputs)
        var random = Dice(3), w = Spread.normal.numbers(outputs * inputs, &random)
        fixture.repack(w)
        let sound = fixture.run(VLM_ISA_GENERIC)
        w[35 * inputs + 519] = value
        fixture.repack(w)
        fixture.x[11 * inputs + 300] = value
        fixture.x[12 * inputs + 3] = value
        for isa in featureSets {
            let y = fixture.y, a = fixture.arguments()
            fixture.pack(0..<rows, isa)
            #expect(withUnsafePointer(to: a) { vlm_linear($0, 0, vlm_linear_items($0, isa), fixture.memory.pointer, isa) } == VLM_OK)
            for i in 0..<y.count {
                let isHit = [11, 12].contains(i / outputs) || i % outputs == 35
                #expect(isHit ? y[i].isNaN : y[i] == sound[i], "isa \(isa) row \(i / outputs) output \(i % outputs)")
            }
        }
    }

    @Test("very great and very small numbers keep their scale; what is below 1e-30 is zero")
    func scales() {
        let (rows, inputs, outputs) = (4, 256, 32), fixture = fixture(VLM_LINEAR_BF16_INT16, rows: rows, inputs: inputs, outputs: outputs)
        fixture.repack((0..<outputs * inputs).map { $0 / inputs == 0 ? 1e-31 : 0x1p-20 })
        let sizes: [Float] = [0, 1e-31, 1e-25, 1e35]
        for i in 0..<fixture.x.count { fixture.x[i] = sizes[i / inputs] }
        for i in 0..<outputs { fixture.bias[i] = 0 }
        for isa in featureSets {
            for (i, value) in fixture.run(isa).enumerated() {
                let size = Double(sizes[i / outputs]), expected = size < 1e-30 || i % outputs == 0 ? 0 : size * 0x1p-20 * Double(inputs)
                #expect(abs(Double(value) - expected) <= 1e-6 * expected, "isa \(isa) \(i)")
            }
        }
    }
}
