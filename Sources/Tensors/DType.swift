/// The element type of a tensor, named as in checkpoints and IR text.
package enum DType: String, Sendable, Hashable, Codable, CaseIterable {
    case f32, f16, bf16, f64
    case i64, i32, i16, i8, u8
    case bool

    /// Bytes of one element.
    package var byteCount: Int {
        switch self {
        case .i64, .f64: 8
        case .f32, .i32: 4
        case .f16, .bf16, .i16: 2
        case .i8, .u8, .bool: 1
        }
    }

    /// Whether the type holds real numbers.
    package var isFloat: Bool {
        switch self {
        case .f64, .f32, .f16, .bf16: true
        default: false
        }
    }
}
