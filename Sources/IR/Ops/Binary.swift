package import Tensors

/// An op that combines two tensors element by element; shapes broadcast as in numpy, element types must agree.
package protocol BinaryOp: Op {
    init()
}

extension BinaryOp {
    static func elementwise(_ name: String, _ summary: String) -> OpSchema {
        OpSchema(name, summary, blank: Self(), operands: ["a", "b"])
    }

    package func infer(_ operands: [TensorType]) throws(TypeError) -> [TensorType] {
        let (a, b) = (operands[0], operands[1])
        guard a.element != .bool else { throw TypeError("a holds bool, not numbers") }
        try TypeRules.element(b, a.element, "b")
        return [TensorType(a.element, try TypeRules.broadcast(a.shape, b.shape))]
    }
}

/// The sum `a + b`.
package struct Add: BinaryOp {
    package init() {}
    package static let schema = elementwise("add", "The sum `a + b`.")
}

/// The difference `a − b`.
package struct Sub: BinaryOp {
    package init() {}
    package static let schema = elementwise("sub", "The difference `a − b`.")
}

/// The product `a · b`.
package struct Mul: BinaryOp {
    package init() {}
    package static let schema = elementwise("mul", "The product `a · b`.")
}

/// The quotient `a / b`; integers round toward zero.
package struct Div: BinaryOp {
    package init() {}
    package static let schema = elementwise("div", "The quotient `a / b`; integers round toward zero.")
}

/// The larger of `a` and `b`.
package struct Maximum: BinaryOp {
    package init() {}
    package static let schema = elementwise("maximum", "The larger of `a` and `b`.")
}

/// The smaller of `a` and `b`.
package struct Minimum: BinaryOp {
    package init() {}
    package static let schema = elementwise("minimum", "The smaller of `a` and `b`.")
}

/// Chooses by a mask: `x` where `mask` is true, else `y`; all three broadcast as in numpy.
package struct Where: Op {
    package init() {}

    package static let schema = OpSchema(
        "where", "`x` where `mask` is true, else `y`; all three broadcast as in numpy.", blank: Where(), operands: ["mask", "x", "y"])

    package func infer(_ operands: [TensorType]) throws(TypeError) -> [TensorType] {
        let (mask, x, y) = (operands[0], operands[1], operands[2])
        try TypeRules.element(mask, .bool, "mask")
        try TypeRules.element(y, x.element, "y")
        return [TensorType(x.element, try TypeRules.broadcast(mask.shape, TypeRules.broadcast(x.shape, y.shape)))]
    }
}

extension OpWriter {
    package func add(_ a: Operand, _ b: Operand) -> Operand { one(Add(), a, b) }
    package func sub(_ a: Operand, _ b: Operand) -> Operand { one(Sub(), a, b) }
    package func mul(_ a: Operand, _ b: Operand) -> Operand { one(Mul(), a, b) }
    package func div(_ a: Operand, _ b: Operand) -> Operand { one(Div(), a, b) }
    package func maximum(_ a: Operand, _ b: Operand) -> Operand { one(Maximum(), a, b) }
    package func minimum(_ a: Operand, _ b: Operand) -> Operand { one(Minimum(), a, b) }
    package func `where`(_ mask: Operand, _ x: Operand, _ y: Operand) -> Operand { one(Where(), mask, x, y) }
}

enum Binary {
    static let ops: [any Op.Type] = [Add.self, Sub.self, Mul.self, Div.self, Maximum.self, Minimum.self, Where.self]
}
