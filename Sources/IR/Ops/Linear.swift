package import Tensors

/// A linear layer with what follows it: `y = activation(x · wᵀ + bias)`; `w` is `[out, in]` of any float type.
///
/// Gated, `y = activation(s[…, ..<out/2]) · s[…, out/2...]` of the sums `s = x · wᵀ + bias`.
package struct Linear: Op {
    package var activation: Activation
    package var hasBias: Bool
    package var isGated: Bool

    package init(activation: Activation = .none, hasBias: Bool = false, isGated: Bool = false) {
        self.activation = activation
        self.hasBias = hasBias
        self.isGated = isGated
    }

    package static let schema = OpSchema(
        "linear",
        "`y = activation(x · wᵀ + bias)`; `w` is `[out, in]` of any float type. Gated, the first half of such sums gates the second, as "
            + "`gated_activation` does.", blank: Linear(),
        operands: ["x", "w", .optional("bias", \.hasBias)],
        attributes: [.init("activation", \.activation), .init("gated", \.isGated)], isFused: true)

    package func infer(_ operands: [TensorType]) throws(TypeError) -> [TensorType] {
        let (x, w) = (operands[0], operands[1])
        try TypeRules.float(x, "x")
        try TypeRules.minimumRank(x, 1, "x")
        try TypeRules.float(w, "w")
        try TypeRules.rank(w, 2, "w")
        try TypeRules.same(w.shape[1], x.shape[x.shape.rank - 1], "inner extents of w \(w) and x \(x) differ")
        let result = TensorType(x.element, x.shape.replacing(x.shape.rank - 1, with: w.shape[0]))
        let results = isGated ? try GatedActivation(activation).infer([result]) : [result]
        if hasBias {
            try TypeRules.float(operands[2], "bias")
            try TypeRules.shape(operands[2], [w.shape[0]], "bias")
        }
        return results
    }

    package func flops(_ operands: [TensorType], _ results: [TensorType], _ count: (Shape) -> Double) -> Double {
        (isGated ? 4 : 2) * count(results[0].shape) * count([operands[1].shape[1]])
    }
}

/// A linear layer whose readers may want its greatest outputs alone: `y = x · wᵀ`.
///
/// `screen` is the same weight once more, from which a kernel may score all outputs first.
package struct ScreenedLinear: Op {
    package static let schema = OpSchema(
        "screened_linear", "`y = x · wᵀ`; `screen` is `w` once more, from which kernels find the outputs that may be wanted.",
        blank: ScreenedLinear(), operands: ["x", "w", "screen"], isFused: true)

    package func infer(_ operands: [TensorType]) throws(TypeError) -> [TensorType] {
        try TypeRules.float(operands[2], "screen")
        try TypeRules.shape(operands[2], operands[1].shape, "screen")
        return try Linear().infer(Array(operands[..<2]))
    }

    package func flops(_ operands: [TensorType], _ results: [TensorType], _ count: (Shape) -> Double) -> Double {
        Linear().flops(operands, results, count)
    }
}

/// A gated activation of a joined projection: `y = activation(x[…, ..<I]) · x[…, I...]` (`Qwen2MLP`).
package struct GatedActivation: Op {
    package var activation: Activation

    package init(_ activation: Activation) { self.activation = activation }

    package static let schema = OpSchema(
        "gated_activation", "`y = activation(x[…, ..<I]) · x[…, I...]` for rows of length 2I.", blank: GatedActivation(.none),
        operands: ["x"], attributes: [.init("activation", \.activation)], isFused: true)

    package func infer(_ operands: [TensorType]) throws(TypeError) -> [TensorType] {
        let x = operands[0]
        try TypeRules.float(x, "x")
        try TypeRules.minimumRank(x, 1, "x")
        let last = x.shape[x.shape.rank - 1]
        guard last.factor % 2 == 0 else { throw TypeError("rows of length \(last) have no two halves") }
        return [TensorType(x.element, x.shape.replacing(x.shape.rank - 1, with: Dim(last.factor / 2, times: last.symbol)))]
    }
}

extension OpWriter {
    package func linear(_ x: Operand, _ w: Operand, bias: Operand? = nil, activation: Activation = .none) -> Operand {
        write(Linear(activation: activation, hasBias: bias != nil), [x, w] + [bias].compactMap { $0 })[0]
    }
    package func screenedLinear(_ x: Operand, _ w: Operand, _ screen: Operand) -> Operand { one(ScreenedLinear(), x, w, screen) }
    package func gatedActivation(_ x: Operand, _ activation: Activation) -> Operand { one(GatedActivation(activation), x) }
}

enum LinearLayers {
    static let ops: [any Op.Type] = [Linear.self, ScreenedLinear.self, GatedActivation.self]
}
