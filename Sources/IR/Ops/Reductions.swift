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

/// The running sum along one axis: `y[i] = x[0] + … + x[i]`.
package struct CumulativeSum: AxisOp {
    package var axis: Int

    package init(axis: Int = -1) { self.axis = axis }

    package static let schema = alongAxis("cumsum", "The running sum along one axis: `y[i] = x[0] + … + x[i]`.")

    package func infer(_ operands: [TensorType]) throws(TypeError) -> [TensorType] {
        try TypeRules.float(operands[0], "x")
        _ = try TypeRules.axis(axis, of: operands[0])
        return operands
    }
}

/// Where the largest element along one axis is, as i32; of several the first. The axis stays with extent 1.
package struct ArgMax: AxisOp {
    package var axis: Int

    package init(axis: Int = -1) { self.axis = axis }

    package static let schema = alongAxis("argmax", "Where the largest element along one axis is, as i32; of several the first.")

    package func infer(_ operands: [TensorType]) throws(TypeError) -> [TensorType] {
        try TypeRules.float(operands[0], "x")
        let axis = try TypeRules.axis(axis, of: operands[0])
        return [TensorType(.i32, operands[0].shape.replacing(axis, with: 1))]
    }
}

/// The `count` largest elements along one axis in falling order, and where they are, as i32; of equals the first comes first.
package struct TopK: Op {
    package var axis: Int
    package var count: Int

    package init(axis: Int = -1, count: Int) {
        self.axis = axis
        self.count = count
    }

    package static let schema = OpSchema(
        "top_k", "The `count` largest elements along one axis in falling order, and where they are; of equals the first comes first.",
        blank: TopK(count: 1), operands: ["x"], attributes: [.init("axis", \.axis), .init("count", \.count)],
        results: ["values", "indices"])

    package func normalized(for operands: [TensorType]) -> TopK {
        guard let shape = operands.first?.shape else { return self }
        return TopK(axis: shape.normalizedAxis(axis), count: count)
    }

    package func infer(_ operands: [TensorType]) throws(TypeError) -> [TensorType] {
        try TypeRules.float(operands[0], "x")
        let axis = try TypeRules.axis(axis, of: operands[0])
        guard let extent = operands[0].shape[axis].fixedValue else { throw TypeError("axis \(axis) of \(operands[0]) has no fixed extent") }
        guard (0...extent).contains(count) else { throw TypeError("count \(count) is not in 0 … \(extent)") }
        let shape = operands[0].shape.replacing(axis, with: .fixed(count))
        return [TensorType(operands[0].element, shape), TensorType(.i32, shape)]
    }
}

extension OpWriter {
    package func sum(_ x: Operand, axis: Int = -1) -> Operand { one(Sum(axis: axis), x) }
    package func mean(_ x: Operand, axis: Int = -1) -> Operand { one(Mean(axis: axis), x) }
    package func max(_ x: Operand, axis: Int = -1) -> Operand { one(Max(axis: axis), x) }
    package func softmax(_ x: Operand, axis: Int = -1) -> Operand { one(Softmax(axis: axis), x) }
    package func cumulativeSum(_ x: Operand, axis: Int = -1) -> Operand { one(CumulativeSum(axis: axis), x) }
    package func argmax(_ x: Operand, axis: Int = -1) -> Operand { one(ArgMax(axis: axis), x) }
    package func topK(_ x: Operand, axis: Int = -1, count: Int) -> (values: Operand, indices: Operand) {
        let results = write(TopK(axis: axis, count: count), [x])
        return (results[0], results[1])
    }
}

enum Reductions {
    static let ops: [any Op.Type] = [Sum.self, Mean.self, Max.self, ArgMax.self, TopK.self, Softmax.self, CumulativeSum.self]
}
