package import Tensors

/// A linear layer over FP8 (e4m3) with a scale for each output and each `group` of inputs, the last of which may be smaller:
/// `y = activation(x · Wᵀ + bias)` with `W[o, i] = codes[o, i] · scales[o, i / group]`.
package struct QuantizedLinearFloat8: QuantizedLayer {
    package var group: Int
    package var activation: Activation
    package var hasBias: Bool

    package init(group: Int, activation: Activation = .none, hasBias: Bool = false) {
        (self.group, self.activation, self.hasBias) = (group, activation, hasBias)
    }

    package static let schema = OpSchema(
        "quantized_linear_float8", "`y = activation(x · Wᵀ + bias)` with `W[o, i] = codes[o, i] · scales[o, i / group]`, codes e4m3.",
        blank: QuantizedLinearFloat8(group: 128), operands: ["x", "codes", "scales", .optional("bias", \.hasBias)],
        attributes: [.init("group", \.group), .init("activation", \.activation)], isFused: true)

    package static let outputAxis = 0

    package func infer(_ operands: [TensorType]) throws(TypeError) -> [TensorType] {
        let weight = try PackFloat8(group: group).infer(Array(operands[1...2]))[0]
        return try QuantizedLayerRules.result(operands[0], weight.shape, bias: hasBias ? operands[3] : nil)
    }

    package func flops(_ operands: [TensorType], _ results: [TensorType], _ count: (Shape) -> Double) -> Double {
        2 * count(results[0].shape) * count([operands[1].shape[1]])
    }

    package func dequantized<Writer: OpWriter>(_ parts: [Writer.Operand], _ writer: Writer) -> Writer.Operand {
        writer.dequantize(writer.unpack(parts[0], .f8e4m3), parts[1], columns: group)
    }

    package func packed<Writer: OpWriter>(_ parts: [Writer.Operand], _ writer: Writer) -> Writer.Operand {
        writer.one(PackFloat8(group: group), parts[0], parts[1])
    }
}

/// FP8 (e4m3) and its scales in the blocks that kernels read: the numbers `codes[o, i] · scales[o, i / group]`, kept as they are.
package struct PackFloat8: Op {
    package var group: Int

    package init(group: Int) { self.group = group }

    package static let schema = OpSchema(
        "pack_float8", "e4m3 codes and their scales laid out for kernels: the numbers `codes[o, i] · scales[o, i / group]`, kept so.",
        blank: PackFloat8(group: 128), operands: ["codes", "scales"], attributes: [.init("group", \.group)])

    package func infer(_ operands: [TensorType]) throws(TypeError) -> [TensorType] {
        let (outputs, inputs) = try CodeRules.extents(operands[0], "codes", count: 1)
        guard (1...TensorType.maximumExtent).contains(group) else { throw TypeError("a group of \(group) is none") }
        try TypeRules.float(operands[1], "scales")
        try TypeRules.shape(operands[1], [.fixed(outputs), .fixed((inputs + group - 1) / group)], "scales")
        return [TensorType(.f32, [.fixed(outputs), .fixed(inputs)])]
    }

    /// Moves data only.
    package func flops(_ operands: [TensorType], _ results: [TensorType], _ count: (Shape) -> Double) -> Double { 0 }
}

/// A linear layer over FP4 (e2m1, two codes in a byte) with a scale of one byte for each output and each `group` of inputs, and one more for
/// each output: `y = activation(x · Wᵀ + bias)` with `W[o, i] = codes[o, i] · (scales[o, i / group] · output_scales[o])`.
///
/// Scales of groups of 32 are e8m0 (MXFP4), those of groups of 16 e4m3 (NVFP4).
package struct QuantizedLinearFloat4: QuantizedLayer {
    package var group: Int
    package var activation: Activation
    package var hasBias: Bool

    package init(group: Int, activation: Activation = .none, hasBias: Bool = false) {
        (self.group, self.activation, self.hasBias) = (group, activation, hasBias)
    }

    package static let schema = OpSchema(
        "quantized_linear_float4",
        "`y = activation(x · Wᵀ + bias)` with `W[o, i] = codes[o, i] · scales[o, i / group] · output_scales[o]`, codes e2m1, scales e8m0 or e4m3.",
        blank: QuantizedLinearFloat4(group: 32), operands: ["x", "codes", "scales", "output_scales", .optional("bias", \.hasBias)],
        attributes: [.init("group", \.group), .init("activation", \.activation)], isFused: true)

    package static let outputAxis = 0

    package func infer(_ operands: [TensorType]) throws(TypeError) -> [TensorType] {
        let weight = try PackFloat4(group: group).infer(Array(operands[1...3]))[0]
        return try QuantizedLayerRules.result(operands[0], weight.shape, bias: hasBias ? operands[4] : nil)
    }

    package func flops(_ operands: [TensorType], _ results: [TensorType], _ count: (Shape) -> Double) -> Double {
        2 * count(results[0].shape) * count([operands[1].shape[1]]) * 2
    }

    package func dequantized<Writer: OpWriter>(_ parts: [Writer.Operand], _ writer: Writer) -> Writer.Operand {
        let scales = writer.transpose(writer.unpack(parts[1], PackFloat4(group: group).scaleElement), [1, 0])
        let products = writer.transpose(writer.mul(scales, parts[2]), [1, 0])
        return writer.dequantize(writer.unpack(parts[0], .e2m1), products, columns: group)
    }

    package func packed<Writer: OpWriter>(_ parts: [Writer.Operand], _ writer: Writer) -> Writer.Operand {
        writer.one(PackFloat4(group: group), parts[0], parts[1], parts[2])
    }
}

/// FP4 (e2m1) and its scales as kernels read them: the numbers `codes[o, i] · scales[o, i / group] · output_scales[o]`, kept as they are.
package struct PackFloat4: Op {
    package var group: Int

    package init(group: Int) { self.group = group }

    /// What scales of groups are: those of 32 inputs powers of two.
    package var scaleElement: CodeElement { group == 16 ? .f8e4m3 : .e8m0 }

    package static let schema = OpSchema(
        "pack_float4",
        "e2m1 codes and their scales laid out for kernels: the numbers `codes[o, i] · scales[o, i / group] · output_scales[o]`, kept so.",
        blank: PackFloat4(group: 32), operands: ["codes", "scales", "output_scales"], attributes: [.init("group", \.group)])

    package func infer(_ operands: [TensorType]) throws(TypeError) -> [TensorType] {
        let (outputs, inputs) = try CodeRules.extents(operands[0], "codes", count: CodeElement.e2m1.count)
        guard [16, 32].contains(group), inputs % group == 0 else { throw TypeError("\(inputs) inputs have no groups of \(group), of 16 or 32") }
        try TypeRules.element(operands[1], .u8, "scales")
        try TypeRules.shape(operands[1], [.fixed(outputs), .fixed(inputs / group)], "scales")
        try TypeRules.element(operands[2], .f32, "output_scales")
        try TypeRules.shape(operands[2], [.fixed(outputs)], "output_scales")
        return [TensorType(.f32, [.fixed(outputs), .fixed(inputs)])]
    }

    /// Moves data only.
    package func flops(_ operands: [TensorType], _ results: [TensorType], _ count: (Shape) -> Double) -> Double { 0 }
}

private enum CodeRules {
    /// Outputs and inputs of a weight whose bytes hold `count` codes each.
    static func extents(_ codes: TensorType, _ name: String, count: Int) throws(TypeError) -> (outputs: Int, inputs: Int) {
        try TypeRules.element(codes, .u8, name)
        try TypeRules.rank(codes, 2, name)
        guard let outputs = codes.shape[0].fixedValue, let width = codes.shape[1].fixedValue, width <= TensorType.maximumExtent / count else {
            throw TypeError("\(name) \(codes) have no fixed extents")
        }
        return (outputs, width * count)
    }
}

extension OpWriter {
    package func quantizedLinearFloat8(
        _ x: Operand, _ codes: Operand, _ scales: Operand, bias: Operand? = nil, group: Int, activation: Activation = .none
    ) -> Operand {
        let op = QuantizedLinearFloat8(group: group, activation: activation, hasBias: bias != nil)
        return write(op, [x, codes, scales] + [bias].compactMap { $0 })[0]
    }
    package func quantizedLinearFloat4(
        _ x: Operand, _ codes: Operand, _ scales: Operand, outputScales: Operand, bias: Operand? = nil, group: Int, activation: Activation = .none
    ) -> Operand {
        let op = QuantizedLinearFloat4(group: group, activation: activation, hasBias: bias != nil)
        return write(op, [x, codes, scales, outputScales] + [bias].compactMap { $0 })[0]
    }
}
