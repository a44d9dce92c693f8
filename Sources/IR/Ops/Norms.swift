package import Tensors

/// Scales each row to unit root-mean-square: `y = x / √(mean(x²) + eps) · w` (`Qwen2RMSNorm`).
package struct RMSNorm: Op {
    package var eps: Double

    package init(eps: Double) { self.eps = eps }

    package static let schema = OpSchema(
        "rms_norm", "`y = x / √(mean(x²) + eps) · w` over the last axis.", blank: RMSNorm(eps: 1e-6), operands: ["x", "w"],
        attributes: [.init("eps", \.eps)], isFused: true)

    package func infer(_ operands: [TensorType]) throws(TypeError) -> [TensorType] {
        try NormRules.check(operands[0], parameters: [("w", operands[1])], eps: eps)
        return [operands[0]]
    }
}

/// Shifts and scales each row to mean 0 and variance 1: `y = (x − mean) / √(var + eps) · w + b` (`torch.nn.LayerNorm`).
package struct LayerNorm: Op {
    package var eps: Double

    package init(eps: Double) { self.eps = eps }

    package static let schema = OpSchema(
        "layer_norm", "`y = (x − mean) / √(var + eps) · w + b` over the last axis.", blank: LayerNorm(eps: 1e-6),
        operands: ["x", "w", "b"], attributes: [.init("eps", \.eps)], isFused: true)

    package func infer(_ operands: [TensorType]) throws(TypeError) -> [TensorType] {
        try NormRules.check(operands[0], parameters: [("w", operands[1]), ("b", operands[2])], eps: eps)
        return [operands[0]]
    }
}

/// A residual sum and its norm in one: `sum = x + residual`, `y = rms_norm(sum, w)`.
package struct AddRMSNorm: Op {
    package var eps: Double

    package init(eps: Double) { self.eps = eps }

    package static let schema = OpSchema(
        "add_rms_norm", "`sum = x + residual`, `y = rms_norm(sum, w)`.", blank: AddRMSNorm(eps: 1e-6),
        operands: ["x", "residual", "w"], attributes: [.init("eps", \.eps)], results: ["sum", "y"], isFused: true)

    package func infer(_ operands: [TensorType]) throws(TypeError) -> [TensorType] {
        try NormRules.check(operands[0], parameters: [("w", operands[2])], eps: eps)
        guard operands[1] == operands[0] else { throw TypeError("residual is \(operands[1]), not \(operands[0])") }
        return [operands[0], operands[0]]
    }
}

/// A residual sum and its norm in one: `sum = x + residual`, `y = layer_norm(sum, w, b)`.
package struct AddLayerNorm: Op {
    package var eps: Double

    package init(eps: Double) { self.eps = eps }

    package static let schema = OpSchema(
        "add_layer_norm", "`sum = x + residual`, `y = layer_norm(sum, w, b)`.", blank: AddLayerNorm(eps: 1e-6),
        operands: ["x", "residual", "w", "b"], attributes: [.init("eps", \.eps)], results: ["sum", "y"], isFused: true)

    package func infer(_ operands: [TensorType]) throws(TypeError) -> [TensorType] {
        try NormRules.check(operands[0], parameters: [("w", operands[2]), ("b", operands[3])], eps: eps)
        guard operands[1] == operands[0] else { throw TypeError("residual is \(operands[1]), not \(operands[0])") }
        return [operands[0], operands[0]]
    }
}

private enum NormRules {
    static func check(_ x: TensorType, parameters: [(String, TensorType)], eps: Double) throws(TypeError) {
        try TypeRules.float(x, "x")
        try TypeRules.minimumRank(x, 1, "x")
        guard eps.isFinite, eps >= 0 else { throw TypeError("eps \(eps) is not a small positive number") }
        for (name, type) in parameters {
            try TypeRules.float(type, name)
            try TypeRules.shape(type, [x.shape[x.shape.rank - 1]], name)
        }
    }
}

extension OpWriter {
    package func rmsNorm(_ x: Operand, _ w: Operand, eps: Double) -> Operand { one(RMSNorm(eps: eps), x, w) }
    package func layerNorm(_ x: Operand, _ w: Operand, _ b: Operand, eps: Double) -> Operand { one(LayerNorm(eps: eps), x, w, b) }
    package func addRMSNorm(_ x: Operand, _ residual: Operand, _ w: Operand, eps: Double) -> (sum: Operand, y: Operand) {
        let results = write(AddRMSNorm(eps: eps), [x, residual, w])
        return (results[0], results[1])
    }
    package func addLayerNorm(_ x: Operand, _ residual: Operand, _ w: Operand, _ b: Operand, eps: Double) -> (sum: Operand, y: Operand) {
        let results = write(AddLayerNorm(eps: eps), [x, residual, w, b])
        return (results[0], results[1])
    }
}

enum Norms {
    static let ops: [any Op.Type] = [RMSNorm.self, LayerNorm.self, AddRMSNorm.self, AddLayerNorm.self]
}
