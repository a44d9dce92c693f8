import CKernels
import Seeded
import Testing

/// What stands out in queries, keys and values.
private enum Standout: CaseIterable {
    case nothing, heavyTails, channelOfKeys, sharedChannelOfKeys, channelOfQueriesAndKeys, key, value, channelOfValues, sink, otherChannels
}

/// One head of one segment, of which `Standout` says what its numbers are like.
private struct HeadFixture {
    let dim: Int, queries: Int, keys: Int
    let q, k, v, y: Guarded<Float>
    let queryBounds, keyBounds: Guarded<Int32>
    let memory: Guarded<UInt8>
    var scale: Float

    init(_ standout: Standout, dim: Int = 80, queries: Int = 20, keys: Int = 300) {
        (self.dim, self.queries, self.keys) = (dim, queries, keys)
        scale = 1 / Float(dim).squareRoot()
        var random = Dice(17)
        func numbers(_ rows: Int) -> [Float] {
            (0..<rows * dim).map { _ in
                let x = (0..<12).reduce(Float(-6)) { sum, _ in sum + Float.random(in: 0...1, using: &random) }
                return standout == .heavyTails ? x * x * x / 3.87 : x
            }
        }
        (q, k, v, y) = (Guarded(numbers(queries)), Guarded(numbers(keys)), Guarded(numbers(keys)), Guarded(queries * dim) { _ in .nan })
        queryBounds = Guarded([0, Int32(queries)])
        keyBounds = Guarded([0, Int32(keys)])
        memory = scratch(vlm_segment_attention_scratch_bytes(Int64(dim)))
        let channel = { (x: Guarded<Float>, rows: Int, i: Int, change: (Float) -> Float) in for r in 0..<rows { x[r * dim + i] = change(x[r * dim + i]) } }
        switch standout {
        case .nothing, .heavyTails: break
        case .channelOfKeys: channel(k, keys, 5) { $0 * 100 }
        case .sharedChannelOfKeys: channel(k, keys, 5) { $0 + 100 }
        case .channelOfQueriesAndKeys:
            channel(k, keys, 5) { $0 * 30 }
            channel(q, queries, 5) { $0 * 30 }
        case .key: for i in 0..<dim { k[77 * dim + i] *= 100 }
        case .value: for i in 0..<dim { v[77 * dim + i] *= 1000 }
        case .channelOfValues: channel(v, keys, 7) { $0 * 1000 }
        case .sink:
            // A key that all queries look at, of no value.
            for i in 0..<queries * dim { q[i] += 1 }
            for i in 0..<dim { (k[3 * dim + i], v[3 * dim + i]) = (1.2, 0) }
        case .otherChannels:
            channel(k, keys, 5) { $0 * 100 }
            channel(q, queries, 9) { $0 * 100 }
            channel(q, queries, 5) { $0 / 100 }
            channel(k, keys, 9) { $0 / 100 }
        }
    }

    func run(_ products: vlm_products, _ isa: vlm_isa) -> [Float] {
        var a = vlm_segment_attention_args(
            heads: 1, kv_heads: 1, head_dim: Int64(dim), products: products, scale: scale, softcap: 0, segments: 1, offsets: queryBounds.pointer,
            key_offsets: keyBounds.pointer, q: q.pointer, q_stride: Int64(dim), k: k.pointer, k_stride: Int64(dim), v: v.pointer,
            v_stride: Int64(dim), y: y.pointer, y_stride: Int64(dim))
        for i in 0..<y.count { y[i] = .nan }
        #expect(vlm_segment_attention(&a, 0, vlm_segment_attention_items(&a), memory.pointer, isa) == VLM_OK)
        return y.values
    }

    /// Root mean square distance from f64 mathematics.
    func error(_ products: vlm_products) -> Double {
        let y = run(products, VLM_ISA_GENERIC)
        var squares = 0.0
        for r in 0..<queries {
            let scores = (0..<keys).map { j in (0..<dim).reduce(0.0) { $0 + Double(q[r * dim + $1]) * Double(k[j * dim + $1]) } * Double(scale) }
            let most = scores.max() ?? 0, weights = scores.map { exp64($0 - most) }, sum = weights.reduce(0, +)
            for i in 0..<dim {
                let expected = (0..<keys).reduce(0.0) { $0 + weights[$1] * Double(v[$1 * dim + i]) } / sum
                squares += (Double(y[r * dim + i]) - expected) * (Double(y[r * dim + i]) - expected)
            }
        }
        return (squares / Double(y.count)).squareRoot()
    }
}

/// Attention inside segments in 16-bit codes.
@Suite struct FixedPointAttentionTests {
    /// How far off codes may be, in the errors of bf16 products of the same numbers.
    @Test("codes are no further off than bf16, or little", arguments: Standout.allCases)
    private func accuracy(standout: Standout) {
        let errorMax =
            switch standout {
            case .nothing, .key, .channelOfValues, .heavyTails, .channelOfKeys, .otherChannels: 0.45
            case .channelOfQueriesAndKeys, .sharedChannelOfKeys: 0.8
            case .value, .sink: 1.5
            }
        let fixture = HeadFixture(standout), share = fixture.error(VLM_PRODUCTS_INT16) / fixture.error(VLM_PRODUCTS_BF16)
        #expect(share <= errorMax, "\(standout): \(share)")
    }

    /// Every code is the greatest one and all products have one sign.
    @Test("sums have room for the greatest codes", arguments: [1, 31, 32, 33, 80, 256, 257], [1, 2, 127, 128, 129, 400])
    func room(dim: Int, keys: Int) {
        let fixture = HeadFixture(.nothing, dim: dim, queries: 14, keys: keys)
        for i in 0..<fixture.q.count { fixture.q[i] = i / dim % 2 == 0 ? 3 : -3 }
        for i in 0..<fixture.k.count { (fixture.k[i], fixture.v[i]) = (2, -5) }
        for isa in featureSets {
            let y = fixture.run(VLM_PRODUCTS_INT16, isa)
            for (i, value) in y.enumerated() { #expect(abs(value + 5) <= 5e-6, "isa \(isa) \(i)") }
        }
    }

    @Test("numbers that are not finite make NaN of their row, their channel or all rows, and of nothing else", arguments: [Float.nan, .infinity, -.infinity])
    func notFinite(value: Float) {
        for (inQuery, inKey, inValue) in [(true, false, true), (false, true, false)] {
            let fixture = HeadFixture(.nothing, queries: 27, keys: 150), sound = fixture.run(VLM_PRODUCTS_INT16, VLM_ISA_GENERIC)
            if inQuery { fixture.q[11 * 80 + 3] = value }
            if inKey { fixture.k[149 * 80 + 79] = value }
            if inValue { fixture.v[140 * 80 + 35] = value }
            for isa in featureSets {
                for (i, number) in fixture.run(VLM_PRODUCTS_INT16, isa).enumerated() {
                    let isHit = inKey || inQuery && i / 80 == 11 || inValue && i % 80 == 35
                    #expect(isHit ? number.isNaN : number == sound[i], "isa \(isa) row \(i / 80) channel \(i % 80)")
                }
            }
        }
    }

    /// Scores beyond what f32 holds give NaN, as in f32; far below it they are equal.
    @Test("very great and very small numbers keep their scale", arguments: [(Float(1e-31), Float(1e-25)), (1e-10, 1e30), (1e18, 1), (1e30, 1)])
    func scales(size: Float, valueSize: Float) {
        let fixture = HeadFixture(.nothing, dim: 32, queries: 13, keys: 140)
        for i in 0..<fixture.q.count { fixture.q[i] *= size }
        for i in 0..<fixture.k.count { (fixture.k[i], fixture.v[i]) = (fixture.k[i] * size, fixture.v[i] * valueSize) }
        let exact = fixture.run(VLM_PRODUCTS_F32, VLM_ISA_GENERIC), generic = fixture.run(VLM_PRODUCTS_INT16, VLM_ISA_GENERIC)
        for isa in featureSets {
            let y = fixture.run(VLM_PRODUCTS_INT16, isa)
            #expect(zip(y, generic).allSatisfy { $0 == $1 || $0.isNaN && $1.isNaN }, "isa \(isa)")
        }
        for (a, b) in zip(generic, exact) { #expect(a.isNaN ? b.isNaN : abs(a - b) <= 0.01 * valueSize, "\(a) \(b)") }
    }
}
