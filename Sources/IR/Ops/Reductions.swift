package import Tensors

/// An op along one axis (negative: from the end).
package protocol AxisOp: Op {
    var axis: Int { get set }
    init(axis: Int)
}

extension AxisOp {
    static func alongAxis(_ name: String, _ summary: String) -> OpSchema {
        OpSchema(name, summary, blank: Self(axis: -1), operands: ["x"], attributes: [.init("axis", \.axis)])
    }

    package func normalized(for operands: [TensorType]) -> Self {
        guard let shape = operands.first?.shape else { return self }
        return Self(axis: shape.normalizedAxis(axis))
    }
}

/// An op that reduces one axis to extent 1.
package protocol ReductionOp: AxisOp {}

extension ReductionOp {
    package func infer(_ operands: [TensorType]) throws(TypeError) -> [TensorType] {
        try TypeRules.float(operands[0], "x")
        let axis = try TypeRules.axis(axis, of: operands[0])
        return [TensorType(operands[0].element, operands[0].shape.replacing(axis, with: 1))]
    }
}

/// The sum along one axis, which stays with extent 1.
package struct Sum: ReductionOp {
    package var axis: Int

    package init(axis: Int = -1) { self.axis = axis }

    package static let schema = alongAxis("sum", "The sum along one axis, which stays with extent 1.")
}

/// The arithmetic mean along one axis, which stays with extent 1.
package struct Mean: ReductionOp {
    package var axis: Int

    package init(axis: Int = -1) { self.axis = axis }

    package static let schema = alongAxis("mean", "The arithmetic mean along one axis, which stays with extent 1.")
}

/// The largest element along one axis, which stays with extent 1; −inf where there is none.
package struct Max: ReductionOp {
    package var axis: Int

    package init(axis: Int = -1) { self.axis = axis }

    package static let schema = alongAxis("max", "The largest element along one axis, which stays with extent 1; −inf where there is none.")
}

/// Normalizes along one axis: `e^(x − max) / Σ e^(x − max)`; a row that is all −inf gives zeros.
package struct Softmax: AxisOp {
    package var axis: Int

    package init(axis: Int = -1) { self.axis = axis }

    package static let schema = alongAxis("softmax", "`e^(x − max) / Σ e^(x − max)` along one axis; a row that is all −inf gives zeros.")

    package func infer(_ operands: [TensorType]) throws(TypeError) -> [TensorType] {
        try TypeRules.float(operands[0], "x")
        _ = try TypeRules.axis(axis, of: operands[0])
        return operands
    }
}

extension OpWriter {
    package func sum(_ x: Operand, axis: Int = -1) -> Operand { one(Sum(axis: axis), x) }
    package func mean(_ x: Operand, axis: Int = -1) -> Operand { one(Mean(axis: axis), x) }
    package func max(_ x: Operand, axis: Int = -1) -> Operand { one(Max(axis: axis), x) }
    package func softmax(_ x: Operand, axis: Int = -1) -> Operand { one(Softmax(axis: axis), x) }
}

enum Reductions {
    static let ops: [any Op.Type] = [Sum.self, Mean.self, Max.self, Softmax.self]
}
