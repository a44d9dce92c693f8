package import Tensors

/// How the rows that a linear layer multiplies lie in memory where it does not read f32; the layouts are those of the C kernels.
package enum ActivationLayout: Sendable, Hashable, Codable, CustomStringConvertible {
    /// Rounded to nearest even, zeros up to a multiple of 32.
    case bf16
    /// For each `group` of inputs its numbers as int8, then their f32 scale (greatest magnitude / 127) and i32 sum.
    case int8(group: Int)
    /// The same for blocks of 128 inputs, with zeros behind the last, as e2m1 weights meet it.
    case int8Blocks
    /// Codes as i16, zeros up to a multiple of 32, then for each 256 inputs their f32 scale (greatest magnitude / 2895).
    case int16Blocks

    /// The numbers, whatever their groups.
    package enum Element: String, Sendable, Hashable, CaseIterable {
        case bf16, int8, int8Blocks = "int8_blocks", int16Blocks = "int16_blocks"
    }

    package var element: Element {
        switch self {
        case .bf16: .bf16
        case .int8: .int8
        case .int8Blocks: .int8Blocks
        case .int16Blocks: .int16Blocks
        }
    }

    /// Bytes of a row, a multiple of 64; nil where the group does not divide the inputs.
    package func rowBytes(inputs: Int) -> Int? {
        guard inputs > 0, inputs <= Int(Int32.max) else { return nil }
        switch self {
        case .bf16: return (inputs + 31) / 32 * 64
        case .int8(let group):
            guard group > 0, group % 16 == 0, inputs % group == 0 else { return nil }
            return (inputs / group * (group + 8) + 63) / 64 * 64
        case .int8Blocks:
            guard inputs % 16 == 0 else { return nil }
            return ((inputs + 127) / 128 * 164 + 63) / 64 * 64
        case .int16Blocks: return (inputs + 31) / 32 * 64 + ((inputs + 255) / 256 * 4 + 63) / 64 * 64
        }
    }

    /// The bytes of packed rows of `type`, whose last axis is the row; nil for a type that has no such rows.
    package func bytes(of type: TensorType) -> TensorType? {
        guard let inputs = type.shape.dims.last?.fixedValue, let bytes = rowBytes(inputs: inputs) else { return nil }
        return TensorType(.u8, Shape(type.shape.dims.dropLast() + [.fixed(bytes)]))
    }

    package var description: String {
        switch self {
        case .bf16: "bf16"
        case .int8(let group): "int8 group \(group)"
        case .int8Blocks: "int8 blocks"
        case .int16Blocks: "int16 blocks"
        }
    }
}

extension Kernel {
    /// The layout of the rows that a linear layer reads; nil for f32 and for other kernels.
    package var activations: ActivationLayout? { linear?.activations }
}

extension Kernel.Linear {
    /// The layout of the rows it reads; nil for f32.
    package var activations: ActivationLayout? {
        switch (arithmetic, layout) {
        case (.bf16, _): .bf16
        case (.int8, .int4Blocks(let group)), (.int8, .int8Blocks(let group)): .int8(group: group)
        case (.int8, .f4Blocks): .int8Blocks
        case (.int16, .bf16Panels): .int16Blocks
        case (.int16, _), (.int8, _), (.f32, _), (.blas, _): nil
        }
    }
}
