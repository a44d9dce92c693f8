import CKernels
import Testing

/// A gated layer is its plain layer and the gating behind it, bit by bit.
@Suite struct GatedLayerTests {
    @Test(arguments: LinearTests.kinds.map(\.rawValue)) func gatesWhatThePlainLayerGives(_ kind: UInt32) {
        for (rows, half) in [(1, 32), (5, 1600), (24, 96), (25, 64), (193, 320), (400, 32)] {
            let fixture = LinearFixture(
                LinearCase(kind: vlm_linear_kind(kind), rows: rows, inputs: 64, outputs: 2 * half, group: 32, seed: UInt64(rows)))
            for isa in featureSets {
                let plain = Guarded(fixture.run(isa)), expected = Guarded<Float>(rows * half) { _ in .nan }, y = Guarded<Float>(rows * half) { _ in .nan }
                var gate = vlm_gated_args(
                    activation: VLM_ACTIVATION_SILU, columns: Int64(half), x: plain.pointer, x_stride: Int64(2 * half), y: expected.pointer,
                    y_stride: Int64(half))
                vlm_gated(&gate, 0, Int64(rows), isa)
                var layer = fixture.arguments()
                (layer.activation, layer.is_gated, layer.y, layer.y_stride) = (VLM_ACTIVATION_SILU, true, y.pointer, Int64(half))
                let items = vlm_linear_items(&layer, isa), middle = items / 3
                #expect(vlm_linear(&layer, middle, items, fixture.memory.pointer, isa) == VLM_OK)
                #expect(vlm_linear(&layer, 0, middle, fixture.memory.pointer, isa) == VLM_OK)
                #expect(y.values == expected.values, "\(fixture.c.testDescription) isa \(isa)")
            }
        }
    }

    @Test func halvesAreWholePanels() {
        let fixture = LinearFixture(LinearCase(kind: VLM_LINEAR_BF16_F32, rows: 2, inputs: 16, outputs: 96, group: 16))
        var layer = fixture.arguments()
        layer.is_gated = true
        #expect(vlm_linear(&layer, 0, 1, fixture.memory.pointer, vlm_cpu_features()) == VLM_BAD_SHAPE)
        layer.outputs = 64
        #expect(vlm_linear(&layer, 0, 2, fixture.memory.pointer, vlm_cpu_features()) == VLM_BAD_SHAPE)
        layer.residual = UnsafePointer(fixture.residual.pointer)
        #expect(vlm_linear(&layer, 0, 1, fixture.memory.pointer, vlm_cpu_features()) == VLM_BAD_SHAPE)
    }
}
