import CKernels
import Seeded
import Testing

/// Rows of several sequences in one call, against the same rows one by one, in mathematics of f64.
@Suite struct RecurrenceTests {
    /// Rows of sequence 2, then one of padding, then sequences 0 and 1 in turns; 0 goes on from what its slot holds.
    private static let slots: [Int32] = [2, 2, 2, -1, 0, 1, 0, 1, 1]
    private static let ordinals: [Int32] = [0, 1, 2, 0, 5, 0, 6, 1, 2]
    private static let rows = slots.count

    private func sequences(_ state: Guarded<Float>, _ slots: Guarded<Int32>, _ ordinals: Guarded<Int32>) -> vlm_sequences {
        vlm_sequences(rows: Int64(Self.rows), state: state.pointer, count: 3, slots: slots.pointer, ordinals: ordinals.pointer)
    }

    /// Calls `step` for each row that is none of padding, with its sequence's state, which it changes.
    private func walk(_ state: inout [Double], _ step: (inout [Double], Int) -> Void) {
        let width = state.count / 3
        for (row, slot) in Self.slots.enumerated() where slot >= 0 {
            let range = Int(slot) * width..<(Int(slot) + 1) * width
            var own = Self.ordinals[row] == 0 ? Array(repeating: 0, count: width) : Array(state[range])
            step(&own, row)
            state.replaceSubrange(range, with: own)
        }
    }

    @Test("a convolution goes on where its sequence was", arguments: [(1, 2), (5, 3), (33, 4)])
    func convolution(channels: Int, taps: Int) {
        var random = Dice(UInt64(channels))
        let x = Guarded(random.floats(Self.rows * channels)), w = Guarded(random.floats(channels * taps))
        let before = random.floats(3 * (taps - 1) * channels)
        let slots = Guarded(Self.slots), ordinals = Guarded(Self.ordinals)
        var kept = before.map(Double.init)
        var expected = [Double](repeating: 0, count: Self.rows * channels)
        walk(&kept) { columns, row in
            columns += (0..<channels).map { Double(x[row * channels + $0]) }
            for c in 0..<channels {
                expected[row * channels + c] = (0..<taps).reduce(0) { $0 + Double(w[c * taps + $1]) * columns[$1 * channels + c] }
            }
            columns.removeFirst(channels)
        }
        for split in [channels, 1, (channels + 1) / 2] {
            let state = Guarded(before), y = Guarded(Self.rows * channels) { _ in Float.nan }
            var a = vlm_short_convolution_args()
            a.sequences = sequences(state, slots, ordinals)
            (a.channels, a.taps, a.x_stride, a.y_stride) = (Int64(channels), Int64(taps), Int64(channels), Int64(channels))
            (a.x, a.weight, a.y) = (UnsafePointer(x.pointer), UnsafePointer(w.pointer), y.pointer)
            for first in stride(from: 0, to: channels, by: split) {
                #expect(vlm_short_convolution(&a, Int64(first), Int64(min(first + split, channels))) == VLM_OK)
            }
            #expect(relativeError(y.values, expected) < 1e-6 && relativeError(state.values, kept) < 1e-6)
        }
    }

    @Test("the gated delta rule goes on where its sequence was", arguments: [(1, 1, 1, 1), (2, 4, 5, 3), (3, 3, 16, 33)])
    func gatedDelta(keyHeads: Int, heads: Int, keyDim: Int, valueDim: Int) {
        var random = Dice(UInt64(valueDim))
        let q = Guarded(random.floats(Self.rows * keyHeads * keyDim)), k = Guarded(random.floats(Self.rows * keyHeads * keyDim))
        let v = Guarded(random.floats(Self.rows * heads * valueDim))
        let decay = Guarded(random.floats(Self.rows * heads, in: 0...1)), gain = Guarded(random.floats(Self.rows * heads, in: 0...1))
        let before = random.floats(3 * heads * keyDim * valueDim)
        let slots = Guarded(Self.slots), ordinals = Guarded(Self.ordinals)
        var kept = before.map(Double.init)
        var expected = [Double](repeating: 0, count: Self.rows * heads * valueDim)
        walk(&kept) { state, row in
            for h in 0..<heads {
                let key = (row * keyHeads + h / (heads / keyHeads)) * keyDim
                for e in 0..<valueDim {
                    func at(_ d: Int) -> Int { (h * keyDim + d) * valueDim + e }
                    for d in 0..<keyDim { state[at(d)] *= Double(decay[row * heads + h]) }
                    let known = (0..<keyDim).reduce(0) { $0 + state[at($1)] * Double(k[key + $1]) }
                    let delta = Double(gain[row * heads + h]) * (Double(v[(row * heads + h) * valueDim + e]) - known)
                    for d in 0..<keyDim { state[at(d)] += Double(k[key + d]) * delta }
                    expected[(row * heads + h) * valueDim + e] = (0..<keyDim).reduce(0) { $0 + state[at($1)] * Double(q[key + $1]) }
                }
            }
        }
        for split in [heads, 1] {
            let state = Guarded(before), y = Guarded(Self.rows * heads * valueDim) { _ in Float.nan }
            var a = vlm_gated_delta_args()
            a.sequences = sequences(state, slots, ordinals)
            (a.key_heads, a.heads, a.key_dim, a.value_dim) = (Int64(keyHeads), Int64(heads), Int64(keyDim), Int64(valueDim))
            (a.q, a.k, a.v) = (UnsafePointer(q.pointer), UnsafePointer(k.pointer), UnsafePointer(v.pointer))
            (a.decay, a.gain, a.y) = (UnsafePointer(decay.pointer), UnsafePointer(gain.pointer), y.pointer)
            (a.q_stride, a.k_stride) = (Int64(keyHeads * keyDim), Int64(keyHeads * keyDim))
            (a.v_stride, a.y_stride) = (Int64(heads * valueDim), Int64(heads * valueDim))
            (a.decay_stride, a.gain_stride) = (Int64(heads), Int64(heads))
            for first in stride(from: 0, to: heads, by: split) {
                #expect(vlm_gated_delta(&a, Int64(first), Int64(first + split)) == VLM_OK)
            }
            #expect(relativeError(y.values, expected) < 1e-5 && relativeError(state.values, kept) < 1e-5)
        }
    }

    @Test("slots that are not there are refused before anything is written")
    func refusals() {
        let state = Guarded(3 * 2) { _ in Float(7) }, y = Guarded(2) { _ in Float(7) }, x = Guarded([Float(1), 2]), w = Guarded([Float(1), 2, 3])
        let slots = Guarded([Int32(0), 3]), ordinals = Guarded([Int32(0), 0])
        var a = vlm_short_convolution_args()
        a.sequences = vlm_sequences(rows: 2, state: state.pointer, count: 3, slots: slots.pointer, ordinals: ordinals.pointer)
        (a.channels, a.taps, a.x_stride, a.y_stride) = (1, 3, 1, 1)
        (a.x, a.weight, a.y) = (UnsafePointer(x.pointer), UnsafePointer(w.pointer), y.pointer)
        #expect(vlm_short_convolution(&a, 0, 1) == VLM_BAD_INDEX)
        #expect(vlm_short_convolution(&a, 0, 2) == VLM_BAD_SHAPE)
        a.taps = 1
        #expect(vlm_short_convolution(&a, 0, 1) == VLM_BAD_SHAPE)
        var delta = vlm_gated_delta_args()
        delta.sequences = a.sequences
        (delta.key_heads, delta.heads, delta.key_dim, delta.value_dim) = (1, 1, 2, 1)
        #expect(vlm_gated_delta(&delta, 0, 1) == VLM_BAD_INDEX)
        delta.key_heads = 2
        #expect(vlm_gated_delta(&delta, 0, 1) == VLM_BAD_SHAPE)
        #expect(state.values.allSatisfy { $0 == 7 } && y.values == [7, 7])
    }
}
