package import Tensors

/// A dense tensor in row-major order, for evaluation only: floats are kept as f32 that the element type can hold exactly,
/// integers and bool as i32.
package struct Tensor: Sendable, Hashable {
    package enum Storage: Sendable, Hashable {
        case floats([Float])
        case ints([Int32])
    }

    package let element: DType
    package let shape: [Int]
    package let storage: Storage

    /// Floats, rounded to the element type; the count must fit the shape.
    package init(_ values: [Float], _ shape: [Int], _ element: DType = .f32) {
        precondition(element.isFloat && values.count == shape.reduce(1, *), "\(values.count) values for \(element) \(shape)")
        self.element = element
        self.shape = shape
        storage = .floats(Rounding.round(values, to: element))
    }

    /// Integers or bools, saturated to the element type; the count must fit the shape.
    package init(ints values: [Int32], _ shape: [Int], _ element: DType = .i32) {
        precondition(!element.isFloat && values.count == shape.reduce(1, *), "\(values.count) values for \(element) \(shape)")
        self.element = element
        self.shape = shape
        storage = .ints(Rounding.saturate(values, to: element))
    }

    /// Values that the element type already holds exactly.
    init(unchecked storage: Storage, _ shape: [Int], _ element: DType) {
        self.element = element
        self.shape = shape
        self.storage = storage
    }

    package var count: Int { shape.reduce(1, *) }

    /// The type with the extents as numbers.
    package var type: TensorType { TensorType(element, Shape(shape.map(Dim.fixed))) }

    /// The elements as floats, whatever the element type.
    package var floats: [Float] {
        switch storage {
        case .floats(let values): values
        case .ints(let values): values.map(Float.init)
        }
    }

    /// The elements as integers; floats toward zero, saturated.
    package var ints: [Int32] {
        switch storage {
        case .floats(let values): values.map(Rounding.int)
        case .ints(let values): values
        }
    }

    /// The same elements under another shape of as many.
    package func reshaped(_ shape: [Int]) -> Tensor { Tensor(unchecked: storage, shape, element) }

    /// The same elements in another type, as the op `cast` converts.
    package func cast(to element: DType) -> Tensor {
        if element == self.element { return self }
        switch storage {
        case .floats(let values):
            if element.isFloat { return Tensor(values, shape, element) }
            if element == .bool { return Tensor(ints: values.map { $0 != 0 ? 1 : 0 }, shape, .bool) }
            return Tensor(ints: values.map(Rounding.int), shape, element)
        case .ints(let values):
            if element.isFloat { return Tensor(values.map(Float.init), shape, element) }
            return Tensor(ints: values, shape, element)
        }
    }
}

/// Conversions of single numbers.
package enum Rounding {
    /// The nearest number that the type holds, ties to even.
    package static func bf16(_ value: Float) -> Float {
        guard value.isFinite else { return value }
        let bits = value.bitPattern
        return Float(bitPattern: (bits &+ 0x7FFF &+ ((bits >> 16) & 1)) & 0xFFFF_0000)
    }

    static func round(_ values: [Float], to element: DType) -> [Float] {
        switch element {
        case .bf16: values.map(bf16)
        case .f16: values.map { Float(Float16($0)) }
        default: values
        }
    }

    static func saturate(_ values: [Int32], to element: DType) -> [Int32] {
        switch element {
        case .u8: values.map { min(max($0, 0), 255) }
        case .i8: values.map { min(max($0, -128), 127) }
        case .i16: values.map { min(max($0, -32768), 32767) }
        case .bool: values.map { $0 != 0 ? 1 : 0 }
        default: values
        }
    }

    /// Toward zero, saturated; NaN gives 0.
    static func int(_ value: Float) -> Int32 {
        if value.isNaN { return 0 }
        if value >= 2_147_483_648 { return .max }
        return value <= -2_147_483_648 ? .min : Int32(value)
    }
}
