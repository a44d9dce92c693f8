package import Tensors

/// What the numbers are that a checkpoint packs into words or bytes.
package enum CodeElement: String, Sendable, Hashable, CaseIterable {
    /// Unsigned integers in i32 words, the first in the lowest bits.
    case u4, u8
    /// FP8 with four bits of exponent and three of mantissa, one in a byte.
    case f8e4m3
    /// FP4 with two bits of exponent and one of mantissa, two in a byte, the first in the low half.
    case e2m1
    /// A power of two, stored as its exponent plus 127.
    case e8m0

    /// How many lie in one stored element.
    package var count: Int {
        switch self {
        case .u4: 8
        case .u8: 4
        case .e2m1: 2
        case .f8e4m3, .e8m0: 1
        }
    }

    package var isInteger: Bool { self == .u4 || self == .u8 }
}

extension CodeElement: AttributeConvertible {
    package static var attributeKind: AttributeKind { .word(allCases.map(\.rawValue)) }
    package init?(_ value: AttributeValue) {
        guard case .word(let word) = value else { return nil }
        self.init(rawValue: word)
    }
    package var attributeValue: AttributeValue { .word(rawValue) }
}

/// The numbers that lie packed along one axis: integers, plus an offset, as i32; floats as f32.
package struct Unpack: Op {
    package var element: CodeElement
    package var axis: Int
    package var offset: Int

    package init(_ element: CodeElement, axis: Int, offset: Int = 0) {
        self.element = element
        self.axis = axis
        self.offset = offset
    }

    package static let schema = OpSchema(
        "unpack", "The numbers packed along one axis of `x`: integers of i32 words, plus `offset`, or small floats of bytes.",
        blank: Unpack(.u4, axis: 1), operands: ["x"],
        attributes: [
            .init("element", \.element), .init("axis", \.axis, isOptional: true), .init("offset", \.offset, isOptional: true),
        ])

    package func infer(_ operands: [TensorType]) throws(TypeError) -> [TensorType] {
        let x = operands[0]
        try TypeRules.element(x, element.isInteger ? .i32 : .u8, "x")
        guard x.shape.dims.indices.contains(axis) else { throw TypeError("axis \(axis) is not in \(x)") }
        guard (0...1).contains(offset), offset == 0 || element.isInteger else { throw TypeError("offset \(offset) is not 0 or 1") }
        let extent = try TypeRules.product(x.shape[axis], element.count)
        return [TensorType(element.isInteger ? .i32 : .f32, x.shape.replacing(axis, with: extent))]
    }

    /// Moves data only.
    package func flops(_ operands: [TensorType], _ results: [TensorType], _ count: (Shape) -> Double) -> Double { 0 }
}

/// A weight from codes with a scale, and perhaps a zero, for each block of `rows` outputs and `columns` inputs:
/// `w[o, i] = (codes[o, i] − zeros[o / rows, g]) · scales[o / rows, g]`, where `g` is `order[i]`, or `i / columns` without an order.
package struct Dequantize: Op {
    package var rows: Int
    package var columns: Int
    package var hasZeros: Bool
    package var hasOrder: Bool

    package init(rows: Int, columns: Int, hasZeros: Bool = false, hasOrder: Bool = false) {
        self.rows = rows
        self.columns = columns
        self.hasZeros = hasZeros
        self.hasOrder = hasOrder
    }

    package static let schema = OpSchema(
        "dequantize", "`w[o, i] = (codes[o, i] − zeros[o / rows, g]) · scales[o / rows, g]` with `g = order[i]`, else `i / columns`.",
        blank: Dequantize(rows: 1, columns: 128),
        operands: ["codes", "scales", .optional("zeros", \.hasZeros), .optional("order", \.hasOrder)],
        attributes: [.init("rows", \.rows, isOptional: true), .init("columns", \.columns)])

    package func infer(_ operands: [TensorType]) throws(TypeError) -> [TensorType] {
        let (codes, scales) = (operands[0], operands[1])
        try TypeRules.rank(codes, 2, "codes")
        guard [.i32, .i8, .f32].contains(codes.element) else { throw TypeError("codes hold \(codes.element.rawValue)") }
        guard let outputs = codes.shape[0].fixedValue, let inputs = codes.shape[1].fixedValue else {
            throw TypeError("codes \(codes) have no fixed extents")
        }
        guard (1...TensorType.maximumExtent).contains(rows), (1...TensorType.maximumExtent).contains(columns) else {
            throw TypeError("blocks of \(rows) by \(columns) are none")
        }
        let blocks: Shape = [.fixed((outputs + rows - 1) / rows), .fixed((inputs + columns - 1) / columns)]
        try TypeRules.float(scales, "scales")
        try TypeRules.shape(scales, blocks, "scales")
        if hasZeros {
            try TypeRules.element(operands[2], .i32, "zeros")
            try TypeRules.shape(operands[2], blocks, "zeros")
        }
        if hasOrder {
            let order = operands[hasZeros ? 3 : 2]
            try TypeRules.element(order, .i32, "order")
            try TypeRules.shape(order, [codes.shape[1]], "order")
        }
        return [TensorType(.f32, codes.shape)]
    }
}

/// Codes 0 … 15 in the words of AutoAWQ's GEMM layout, eight consecutive columns in one, as int4 kernels' packing reads them.
package struct Int4Words: Op {
    package init() {}

    package static let schema = OpSchema(
        "int4_words", "Codes 0 … 15 as i32 words of AutoAWQ's order, eight columns in one.", blank: Int4Words(), operands: ["codes"], isFused: true)

    package func infer(_ operands: [TensorType]) throws(TypeError) -> [TensorType] {
        let codes = operands[0]
        try TypeRules.element(codes, .i32, "codes")
        try TypeRules.rank(codes, 2, "codes")
        guard let columns = codes.shape[1].fixedValue, columns % 8 == 0 else { throw TypeError("codes \(codes) are not in eights") }
        return [TensorType(.i32, [codes.shape[0], .fixed(columns / 8)])]
    }

    /// Moves data only.
    package func flops(_ operands: [TensorType], _ results: [TensorType], _ count: (Shape) -> Double) -> Double { 0 }
}

/// The numbers of inputs, those of group 0 first, each group's in their order; every group must have `group` inputs.
package struct GroupOrder: Op {
    package var group: Int

    package init(group: Int) { self.group = group }

    package static let schema = OpSchema(
        "group_order", "The numbers of inputs sorted by the group that each belongs to, which must all have `group` inputs.",
        blank: GroupOrder(group: 1), operands: ["groups"], attributes: [.init("group", \.group)], isFused: true)

    package func infer(_ operands: [TensorType]) throws(TypeError) -> [TensorType] {
        try TypeRules.element(operands[0], .i32, "groups")
        try TypeRules.rank(operands[0], 1, "groups")
        guard group >= 1, let inputs = operands[0].shape[0].fixedValue, inputs % group == 0 else {
            throw TypeError("\(operands[0]) has no groups of \(group)")
        }
        return [operands[0]]
    }

    /// Moves data only.
    package func flops(_ operands: [TensorType], _ results: [TensorType], _ count: (Shape) -> Double) -> Double { 0 }
}

extension OpWriter {
    package func unpack(_ x: Operand, _ element: CodeElement, axis: Int = 1, offset: Int = 0) -> Operand {
        one(Unpack(element, axis: axis, offset: offset), x)
    }
    package func dequantize(
        _ codes: Operand, _ scales: Operand, zeros: Operand? = nil, order: Operand? = nil, rows: Int = 1, columns: Int
    ) -> Operand {
        let op = Dequantize(
            rows: rows, columns: columns, hasZeros: zeros != nil, hasOrder: order != nil)
        return write(op, [codes, scales] + [zeros, order].compactMap { $0 })[0]
    }
    package func int4Words(_ codes: Operand) -> Operand { one(Int4Words(), codes) }
    package func groupOrder(_ groups: Operand, group: Int) -> Operand { one(GroupOrder(group: group), groups) }
}
