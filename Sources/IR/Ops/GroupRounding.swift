package import Tensors

/// The zeros that make 4-bit codes of a weight's groups: `zeros[o, g] = round(−15 · least / (greatest − least))` over a group's numbers and 0.
package struct GroupZeros: Op {
    package var group: Int

    package init(group: Int) { self.group = group }

    package static let schema = OpSchema(
        "group_zeros", "`zeros[o, g] = round(−15 · least / (greatest − least))` over the numbers of a group and 0; 0 for a group of zeros.",
        blank: GroupZeros(group: 128), operands: ["w"], attributes: [.init("group", \.group)], isFused: true)

    package func infer(_ operands: [TensorType]) throws(TypeError) -> [TensorType] {
        [TensorType(.i32, try GroupRules.shape(operands[0], group))]
    }
}

/// The scales that make 4-bit codes of a weight's groups, chosen among shares of `(greatest − least) / 15`.
///
/// Leaving out a few large numbers of a group makes all others finer, so that the least sum of squares is seldom that of the whole range.
///
/// `shares` u8, where they are given, say which share it is, in twentieths.
package struct GroupScales: Op {
    package var group: Int
    package var hasShares: Bool

    package init(group: Int, hasShares: Bool = false) {
        self.group = group
        self.hasShares = hasShares
    }

    package static let schema = OpSchema(
        "group_scales",
        "Of the f16 numbers next to 1, 0.95, … 0.6 of `(greatest − least) / 15` over a group's numbers and 0 the one with which `group_codes` are least off, by the sum of squares, or that of so many twentieths as `shares` say.",
        blank: GroupScales(group: 128), operands: ["w", "zeros", .optional("shares", \.hasShares)], attributes: [.init("group", \.group)], isFused: true)

    package func infer(_ operands: [TensorType]) throws(TypeError) -> [TensorType] {
        let shape = try GroupRules.shape(operands[0], group)
        try TypeRules.element(operands[1], .i32, "zeros")
        try TypeRules.shape(operands[1], shape, "zeros")
        if hasShares {
            try TypeRules.element(operands[2], .u8, "shares")
            try TypeRules.shape(operands[2], shape, "shares")
        }
        return [TensorType(.f32, shape)]
    }
}

/// A weight as 4-bit codes: `codes[o, i] = round(w[o, i] / scales[o, g]) + zeros[o, g]`, ties to even, within 0 … 15; the zero where the scale is 0.
package struct GroupCodes: Op {
    package var group: Int

    package init(group: Int) { self.group = group }

    package static let schema = OpSchema(
        "group_codes", "`codes[o, i] = round(w[o, i] / scales[o, g]) + zeros[o, g]`, ties to even, within 0 … 15; the zero where the scale is 0.",
        blank: GroupCodes(group: 128), operands: ["w", "scales", "zeros"], attributes: [.init("group", \.group)], isFused: true)

    package func infer(_ operands: [TensorType]) throws(TypeError) -> [TensorType] {
        let shape = try GroupRules.shape(operands[0], group)
        try TypeRules.element(operands[1], .f32, "scales")
        try TypeRules.shape(operands[1], shape, "scales")
        try TypeRules.element(operands[2], .i32, "zeros")
        try TypeRules.shape(operands[2], shape, "zeros")
        return [TensorType(.i32, operands[0].shape)]
    }
}

private enum GroupRules {
    /// The shape of what each group of a weight's rows has one of.
    static func shape(_ w: TensorType, _ group: Int) throws(TypeError) -> Shape {
        try TypeRules.float(w, "w")
        try TypeRules.rank(w, 2, "w")
        guard let inputs = w.shape[1].fixedValue, group > 0, inputs % group == 0 else {
            throw TypeError("group \(group) does not divide the inputs of \(w)")
        }
        return [w.shape[0], .fixed(inputs / group)]
    }
}

extension OpWriter {
    package func groupZeros(_ w: Operand, group: Int) -> Operand { one(GroupZeros(group: group), w) }
    package func groupScales(_ w: Operand, _ zeros: Operand, shares: Operand? = nil, group: Int) -> Operand {
        write(GroupScales(group: group, hasShares: shares != nil), [w, zeros] + [shares].compactMap { $0 })[0]
    }
    package func groupCodes(_ w: Operand, _ scales: Operand, _ zeros: Operand, group: Int) -> Operand {
        one(GroupCodes(group: group), w, scales, zeros)
    }
}
