package import Tensors

/// A constant whose elements are all `value`.
package struct Literal: Op {
    /// What every element is, rounded to the element type; never NaN.
    package var value: Double
    package var type: TensorType

    package init(_ value: Double, _ type: TensorType = TensorType(.f32, [])) {
        self.value = value
        self.type = type
    }

    package static let schema = OpSchema(
        "literal", "A constant whose elements are all `value`.", blank: Literal(0),
        attributes: [.init("value", \.value), .init("type", \.type, in: .resultType)])

    package func infer(_ operands: [TensorType]) throws(TypeError) -> [TensorType] {
        guard !value.isNaN else { throw TypeError("value is NaN") }
        if !type.element.isFloat {
            guard value == value.rounded(), abs(value) <= 9e15 else {
                throw TypeError("value \(value) is not an integer of \(type.element.rawValue)")
            }
        }
        return [type]
    }

    /// Moves data only.
    package func flops(_ operands: [TensorType], _ results: [TensorType], _ count: (Shape) -> Double) -> Double { 0 }
}

/// A small constant given element by element, in row-major order.
package struct Constant: Op {
    package static let maximumCount = 1 << 16

    package var values: [Double]
    package var type: TensorType

    package init(_ values: [Double], _ type: TensorType) {
        self.values = values
        self.type = type
    }

    package static let schema = OpSchema(
        "constant", "A small constant given element by element, in row-major order.", blank: Constant([], TensorType(.f32, [0])),
        attributes: [.init("values", \.values), .init("type", \.type, in: .resultType)])

    package func infer(_ operands: [TensorType]) throws(TypeError) -> [TensorType] {
        guard let count = type.shape.checkedElementCount, count.symbols.isEmpty, count.factor == values.count else {
            throw TypeError("\(values.count) values do not fill \(type)")
        }
        guard values.count <= Self.maximumCount else { throw TypeError("\(values.count) values are above \(Self.maximumCount)") }
        for value in values {
            guard value.isFinite, type.element.isFloat || (value == value.rounded() && abs(value) <= 9e15) else {
                throw TypeError("value \(value) is not one of \(type.element.rawValue)")
            }
        }
        return [type]
    }

    /// Moves data only.
    package func flops(_ operands: [TensorType], _ results: [TensorType], _ count: (Shape) -> Double) -> Double { 0 }
}

/// A tensor of the checkpoint, by the name of its declaration in the module.
package struct Weight: Op {
    package var name: String
    /// As declared.
    package var type: TensorType

    package init(_ name: String, _ type: TensorType) {
        self.name = name
        self.type = type
    }

    package static let schema = OpSchema(
        "weight", "A tensor of the checkpoint, by the name of its declaration in the module.", blank: Weight("", TensorType(.f32, [])),
        attributes: [.init("name", \.name, in: .subject), .init("type", \.type, in: .resultType)])

    package func infer(_ operands: [TensorType]) throws(TypeError) -> [TensorType] {
        guard type.shape.fixed != nil else { throw TypeError("\(type) has a symbol, which no checkpoint gives a value") }
        return [type]
    }

    /// Moves data only.
    package func flops(_ operands: [TensorType], _ results: [TensorType], _ count: (Shape) -> Double) -> Double { 0 }
}

extension OpWriter {
    /// A constant of f32 scalars unless another type is asked for.
    package func literal(_ value: Double, _ type: TensorType = TensorType(.f32, [])) -> Operand { one(Literal(value, type)) }

    /// A small f32 vector.
    package func constant(_ values: [Double]) -> Operand {
        one(Constant(values, TensorType(.f32, [.fixed(values.count)])))
    }
}

enum Constants {
    static let ops: [any Op.Type] = [Literal.self, Constant.self, Weight.self]
}
