package import Tensors

/// An op that maps each real number alone; the result has the operand's type.
package protocol UnaryOp: Op {
    init()
}

extension UnaryOp {
    static func elementwise(_ name: String, _ summary: String) -> OpSchema {
        OpSchema(name, summary, blank: Self(), operands: ["x"])
    }

    package func infer(_ operands: [TensorType]) throws(TypeError) -> [TensorType] {
        try TypeRules.float(operands[0], "x")
        return operands
    }
}

/// The negation `−x`.
package struct Neg: UnaryOp {
    package init() {}
    package static let schema = elementwise("neg", "The negation `−x`.")
}

/// The square `x²`.
package struct Square: UnaryOp {
    package init() {}
    package static let schema = elementwise("square", "The square `x²`.")
}

/// The square root `√x`.
package struct Sqrt: UnaryOp {
    package init() {}
    package static let schema = elementwise("sqrt", "The square root `√x`.")
}

/// The reciprocal square root `1 / √x`.
package struct Rsqrt: UnaryOp {
    package init() {}
    package static let schema = elementwise("rsqrt", "The reciprocal square root `1 / √x`.")
}

/// The exponential `eˣ`.
package struct Exp: UnaryOp {
    package init() {}
    package static let schema = elementwise("exp", "The exponential `eˣ`.")
}

/// The natural logarithm.
package struct Log: UnaryOp {
    package init() {}
    package static let schema = elementwise("log", "The natural logarithm.")
}

/// The smooth positive part `log(1 + eˣ)`.
package struct Softplus: UnaryOp {
    package init() {}
    package static let schema = elementwise("softplus", "The smooth positive part `log(1 + eˣ)`.")
}

/// The cosine of an angle in radians.
package struct Cos: UnaryOp {
    package init() {}
    package static let schema = elementwise("cos", "The cosine of an angle in radians.")
}

/// The sine of an angle in radians.
package struct Sin: UnaryOp {
    package init() {}
    package static let schema = elementwise("sin", "The sine of an angle in radians.")
}

/// The logistic function `1 / (1 + e⁻ˣ)`.
package struct Sigmoid: UnaryOp {
    package init() {}
    package static let schema = elementwise("sigmoid", "The logistic function `1 / (1 + e⁻ˣ)`.")
}

/// The hyperbolic tangent.
package struct Tanh: UnaryOp {
    package init() {}
    package static let schema = elementwise("tanh", "The hyperbolic tangent.")
}

/// The error function `2/√π · ∫₀ˣ e^(−t²) dt`.
package struct Erf: UnaryOp {
    package init() {}
    package static let schema = elementwise("erf", "The error function `2/√π · ∫₀ˣ e^(−t²) dt`.")
}

/// The reciprocal `1 / x`.
package struct Reciprocal: UnaryOp {
    package init() {}
    package static let schema = elementwise("reciprocal", "The reciprocal `1 / x`.")
}

/// Converts each element to another type: to floats rounding to nearest even, to integers toward zero, to bool as `x ≠ 0`.
package struct Cast: Op {
    package var to: DType

    package init(to: DType) { self.to = to }

    package static let schema = OpSchema(
        "cast", "Each element in another type: to floats rounding to nearest even, to integers toward zero, to bool as `x ≠ 0`.",
        blank: Cast(to: .f32), operands: ["x"], attributes: [.init("to", \.to)])

    package func infer(_ operands: [TensorType]) throws(TypeError) -> [TensorType] { [TensorType(to, operands[0].shape)] }
}

extension OpWriter {
    package func neg(_ x: Operand) -> Operand { one(Neg(), x) }
    package func square(_ x: Operand) -> Operand { one(Square(), x) }
    package func rsqrt(_ x: Operand) -> Operand { one(Rsqrt(), x) }
    package func sqrt(_ x: Operand) -> Operand { one(Sqrt(), x) }
    package func log(_ x: Operand) -> Operand { one(Log(), x) }
    package func softplus(_ x: Operand) -> Operand { one(Softplus(), x) }
    package func exp(_ x: Operand) -> Operand { one(Exp(), x) }
    package func cos(_ x: Operand) -> Operand { one(Cos(), x) }
    package func sin(_ x: Operand) -> Operand { one(Sin(), x) }
    package func sigmoid(_ x: Operand) -> Operand { one(Sigmoid(), x) }
    package func tanh(_ x: Operand) -> Operand { one(Tanh(), x) }
    package func erf(_ x: Operand) -> Operand { one(Erf(), x) }
    package func reciprocal(_ x: Operand) -> Operand { one(Reciprocal(), x) }
    package func cast(_ x: Operand, to: DType) -> Operand { one(Cast(to: to), x) }
}

enum Unary {
    static let ops: [any Op.Type] = [
        Neg.self, Square.self, Sqrt.self, Rsqrt.self, Exp.self, Log.self, Cos.self, Sin.self, Sigmoid.self, Tanh.self, Erf.self, Softplus.self,
        Reciprocal.self, Cast.self,
    ]
}
