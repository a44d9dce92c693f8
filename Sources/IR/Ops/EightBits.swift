package import Tensors

/// A linear layer over 8-bit weights with a scale and a zero for each output and each `group` of inputs:
/// `y = activation(x · Wᵀ + bias)` with `W[o, i] = (codes[o, i] − zeros[o, i / group]) · scales[o, i / group]`.
package struct QuantizedLinearInt8: QuantizedLayer {
    package var group: Int
    package var activation: Activation
    package var hasBias: Bool

    package init(group: Int, activation: Activation = .none, hasBias: Bool = false) {
        self.group = group
        self.activation = activation
        self.hasBias = hasBias
    }

    package static let schema = OpSchema(
        "quantized_linear_int8",
        "`y = activation(x · Wᵀ + bias)` with `W[o, i] = (codes[o, i] − zeros[o, i / group]) · scales[o, i / group]` of 8-bit codes.",
        blank: QuantizedLinearInt8(group: 128), operands: ["x", "codes", "scales", "zeros", .optional("bias", \.hasBias)],
        attributes: [.init("group", \.group), .init("activation", \.activation)], isFused: true)

    package static let outputAxis = 0

    package func infer(_ operands: [TensorType]) throws(TypeError) -> [TensorType] {
        let weight = try PackInt8(group: group).infer(Array(operands[1...3]))[0]
        return try QuantizedLayerRules.result(operands[0], weight.shape, bias: hasBias ? operands[4] : nil)
    }

    package func flops(_ operands: [TensorType], _ results: [TensorType], _ count: (Shape) -> Double) -> Double {
        2 * count(results[0].shape) * count([operands[1].shape[1]])
    }

    package func dequantized<Writer: OpWriter>(_ parts: [Writer.Operand], _ writer: Writer) -> Writer.Operand {
        writer.dequantize(parts[0], parts[1], zeros: parts[2], columns: group)
    }

    package func packed<Writer: OpWriter>(_ parts: [Writer.Operand], _ writer: Writer) -> Writer.Operand {
        writer.one(PackInt8(group: group), parts[0], parts[1], parts[2])
    }
}

/// 8-bit codes, scales and zeros in the blocks that kernels read: the numbers `(codes[o, i] − zeros[o, i / group]) · scales[o, i / group]`.
///
/// Codes are i8 with zeros −128 … 128, or i32 of 0 … 255 with zeros 0 … 256.
package struct PackInt8: Op {
    package var group: Int

    package init(group: Int) { self.group = group }

    package static let schema = OpSchema(
        "pack_int8", "8-bit codes, scales and zeros laid out for kernels: the numbers `(codes[o, i] − zeros[o, i / group]) · scales[o, i / group]`.",
        blank: PackInt8(group: 128), operands: ["codes", "scales", "zeros"], attributes: [.init("group", \.group)])

    package func infer(_ operands: [TensorType]) throws(TypeError) -> [TensorType] {
        let codes = operands[0]
        guard codes.element == .i8 || codes.element == .i32 else { throw TypeError("codes hold \(codes.element.rawValue)") }
        try TypeRules.rank(codes, 2, "codes")
        guard codes.shape[0].fixedValue != nil, let inputs = codes.shape[1].fixedValue else {
            throw TypeError("codes \(codes) have no fixed extents")
        }
        guard group > 0, inputs % group == 0 else { throw TypeError("group \(group) does not divide the \(inputs) inputs") }
        let groups: Shape = [codes.shape[0], .fixed(inputs / group)]
        try TypeRules.float(operands[1], "scales")
        try TypeRules.shape(operands[1], groups, "scales")
        try TypeRules.element(operands[2], .i32, "zeros")
        try TypeRules.shape(operands[2], groups, "zeros")
        return [TensorType(.f32, codes.shape)]
    }

    /// Moves data only.
    package func flops(_ operands: [TensorType], _ results: [TensorType], _ count: (Shape) -> Double) -> Double { 0 }
}

extension OpWriter {
    package func quantizedLinearInt8(
        _ x: Operand, _ codes: Operand, _ scales: Operand, _ zeros: Operand, bias: Operand? = nil, group: Int, activation: Activation = .none
    ) -> Operand {
        let op = QuantizedLinearInt8(group: group, activation: activation, hasBias: bias != nil)
        return write(op, [x, codes, scales, zeros] + [bias].compactMap { $0 })[0]
    }
}
