package import Tensors

/// A weight that is no number.
package struct NonFiniteWeight: Sendable, Hashable {
    /// Which element of the tensor, in row-major order.
    package var element: Int
    package var isNaN: Bool
}

/// Finds the first NaN or infinite element among raw little-endian elements; nil when all are finite or the type holds integers.
package func firstNonFinite(_ bytes: UnsafeRawBufferPointer, _ dtype: DType) -> NonFiniteWeight? {
    switch dtype {
    case .bf16: firstNonFinite(bytes, exponent: 0x7F80 as UInt16)
    case .f16: firstNonFinite(bytes, exponent: 0x7C00 as UInt16)
    case .f32: firstNonFinite(bytes, exponent: 0x7F80_0000 as UInt32)
    case .f64: firstNonFinite(bytes, exponent: 0x7FF0_0000_0000_0000 as UInt64)
    default: nil
    }
}

/// `exponent` has the bits of the exponent set; an element with all of them is NaN or infinite.
@inline(__always)
private func firstNonFinite<Bits: FixedWidthInteger & BitwiseCopyable>(
    _ bytes: UnsafeRawBufferPointer, exponent: Bits
) -> NonFiniteWeight? {
    let size = MemoryLayout<Bits>.size
    let count = bytes.count / size
    guard let base = bytes.baseAddress else { return nil }
    let blockCount = 4096
    var start = 0
    while start < count {
        let end = min(start + blockCount, count)
        var found: Bits = 0
        for index in start..<end {
            let bits = base.loadUnaligned(fromByteOffset: index &* size, as: Bits.self)
            found |= (bits & exponent) == exponent ? 1 : 0
        }
        if found != 0 {
            for index in start..<end {
                let bits = base.loadUnaligned(fromByteOffset: index &* size, as: Bits.self)
                guard bits & exponent == exponent else { continue }
                return NonFiniteWeight(element: index, isNaN: bits & (Bits.max >> 1) & ~exponent != 0)
            }
        }
        start = end
    }
    return nil
}
