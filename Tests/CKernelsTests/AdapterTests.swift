import CKernels
import Seeded
import Testing

/// What adapters add: mathematics in f64, the same bits however ranks and columns are shared out, and nothing beyond the matrices.
@Suite struct AdapterTests {
    private static let shapes = [(1, 1, 1), (7, 5, 1), (16, 16, 8), (33, 17, 9), (64, 96, 16), (129, 520, 20), (2048, 31, 64)]

    @Test(arguments: shapes) func addsTheProduct(inputs: Int, outputs: Int, rank: Int) {
        var dice = Dice(UInt64(inputs * 7 + rank))
        let x = Guarded(dice.floats(inputs)), down = Guarded(dice.floats(rank * inputs)), up = Guarded(dice.floats(rank * outputs))
        let before = dice.floats(outputs)
        var adapter = vlm_adapter(rank: Int64(rank), down: UnsafePointer(down.pointer), up: UnsafePointer(up.pointer))
        let middle = (0..<rank).map { j in (0..<inputs).reduce(0.0) { $0 + Double(down[j * inputs + $1]) * Double(x[$1]) } }
        let size = Double(inputs + 16) * 0x1p-23
        for isa in featureSets {
            let h = Guarded(rank) { _ in Float.nan }, y = Guarded(before)
            #expect(vlm_adapter_down(&adapter, x.pointer, Int64(inputs), 0, Int64(rank), h.pointer, isa) == VLM_OK)
            for j in 0..<rank {
                let magnitude = (0..<inputs).reduce(0.0) { $0 + abs(Double(down[j * inputs + $1]) * Double(x[$1])) }
                #expect(abs(Double(h[j]) - middle[j]) <= size * magnitude + 1e-12)
            }
            #expect(vlm_adapter_up(&adapter, h.pointer, Int64(outputs), 0, Int64(outputs), y.pointer, isa) == VLM_OK)
            for o in 0..<outputs {
                let terms = (0..<rank).map { Double(h[$0]) * Double(up[$0 * outputs + o]) }
                let magnitude = terms.reduce(abs(Double(before[o]))) { $0 + abs($1) }
                #expect(abs(Double(y[o]) - terms.reduce(Double(before[o]), +)) <= Double(rank + 2) * 0x1p-23 * magnitude)
            }
            let parts = Guarded(rank) { _ in Float.nan }, pieces = Guarded(before)
            for j in 0..<rank { _ = vlm_adapter_down(&adapter, x.pointer, Int64(inputs), Int64(j), Int64(j + 1), parts.pointer, isa) }
            for o in stride(from: 0, to: outputs, by: 5) {
                _ = vlm_adapter_up(&adapter, h.pointer, Int64(outputs), Int64(o), Int64(min(o + 5, outputs)), pieces.pointer, isa)
            }
            #expect(parts.values == h.values && pieces.values == y.values, "isa \(isa)")
        }
    }

    @Test func rangesBeyondTheMatricesAreRefused() {
        let x = Guarded([Float](repeating: 1, count: 4)), h = Guarded([Float(7)])
        var adapter = vlm_adapter(rank: 1, down: UnsafePointer(x.pointer), up: UnsafePointer(x.pointer))
        #expect(vlm_adapter_down(&adapter, x.pointer, 4, 0, 2, h.pointer, 0) == VLM_BAD_SHAPE)
        #expect(vlm_adapter_down(&adapter, x.pointer, 0, 0, 1, h.pointer, 0) == VLM_BAD_SHAPE)
        #expect(vlm_adapter_up(&adapter, h.pointer, 4, 3, 5, x.pointer, 0) == VLM_BAD_SHAPE)
        #expect(vlm_adapter_up(&adapter, h.pointer, 4, 3, 2, x.pointer, 0) == VLM_BAD_SHAPE)
        #expect(h[0] == 7 && x.values == [1, 1, 1, 1])
        adapter.rank = 0
        #expect(vlm_adapter_up(&adapter, h.pointer, 4, 0, 4, x.pointer, 0) == VLM_OK && x.values == [1, 1, 1, 1])
    }
}
