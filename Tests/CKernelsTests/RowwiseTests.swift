import CKernels
import Seeded
import Testing

private let activations = [
    VLM_ACTIVATION_NONE, VLM_ACTIVATION_SILU, VLM_ACTIVATION_QUICK_GELU, VLM_ACTIVATION_GELU_ERF, VLM_ACTIVATION_GELU_TANH,
    VLM_ACTIVATION_RELU,
]

@Suite struct ElementwiseTests {
    @Test("exp is within 2 ulp, and ends in 0 and infinity")
    func exponential() {
        let x = Guarded((0..<40_001).map { -87.3 + Float($0) * 0.0044 } + [-200, -Float.infinity, 88.8, .infinity, 0, -0.0, .nan])
        let y = Guarded(x.count) { _ in Float.nan }, n = x.count - 7
        for isa in featureSets {
            vlm_exp(x.pointer, y.pointer, 0, Int64(x.count), isa)
            let worst = (0..<n).map { x[$0] > 88.72 ? 0 : ulps(y[$0], exp64(Double(x[$0]))) }.max()!
            #expect(worst <= 2, "isa \(isa)")
            #expect(y[n] == 0 && y[n + 1] == 0 && y[n + 2] == .infinity && y[n + 3] == .infinity && y[n + 4] == 1 && y[n + 5] == 1)
            #expect(y[n + 6].isNaN)
        }
    }

    @Test("activations agree with f64 mathematics", arguments: activations.map(\.rawValue))
    func activation(raw: UInt32) {
        let kind = vlm_activation(rawValue: raw)
        let x = Guarded((0..<24_003).map { -12 + Float($0) * 0.001 } + [-.infinity, 1e-30, -90, 100, 3e38, .nan]), y = Guarded(x.count) { _ in Float(0) }
        for isa in featureSets {
            vlm_activate(kind, x.pointer, y.pointer, 0, Int64(x.count), isa)
            // 1 + erf and 1 + tanh cancel for negative x, as in every f32 evaluation of these formulas.
            for i in 0..<24_003 {
                let exact = reference(kind, Double(x[i])), bound = max(abs(exact), abs(Double(x[i]))) * 6e-7
                if !(abs(Double(y[i]) - exact) <= bound) { Issue.record("isa \(isa) x \(x[i]) y \(y[i]) exact \(exact)"); break }
            }
            #expect(y[24_004] == Float(reference(kind, 1e-30)) && y[24_007] == 3e38 && y[24_008].isNaN, "isa \(isa)")
        }
    }

    @Test("gated rows are activation(gate) · up", arguments: activations.map(\.rawValue))
    func gated(raw: UInt32) {
        let kind = vlm_activation(rawValue: raw)
        var random = Dice(4)
        let x = Guarded(random.floats(5 * 74, in: -8...8)), y = Guarded(5 * 37) { _ in Float.nan }
        var a = vlm_gated_args(activation: kind, columns: 37, x: x.pointer, x_stride: 74, y: y.pointer, y_stride: 37)
        let expected = (0..<5 * 37).map { i in
            reference(kind, Double(x[i / 37 * 74 + i % 37])) * Double(x[i / 37 * 74 + 37 + i % 37])
        }
        for isa in featureSets {
            vlm_gated(&a, 0, 5, isa)
            #expect(relativeError(y.values, expected) < 1e-6)
        }
    }

    @Test("rows are scaled by a number or element by element", arguments: [1, 7, 16, 100])
    func scale(columns: Int) {
        var random = Dice(UInt64(columns))
        let x = Guarded(random.floats(3 * columns)), w = Guarded(random.floats(max(columns, 3))), y = Guarded(x.count) { _ in Float.nan }
        let width = Int64(columns)
        for (step, stride) in [(0, 0), (1, 0), (0, 1)] {
            var a = vlm_scale_args(
                columns: width, x: x.pointer, x_stride: width, w: w.pointer, w_step: Int64(step), w_stride: Int64(stride), y: y.pointer,
                y_stride: width)
            vlm_scale(&a, 0, 1, 0)
            vlm_scale(&a, 1, 3, 0)
            #expect(y.values == x.values.indices.map { x[$0] * w[$0 % columns * step + $0 / columns * stride] })
        }
    }

    @Test("rows are copied beside each other and blended", arguments: [1, 7, 16, 100])
    func movement(columns: Int) {
        var random = Dice(UInt64(columns))
        let (rows, count) = (3, 4)
        let x = Guarded(random.floats(rows * count * columns)), w = Guarded(random.floats(rows * count))
        let joined = Guarded(2 * rows * columns) { _ in Float.nan }, blend = Guarded(rows * columns) { _ in Float.nan }
        for (source, target) in [(0, columns), (columns, 0)] {
            var a = vlm_copy_rows_args(
                columns: Int64(columns), x: x.pointer + source, x_stride: Int64(2 * columns), y: joined.pointer + target, y_stride: Int64(2 * columns))
            vlm_copy_rows(&a, 0, 1, 0)
            vlm_copy_rows(&a, 1, Int64(rows), 0)
        }
        #expect(joined.values == joined.values.indices.map { x[$0 / columns % 2 == 0 ? $0 + columns : $0 - columns] })
        var b = vlm_blend_rows_args(columns: Int64(columns), count: Int64(count), w: w.pointer, x: x.pointer, y: blend.pointer)
        vlm_blend_rows(&b, 0, 2, 0)
        vlm_blend_rows(&b, 2, Int64(rows), 0)
        let expected = blend.values.indices.map { at in
            (0..<count).reduce(0.0) { $0 + Double(w[at / columns * count + $1]) * Double(x[(at / columns * count + $1) * columns + at % columns]) }
        }
        #expect(relativeError(blend.values, expected) < 1e-6)
    }

    @Test("sums and conversions are exact", arguments: [1, 7, 8, 15, 16, 17, 100])
    func simple(count: Int) {
        var random = Dice(UInt64(count))
        let a = Guarded(random.floats(count)), b = Guarded(random.floats(count)), y = Guarded(count) { _ in Float.nan }
        let bytes = Guarded((0..<count).map { UInt8(truncatingIfNeeded: $0 * 37) }), brains = Guarded(count) { _ in UInt16(0) }
        let n = Int64(count), specials = Guarded([Float.nan, .infinity, -.infinity, 1.00390625, 3.4e38] + a.values)
        for isa in featureSets {
            vlm_add(a.pointer, b.pointer, y.pointer, 0, n, isa)
            #expect(y.values == zip(a.values, b.values).map { $0 + $1 })
            vlm_u8_to_f32(bytes.pointer, y.pointer, 0, n, isa)
            #expect(y.values == bytes.values.map(Float.init))
            vlm_f32_to_bf16(a.pointer, brains.pointer, 0, n, isa)
            vlm_bf16_to_f32(brains.pointer, y.pointer, 0, n, isa)
            #expect(y.values == a.values.map(bf16))
            let converted = Guarded(specials.count) { _ in UInt16(0) }
            vlm_f32_to_bf16(specials.pointer, converted.pointer, 0, Int64(specials.count), isa)
            #expect(converted[0] & 0x7fff > 0x7f80 && converted[1] == 0x7f80 && converted[2] == 0xff80 && converted[3] == 0x3f80)
        }
    }
}

@Suite struct NormTests {
    @Test("norms with and without residual agree with f64 mathematics", arguments: [1, 8, 15, 80, 257, 1536])
    func norms(columns: Int) {
        var random = Dice(UInt64(columns))
        let rows = 3, x = Guarded(random.floats(rows * columns)), add = Guarded(random.floats(rows * columns))
        let weight = Guarded(random.floats(columns)), bias = Guarded(random.floats(columns))
        for (mean, residual, affine) in [(false, false, true), (false, true, true), (true, false, true), (true, true, true), (true, false, false)] {
            let y = Guarded(rows * columns) { _ in Float.nan }, sum = Guarded(rows * columns) { x[$0] }
            var a = vlm_norm_args(
                columns: Int64(columns), eps: 1e-6, x: sum.pointer, x_stride: Int64(columns), add: residual ? UnsafePointer(add.pointer) : nil,
                add_stride: Int64(columns), sum: residual ? sum.pointer : nil, sum_stride: Int64(columns),
                weight: affine ? UnsafePointer(weight.pointer) : nil, bias: affine && mean ? UnsafePointer(bias.pointer) : nil, y: y.pointer,
                y_stride: Int64(columns))
            let r = (0..<rows * columns).map { residual ? x[$0] + add[$0] : x[$0] }
            let expected = (0..<rows).flatMap { t in
                let row = r[t * columns..<(t + 1) * columns].map(Double.init), m = mean ? row.reduce(0, +) / Double(columns) : 0
                let factor = 1 / (row.reduce(0) { $0 + ($1 - m) * ($1 - m) } / Double(columns) + 1e-6).squareRoot()
                return row.enumerated().map { i, v in
                    (v - m) * factor * (affine ? Double(weight[i]) : 1) + (affine && mean ? Double(bias[i]) : 0)
                }
            }
            for isa in featureSets {
                for i in 0..<rows * columns { sum[i] = x[i] }
                if mean { vlm_layer_norm(&a, 0, 3, isa) } else { vlm_rms_norm(&a, 0, 3, isa) }
                #expect(zip(y.values, expected).allSatisfy { abs(Double($0) - $1) < 2e-5 }, "isa \(isa) columns \(columns) mean \(mean)")
                #expect(sum.values == r)
            }
        }
    }
}

@Suite struct RotaryTests {
    /// With two sets a position stands on one axis, the other is 0.
    @Test("tables are within 1 ulp of f64 cosine and sine, per axis", arguments: [1, 2])
    func table(sets: Int) {
        let positions = Guarded<Int32>(sets == 1 ? [0, 1, 77, 99_999, 5, 12_345, 1_000_000, 3] : [0, 1, 77, 0, 5, 0, 0, 3])
        let axis = Guarded<Int32>(Array([0, 1, 0, 1, 1, 1, 0, 1, 0, 0].prefix(5 * sets)))
        let frequency = Guarded<Float>(Array([1, 0.31622776, 0.1, 0.5, 1e-4, 0.9, 0.3, 0.09, 0.4, 1e-3].prefix(5 * sets)))
        let c = Guarded<Float>(20) { _ in .nan }, s = Guarded<Float>(20) { _ in .nan }
        var a = vlm_rotary_table_args(
            pairs: 5, sets: Int64(sets), positions: positions.pointer, positions_stride: 4, axis: axis.pointer, inv_freq: frequency.pointer, scale: 1, cos: c.pointer,
            sin: s.pointer)
        for isa in featureSets {
            vlm_rotary_table(&a, 0, 2, isa)
            vlm_rotary_table(&a, 2, 4, isa)
            for t in 0..<4 {
                for i in 0..<5 {
                    let parts = stride(from: i, to: axis.count, by: 5)
                    let angle = Double(parts.reduce(Float(0)) { $0 + Float(positions[Int(axis[$1]) * 4 + t]) * frequency[$1] })
                    #expect(ulps(c[t * 5 + i], cos64(angle)) <= 1 && ulps(s[t * 5 + i], sin64(angle)) <= 1, "angle \(angle)")
                }
            }
        }
    }

    @Test("halves are rotated in place and out of place", arguments: [(80, 80, 1), (128, 128, 1), (64, 32, 1), (6, 6, 0), (64, 64, 2), (64, 32, 16)])
    func rotate(dim: Int, rotary: Int, parts: Int) {
        var random = Dice(UInt64(dim))
        let heads = 3, rows = 4, half = rotary / 2, x = Guarded(random.floats(rows * heads * dim)), y = Guarded(x.count) { x[$0] }
        let c = Guarded(random.floats(rows * half)), s = Guarded(random.floats(rows * half))
        let expected = (0..<x.count).map { at in
            let i = at % dim, t = at / (heads * dim)
            if i >= rotary { return Double(x[at]) }
            let inside = half / max(parts, 1), j = i % (2 * inside)
            let k = t * half + i / (2 * inside) * inside + j % inside
            let other = j < inside ? -Double(x[at + inside]) : Double(x[at - inside])
            return Double(x[at]) * Double(c[k]) + other * Double(s[k])
        }
        for isa in featureSets {
            for source in [x, y] {
                for i in 0..<x.count { y[i] = source === x ? .nan : x[i] }
                var a = vlm_rotary_args(
                    heads: Int64(heads), head_dim: Int64(dim), rotary_dim: Int64(rotary), parts: Int64(parts), x: source.pointer,
                    x_stride: Int64(heads * dim), y: y.pointer, y_stride: Int64(heads * dim), cos: c.pointer, sin: s.pointer)
                vlm_rotary(&a, 0, Int64(rows), isa)
                #expect(relativeError(y.values, expected) < 1e-6)
            }
        }
    }
}

@Suite struct RowCopyTests {
    @Test("gather and select copy rows and refuse indices outside")
    func copies() {
        let x = Guarded<Float>(12) { Float($0) }, a = Guarded<Float>(6) { -Float($0) }, y = Guarded<Float>(6) { _ in .nan }
        let index = Guarded<Int32>([3, 0])
        var args = vlm_rows_args(
            columns: 3, x: x.pointer, x_rows: 4, x_stride: 3, a: a.pointer, a_stride: 3, index: index.pointer, y: y.pointer, y_stride: 3)
        #expect(vlm_gather_rows(&args, 0, 2, 0) == VLM_OK && y.values == [9, 10, 11, 0, 1, 2])
        index[0] = -1
        #expect(vlm_gather_rows(&args, 0, 2, 0) == VLM_BAD_INDEX)
        #expect(vlm_select_rows(&args, 0, 2, 0) == VLM_OK && y.values == [0, -1, -2, 0, 1, 2])
        index[0] = 4
        #expect(vlm_select_rows(&args, 0, 2, 0) == VLM_BAD_INDEX)
    }

    @Test("columns are taken in the order of an index, and none from outside")
    func columns() {
        let x = Guarded<Float>(10) { Float($0) }, y = Guarded<Float>(6) { _ in .nan }, index = Guarded<Int32>([3, 0, 3])
        var args = vlm_columns_args(
            columns: 3, x: x.pointer, x_columns: 4, x_stride: 6, index: index.pointer, y: y.pointer, y_stride: 3)
        #expect(vlm_gather_columns(&args, 0, 2) == VLM_OK && y.values == [3, 0, 3, 9, 6, 9])
        for outside: Int32 in [4, -1] {
            index[1] = outside
            #expect(vlm_gather_columns(&args, 0, 2) == VLM_BAD_INDEX)
        }
    }
}

@Suite struct RateTests {
    @Test("every rate that the machine has can be run")
    func runs() {
        let buffer = Guarded<UInt8>(4096, aligned: true) { UInt8(truncatingIfNeeded: $0) }
        for isa in featureSets {
            for rate in (0..<VLM_RATES).map({ vlm_rate(rawValue: UInt32($0)) }) {
                let work = vlm_rate_work(rate, buffer.count, isa)
                if work == 0 { #expect(rate != VLM_RATE_READ && rate != VLM_RATE_F32_FMA) }
                _ = vlm_rate_run(rate, 3, buffer.pointer, buffer.count, isa)
            }
            #expect(vlm_rate_run(VLM_RATE_READ, 1, buffer.pointer, buffer.count, isa) != 0)
        }
    }
}
