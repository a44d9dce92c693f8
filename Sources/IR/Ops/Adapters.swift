package import Tensors

/// Adds to a linear layer's outputs what the adapter of each row makes of its inputs (LoRA, arXiv 2106.09685; `peft.tuners.lora.Linear`).
///
/// `y[t] + B · A · x[t]`, where `A`, `[rank, inputs]`, and `B`, `[width, rank]`, are those of adapter `adapters[t]` for the layer whose
/// columns of `y` they change: `layers` names the layers in the order of their columns and `widths` says how many each has. A row with a
/// negative number stays as it is. Adapters come with the call: as weights they are called `<layer>.lora_A.<number>` and
/// `<layer>.lora_B.<number>`, the scale in `B`.
package struct Adapt: Op {
    package var layers: [String]
    package var widths: [Int]

    package init(layers: [String], widths: [Int]) {
        self.layers = layers
        self.widths = widths
    }

    package static let schema = OpSchema(
        "adapt", "`y[t] + B · A · x[t]` by layer, `A` and `B` those of adapter `adapters[t]`; `y[t]` where that is negative.",
        blank: Adapt(layers: [], widths: []), operands: ["y", "x", "adapters"],
        attributes: [.init("layers", \.layers), .init("widths", \.widths)])

    package func infer(_ operands: [TensorType]) throws(TypeError) -> [TensorType] {
        let (y, x) = (operands[0], operands[1])
        for (name, type) in [("y", y), ("x", x)] {
            try TypeRules.element(type, .f32, name)
            try TypeRules.rank(type, 2, name)
        }
        try TypeRules.same(x.shape[0], y.shape[0], "rows of x and y differ")
        try TypeRules.element(operands[2], .i32, "adapters")
        try TypeRules.shape(operands[2], [y.shape[0]], "adapters")
        guard layers.count == widths.count, !layers.isEmpty, layers.allSatisfy({ !$0.isEmpty }), widths.allSatisfy({ $0 > 0 }) else {
            throw TypeError("\(layers.count) layers have \(widths.count) widths; each has one above 0")
        }
        let total = widths.reduce(0) { $0.addingReportingOverflow($1).partialValue }
        guard y.shape[1] == .fixed(total) else { throw TypeError("the layers have \(total) columns, y is \(y)") }
        return [y]
    }
}

extension OpWriter {
    package func adapt(_ y: Operand, _ x: Operand, _ adapters: Operand, layers: [String], widths: [Int]) -> Operand {
        one(Adapt(layers: layers, widths: widths), y, x, adapters)
    }
}

enum Adapters {
    static let ops: [any Op.Type] = [Adapt.self]
}
