package import Tensors

/// An element type that a safetensors header may name, whether we compute with it or not.
package enum SafetensorsElement: String, Sendable, Hashable, CaseIterable {
    case bool = "BOOL"
    case u8 = "U8", i8 = "I8", u16 = "U16", i16 = "I16", u32 = "U32", i32 = "I32", u64 = "U64", i64 = "I64"
    case f16 = "F16", bf16 = "BF16", f32 = "F32", f64 = "F64", c64 = "C64"
    case f8e4m3 = "F8_E4M3", f8e5m2 = "F8_E5M2", f8e8m0 = "F8_E8M0"
    case f6e2m3 = "F6_E2M3", f6e3m2 = "F6_E3M2", f4 = "F4"

    package var bitCount: Int {
        switch self {
        case .f4: 4
        case .f6e2m3, .f6e3m2: 6
        case .bool, .u8, .i8, .f8e4m3, .f8e5m2, .f8e8m0: 8
        case .u16, .i16, .f16, .bf16: 16
        case .u32, .i32, .f32: 32
        case .u64, .i64, .f64, .c64: 64
        }
    }

    /// The type we compute with; nil for those that are not supported. FP8 weights are bytes, which their recipe unpacks.
    package var dtype: DType? {
        switch self {
        case .bool: .bool
        case .u8, .f8e4m3: .u8
        case .i8: .i8
        case .i16: .i16
        case .i32: .i32
        case .i64: .i64
        case .f16: .f16
        case .bf16: .bf16
        case .f32: .f32
        case .f64: .f64
        default: nil
        }
    }

    package init(_ dtype: DType) {
        self =
            switch dtype {
            case .bool: .bool
            case .u8: .u8
            case .i8: .i8
            case .i16: .i16
            case .i32: .i32
            case .i64: .i64
            case .f16: .f16
            case .bf16: .bf16
            case .f32: .f32
            case .f64: .f64
            }
    }
}
