import CKernels
import Seeded
import Testing

/// What the sampler asks of a row of logits: every version gives the generic one's bits, and those agree with mathematics.
@Suite struct SamplingTests {
    private static let counts = [1, 7, 8, 15, 16, 17, 63, 64, 65, 1000, 1024, 1025, 5003]

    /// Logits with ties, −∞ and NaN among them.
    private static func logits(_ count: Int, _ dice: inout Dice) -> Guarded<Float> {
        var values = dice.floats(count, in: -20...20)
        for index in 1..<max(count, 1) where dice.once(in: 4) { values[index] = values[index - 1] }
        for index in values.indices where dice.once(in: 9) { values[index] = dice.pick([-.infinity, .nan, -0.0, 0])! }
        return Guarded(values)
    }

    @Test("the greatest is the first of its kind", arguments: counts)
    func greatest(count: Int) {
        var dice = Dice(UInt64(count))
        for _ in 0..<20 {
            let x = Self.logits(count, &dice)
            let numbers = x.values.indices.filter { !x[$0].isNaN }
            let most = numbers.map { x[$0] }.max()
            let expected = numbers.first { x[$0] == most } ?? -1
            for isa in featureSets { #expect(vlm_first_greatest(x.pointer, Int64(count), isa) == expected, "isa \(isa)") }
        }
        // Below zero, so that what is read beyond the end would be greater.
        let below = Guarded(count) { -Float($0) - 1 }
        for isa in featureSets { #expect(vlm_first_greatest(below.pointer, Int64(count), isa) == 0) }
        let none = Guarded(count) { _ in Float.nan }
        for isa in featureSets { #expect(vlm_first_greatest(none.pointer, Int64(count), isa) == -1) }
    }

    @Test("greatest of blocks, and what is at least a bound", arguments: counts)
    func selection(count: Int) {
        var dice = Dice(UInt64(count))
        let x = Self.logits(count, &dice)
        let blocks = Guarded((count + 63) / 64) { _ in Float.nan }, indices = Guarded(count) { _ in Int32(-1) }
        let greatest = (0..<blocks.count).map { block in
            (64 * block..<min(64 * block + 64, count)).reduce(-Float.infinity) { x[$1] > $0 ? x[$1] : $0 }
        }
        for isa in featureSets {
            vlm_block_greatest(x.pointer, Int64(count), blocks.pointer, isa)
            #expect(blocks.values == greatest, "isa \(isa)")
            for bound in [-Float.infinity, -3, 0, 19] {
                let found = Int(vlm_at_least(x.pointer, Int64(count), bound, indices.pointer, isa))
                #expect(indices.values[..<found].map { Int($0) } == (0..<count).filter { x[$0] >= bound }, "isa \(isa)")
            }
        }
    }

    private static let rules: [(temperature: Float, limit: Float, least: Float)] = [
        (1, -.infinity, 0), (0.3, -5, 0), (1.7, -.infinity, 0.01), (1e-5, -.infinity, 0),
    ]

    @Test("weights are within 2 ulp of e^((x − top) / temperature), and all versions give the same bits", arguments: counts)
    func weights(count: Int) {
        var dice = Dice(UInt64(count))
        for (temperature, limit, least) in Self.rules {
            let x = Self.logits(count, &dice)
            let top = x.values.filter { !$0.isNaN }.max() ?? 0
            guard top.isFinite else { continue }
            let chunks = Int(vlm_sampling_chunks(Int64(count)))
            let y = Guarded(count) { _ in Float.nan }, sums = Guarded(chunks) { _ in Float.nan }
            var row = vlm_sampling_weights_args(
                count: Int64(count), x: x.pointer, top: top, temperature: temperature, limit: limit, least: least, y: y.pointer,
                sums: sums.pointer)
            var bits: [UInt32]?
            for isa in featureSets {
                vlm_sampling_weights(&row, 0, 1, isa)
                vlm_sampling_weights(&row, 1, Int64(chunks), isa)
                let found = y.values.map(\.bitPattern) + sums.values.map(\.bitPattern)
                #expect(bits == nil || bits == found, "isa \(isa)")
                bits = found
                row.y = nil
                vlm_sampling_weights(&row, 0, Int64(chunks), isa)
                row.y = y.pointer
                #expect(sums.values.map(\.bitPattern) == Array(found[count...]), "sums alone, isa \(isa)")
            }
            for index in 0..<count {
                let exponent = (x[index] - top) / temperature, exact = exp64(Double(exponent))
                let takesPart = x[index] >= limit && exponent >= -87 && exact >= Double(least) * 1.000001
                #expect(takesPart ? ulps(y[index], exact) <= 2 : y[index] == 0 || exact >= Double(least) * 0.999999, "\(x[index])")
            }
            let total = sums.values.reduce(0.0) { $0 + Double($1) }, exact = y.values.reduce(0.0) { $0 + Double($1) }
            #expect(abs(total - exact) <= 1e-6 * exact)
        }
    }
}
