package import Tensors

/// The scales that make int8 codes of a weight's rows: `scales[o, 0] = max_i |w[o, i]| / 127`.
package struct RowScales: Op {
    package init() {}

    package static let schema = OpSchema(
        "row_scales", "`scales[o, 0] = max_i |w[o, i]| / 127`: what makes int8 codes of the rows of `w`.", blank: RowScales(), operands: ["w"],
        isFused: true)

    package func infer(_ operands: [TensorType]) throws(TypeError) -> [TensorType] {
        try TypeRules.float(operands[0], "w")
        try TypeRules.rank(operands[0], 2, "w")
        return [TensorType(.f32, [operands[0].shape[0], 1])]
    }
}

/// A weight's rows as int8: `codes[o, i] = round(w[o, i] / scales[o, 0])`, ties to even, within ±127, and 0 where the scale is.
package struct RowCodes: Op {
    package init() {}

    package static let schema = OpSchema(
        "row_codes", "`codes[o, i] = round(w[o, i] / scales[o, 0])`, ties to even, within ±127, and 0 where the scale is 0.", blank: RowCodes(),
        operands: ["w", "scales"], isFused: true)

    package func infer(_ operands: [TensorType]) throws(TypeError) -> [TensorType] {
        try TypeRules.float(operands[0], "w")
        try TypeRules.rank(operands[0], 2, "w")
        try TypeRules.element(operands[1], .f32, "scales")
        try TypeRules.shape(operands[1], [operands[0].shape[0], 1], "scales")
        return [TensorType(.i8, operands[0].shape)]
    }
}

extension OpWriter {
    package func rowScales(_ w: Operand) -> Operand { one(RowScales(), w) }
    package func rowCodes(_ w: Operand, _ scales: Operand) -> Operand { one(RowCodes(), w, scales) }
}
