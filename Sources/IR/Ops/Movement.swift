package import Tensors

/// The same elements in row-major order under another shape.
package struct Reshape: Op {
    package var dims: Shape

    package init(_ dims: Shape) { self.dims = dims }

    package static let schema = OpSchema(
        "reshape", "The same elements in row-major order under another shape.", blank: Reshape([]), operands: ["x"],
        attributes: [.init("dims", \.dims)])

    package func infer(_ operands: [TensorType]) throws(TypeError) -> [TensorType] {
        guard let old = operands[0].shape.checkedElementCount, let new = dims.checkedElementCount, old == new else {
            throw TypeError("\(operands[0]) and \(dims) hold different numbers of elements")
        }
        return [TensorType(operands[0].element, dims)]
    }

    /// Moves data only.
    package func flops(_ operands: [TensorType], _ results: [TensorType], _ count: (Shape) -> Double) -> Double { 0 }
}

/// The same elements in memory of their own, row after row; what passes put where a kernel cannot read a view.
package struct Copy: Op {
    package init() {}

    package static let schema = OpSchema(
        "copy", "The same elements in memory of their own, row after row.", blank: Copy(), operands: ["x"], isFused: true)

    package func infer(_ operands: [TensorType]) throws(TypeError) -> [TensorType] { operands }

    /// Moves data only.
    package func flops(_ operands: [TensorType], _ results: [TensorType], _ count: (Shape) -> Double) -> Double { 0 }
}

/// The axes in another order: axis `i` of the result is axis `perm[i]` of `x`.
package struct Transpose: Op {
    package var perm: [Int]

    package init(_ perm: [Int]) { self.perm = perm }

    package static let schema = OpSchema(
        "transpose", "The axes in another order: axis `i` of `y` is axis `perm[i]` of `x`.", blank: Transpose([]), operands: ["x"],
        attributes: [.init("perm", \.perm)])

    package func infer(_ operands: [TensorType]) throws(TypeError) -> [TensorType] {
        guard perm.sorted() == Array(0..<operands[0].shape.rank) else {
            throw TypeError("\(perm) is not an order of the axes of \(operands[0])")
        }
        return [TensorType(operands[0].element, Shape(perm.map { operands[0].shape[$0] }))]
    }

    /// Moves data only.
    package func flops(_ operands: [TensorType], _ results: [TensorType], _ count: (Shape) -> Double) -> Double { 0 }
}

/// The elements `start ..< end` along one axis, whose extent must be a number.
package struct Slice: Op {
    package var axis: Int
    package var start: Int
    package var end: Int

    package init(axis: Int, start: Int, end: Int) {
        self.axis = axis
        self.start = start
        self.end = end
    }

    package static let schema = OpSchema(
        "slice", "The elements `start ..< end` along one axis, whose extent must be a number.",
        blank: Slice(axis: 0, start: 0, end: 0), operands: ["x"],
        attributes: [.init("axis", \.axis), .init("start", \.start), .init("end", \.end)])

    package func normalized(for operands: [TensorType]) -> Slice {
        guard let shape = operands.first?.shape else { return self }
        return Slice(axis: shape.normalizedAxis(axis), start: start, end: end)
    }

    package func infer(_ operands: [TensorType]) throws(TypeError) -> [TensorType] {
        let axis = try TypeRules.axis(axis, of: operands[0])
        guard let extent = operands[0].shape[axis].fixedValue else {
            throw TypeError("axis \(axis) of \(operands[0]) has no fixed extent")
        }
        guard 0 <= start, start <= end, end <= extent else { throw TypeError("\(start) ..< \(end) is not within 0 ..< \(extent)") }
        return [TensorType(operands[0].element, operands[0].shape.replacing(axis, with: .fixed(end - start)))]
    }

    /// Moves data only.
    package func flops(_ operands: [TensorType], _ results: [TensorType], _ count: (Shape) -> Double) -> Double { 0 }
}

/// The operands one after another along one axis.
package struct Concat: Op {
    package var axis: Int

    package init(axis: Int) { self.axis = axis }

    package static let schema = OpSchema(
        "concat", "The operands one after another along one axis.", blank: Concat(axis: 0), operands: [.variadic("xs")],
        attributes: [.init("axis", \.axis)])

    package func normalized(for operands: [TensorType]) -> Concat {
        guard let shape = operands.first?.shape else { return self }
        return Concat(axis: shape.normalizedAxis(axis))
    }

    package func infer(_ operands: [TensorType]) throws(TypeError) -> [TensorType] {
        let axis = try TypeRules.axis(axis, of: operands[0])
        var result = operands[0]
        for operand in operands.dropFirst() {
            try TypeRules.element(operand, result.element, "an operand")
            try TypeRules.rank(operand, result.shape.rank, "an operand")
            let aligned = operand.shape.replacing(axis, with: result.shape[axis])
            guard aligned == result.shape else { throw TypeError("\(operand) does not fit \(operands[0]) beside axis \(axis)") }
            result.shape[axis] = try TypeRules.sum(result.shape[axis], operand.shape[axis])
        }
        return [result]
    }

    /// Moves data only.
    package func flops(_ operands: [TensorType], _ results: [TensorType], _ count: (Shape) -> Double) -> Double { 0 }
}

/// `x` stretched to `dims` by numpy's broadcasting.
package struct Expand: Op {
    package var dims: Shape

    package init(_ dims: Shape) { self.dims = dims }

    package static let schema = OpSchema(
        "expand", "`x` stretched to `dims` by numpy's broadcasting.", blank: Expand([]), operands: ["x"],
        attributes: [.init("dims", \.dims)])

    package func infer(_ operands: [TensorType]) throws(TypeError) -> [TensorType] {
        guard try TypeRules.broadcast(operands[0].shape, dims) == dims else { throw TypeError("\(operands[0]) does not stretch to \(dims)") }
        return [TensorType(operands[0].element, dims)]
    }

    /// Moves data only.
    package func flops(_ operands: [TensorType], _ results: [TensorType], _ count: (Shape) -> Double) -> Double { 0 }
}

/// Each slice along one axis `count` times in a row, as `torch.repeat_interleave`: `0 0 1 1 …`.
package struct Repeat: Op {
    package var axis: Int
    package var count: Int

    package init(axis: Int, count: Int) {
        self.axis = axis
        self.count = count
    }

    package static let schema = OpSchema(
        "repeat", "Each slice along one axis `count` times in a row: `0 0 1 1 …`.", blank: Repeat(axis: 0, count: 1), operands: ["x"],
        attributes: [.init("axis", \.axis), .init("count", \.count)])

    package func normalized(for operands: [TensorType]) -> Repeat {
        guard let shape = operands.first?.shape else { return self }
        return Repeat(axis: shape.normalizedAxis(axis), count: count)
    }

    package func infer(_ operands: [TensorType]) throws(TypeError) -> [TensorType] {
        let axis = try TypeRules.axis(axis, of: operands[0])
        guard count >= 1 else { throw TypeError("count \(count) is below 1") }
        let extent = try TypeRules.product(operands[0].shape[axis], count)
        return [TensorType(operands[0].element, operands[0].shape.replacing(axis, with: extent))]
    }

    /// Moves data only.
    package func flops(_ operands: [TensorType], _ results: [TensorType], _ count: (Shape) -> Double) -> Double { 0 }
}

extension OpWriter {
    package func reshape(_ x: Operand, _ dims: Shape) -> Operand { one(Reshape(dims), x) }
    package func copy(_ x: Operand) -> Operand { one(Copy(), x) }
    package func transpose(_ x: Operand, _ perm: [Int]) -> Operand { one(Transpose(perm), x) }
    package func slice(_ x: Operand, axis: Int, _ range: Range<Int>) -> Operand {
        one(Slice(axis: axis, start: range.lowerBound, end: range.upperBound), x)
    }
    package func concat(_ xs: [Operand], axis: Int) -> Operand { write(Concat(axis: axis), xs)[0] }
    package func expand(_ x: Operand, _ dims: Shape) -> Operand { one(Expand(dims), x) }
    package func `repeat`(_ x: Operand, axis: Int, count: Int) -> Operand { one(Repeat(axis: axis, count: count), x) }
}

enum Movement {
    static let ops: [any Op.Type] = [Reshape.self, Copy.self, Transpose.self, Slice.self, Concat.self, Expand.self, Repeat.self]
}
