import CKernels
import COpenBLAS
import Seeded
import Testing

@Suite struct OpenBLASTests {
    /// Every way that sums begin and end, over pieces that the outputs and inputs do not fill.
    @Test("layers equal those of the kernels", arguments: [VLM_LINEAR_F32_F32, VLM_LINEAR_BF16_F32], [(7, 33), (600, 40), (513, 1100)])
    func equalsKernels(kind: vlm_linear_kind, shape: (inputs: Int, outputs: Int)) throws {
        try #require(vlm_openblas_open(), "OpenBLAS is not installed")
        let rows = 5, (inputs, outputs) = shape
        var random = Dice(UInt64(inputs))
        let x = Guarded(random.floats(rows * inputs)), source = Guarded(random.floats(outputs * inputs))
        let bias = Guarded(random.floats(outputs)), added = Guarded(random.floats(rows * outputs))
        let format = vlm_linear_format(kind)
        let packed = Guarded<UInt8>(vlm_weight_bytes(format, Int64(outputs), Int64(inputs), 0), aligned: true) { _ in 0xff }
        var pack = vlm_pack_rows_args(
            format: format, source_type: VLM_F32, outputs: Int64(outputs), inputs: Int64(inputs), first: 0, count: Int64(outputs),
            source: source.pointer, source_stride: Int64(inputs), packed: packed.pointer)
        #expect(vlm_pack_rows(&pack) == VLM_OK)
        let own = scratch(vlm_linear_scratch_bytes()), library = scratch(vlm_openblas_scratch_bytes())
        for variant in 0..<8 {
            let (hasBias, hasResidual, isActivated) = (variant & 1 > 0, variant & 2 > 0, variant & 4 > 0)
            let expected = Guarded<Float>(rows * outputs) { _ in .nan }, found = Guarded<Float>(rows * outputs) { _ in .nan }
            var a = vlm_linear_args(
                kind: kind, activation: isActivated ? VLM_ACTIVATION_SILU : VLM_ACTIVATION_NONE, rows: Int64(rows), inputs: Int64(inputs),
                outputs: Int64(outputs), group: 0, x: x.pointer, x_stride: Int64(inputs), packed: nil, weight: packed.pointer,
                bias: hasBias ? UnsafePointer(bias.pointer) : nil, residual: hasResidual ? UnsafePointer(added.pointer) : nil,
                residual_stride: Int64(outputs), y: expected.pointer, y_stride: Int64(outputs), is_far: false, is_gated: false)
            let panels = vlm_panels(Int64(outputs))
            #expect(vlm_linear(&a, 0, vlm_linear_items(&a, vlm_cpu_features()), own.pointer, vlm_cpu_features()) == VLM_OK)
            a.y = found.pointer
            // The residual is often the output itself.
            if hasResidual && !isActivated {
                for i in 0..<rows * outputs { found[i] = added[i] }
                a.residual = UnsafePointer(found.pointer)
            }
            let middle = panels / 2
            #expect(vlm_openblas_linear(&a, middle, panels, library.pointer, vlm_cpu_features()))
            #expect(vlm_openblas_linear(&a, 0, middle, library.pointer, vlm_cpu_features()))
            let difference = zip(expected.values, found.values).map { abs($0 - $1) }.max() ?? .infinity
            #expect(difference <= 1e-5 * Float(inputs), "variant \(variant)")
        }
    }

    @Test("what it does not compute is left to the kernels")
    func refusals() {
        let y = Guarded<Float>(64) { _ in 1 }, scratch = scratch(vlm_openblas_scratch_bytes())
        var a = vlm_linear_args()
        (a.kind, a.rows, a.inputs, a.outputs, a.y, a.y_stride) = (VLM_LINEAR_INT4_F32, 1, 32, 32, y.pointer, 32)
        #expect(!vlm_openblas_linear(&a, 0, 1, scratch.pointer, 0))
        (a.kind, a.activation, a.residual) = (VLM_LINEAR_F32_F32, VLM_ACTIVATION_SILU, UnsafePointer(y.pointer))
        #expect(!vlm_openblas_linear(&a, 0, 1, scratch.pointer, 0))
        a.residual = nil
        #expect(!vlm_openblas_linear(&a, 0, 2, scratch.pointer, 0))
        #expect(y.values.allSatisfy { $0 == 1 })
    }
}
