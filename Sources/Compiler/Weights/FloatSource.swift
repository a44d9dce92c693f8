import CKernels
import Reference
import Tensors

/// Rows of codes and scales of small floats, to be laid out for kernels.
struct FloatSource {
    private let codes: [UInt8]
    private let parts: [Tensor]
    private let rows: Range<Int>
    private let inputs, group: Int

    /// - Parameters:
    ///   - parts: codes, scales, and for FP4 the outputs' scales.
    ///   - rows: which of their outputs.
    init(_ parts: [Tensor], _ rows: Range<Int>, inputs: Int, group: Int) {
        (self.parts, self.rows, self.inputs, self.group) = (parts, rows, inputs, group)
        codes = Self.bytes(parts[0], rows)
    }

    private static func bytes(_ tensor: Tensor, _ rows: Range<Int>) -> [UInt8] {
        let width = tensor.shape[1]
        return tensor.ints[rows.lowerBound * width..<rows.upperBound * width].map(UInt8.init(truncatingIfNeeded:))
    }

    func packFloat8(to target: UnsafeMutableRawPointer) -> Bool {
        let width = parts[1].shape[1], scales = parts[1].cast(to: .f32).floats[rows.lowerBound * width..<rows.upperBound * width]
        return codes.withUnsafeBufferPointer { codes in
            scales.withUnsafeBufferPointer { scales in
                var arguments = vlm_pack_f8_args(
                    outputs: Int64(rows.count), inputs: Int64(inputs), group: Int64(group), first: 0, count: Int64(rows.count),
                    codes: codes.baseAddress, scales: scales.baseAddress, packed: target)
                return vlm_pack_f8(&arguments) == VLM_OK
            }
        }
    }

    func packFloat4(to target: UnsafeMutableRawPointer) -> Bool {
        let scales = Self.bytes(parts[1], rows), outputs = parts[2].floats[rows]
        return codes.withUnsafeBufferPointer { codes in
            scales.withUnsafeBufferPointer { scales in
                outputs.withUnsafeBufferPointer { outputs in
                    var arguments = vlm_pack_f4_args(
                        outputs: Int64(rows.count), inputs: Int64(inputs), group: Int64(group), first: 0, count: Int64(rows.count),
                        codes: codes.baseAddress, scales: scales.baseAddress, output_scales: outputs.baseAddress, packed: target)
                    return vlm_pack_f4(&arguments) == VLM_OK
                }
            }
        }
    }
}
