package import Tensors

/// A linear layer over small floats with a scale for each output and each `group` of inputs, the last of which may be smaller:
/// `y = activation(x · Wᵀ + bias)` with `W[o, i] = codes[o, i] · scales[o, i / group]`.
package struct QuantizedLinearFloats: QuantizedLayer {
    package var element: CodeElement
    package var group: Int
    package var activation: Activation
    package var hasBias: Bool

    package init(_ element: CodeElement, group: Int, activation: Activation = .none, hasBias: Bool = false) {
        self.element = element
        self.group = group
        self.activation = activation
        self.hasBias = hasBias
    }

    package static let schema = OpSchema(
        "quantized_linear_floats", "`y = activation(x · Wᵀ + bias)` with `W[o, i] = codes[o, i] · scales[o, i / group]` of small floats.",
        blank: QuantizedLinearFloats(.f8e4m3, group: 128), operands: ["x", "codes", "scales", .optional("bias", \.hasBias)],
        attributes: [.init("element", \.element), .init("group", \.group), .init("activation", \.activation)], isFused: true)

    package static let outputAxis = 0

    package func infer(_ operands: [TensorType]) throws(TypeError) -> [TensorType] {
        let weight = try PackFloats(element, group: group).infer(Array(operands[1...2]))[0]
        return try QuantizedLayerRules.result(operands[0], weight.shape, bias: hasBias ? operands[3] : nil)
    }

    package func flops(_ operands: [TensorType], _ results: [TensorType], _ count: (Shape) -> Double) -> Double {
        2 * count(results[0].shape) * count([operands[1].shape[1]]) * Double(element.count)
    }

    package func dequantized<Writer: OpWriter>(_ parts: [Writer.Operand], _ writer: Writer) -> Writer.Operand {
        writer.dequantize(writer.unpack(parts[0], element), parts[1], columns: group)
    }

    package func packed<Writer: OpWriter>(_ parts: [Writer.Operand], _ writer: Writer) -> Writer.Operand {
        writer.one(PackFloats(element, group: group), parts[0], parts[1])
    }
}

/// Small floats and their scales in the blocks that kernels read: the numbers `codes[o, i] · scales[o, i / group]`, kept as they are.
package struct PackFloats: Op {
    package var element: CodeElement
    package var group: Int

    package init(_ element: CodeElement, group: Int) { (self.element, self.group) = (element, group) }

    package static let schema = OpSchema(
        "pack_floats", "Small floats and their scales laid out for kernels: the numbers `codes[o, i] · scales[o, i / group]`, kept so.",
        blank: PackFloats(.f8e4m3, group: 128), operands: ["codes", "scales"], attributes: [.init("element", \.element), .init("group", \.group)])

    package func infer(_ operands: [TensorType]) throws(TypeError) -> [TensorType] {
        let (codes, scales) = (operands[0], operands[1])
        guard element == .f8e4m3 || element == .e2m1 else { throw TypeError("weights are not of \(element.rawValue)") }
        try TypeRules.element(codes, .u8, "codes")
        try TypeRules.rank(codes, 2, "codes")
        guard let width = codes.shape[1].fixedValue, codes.shape[0].fixedValue != nil, width <= TensorType.maximumExtent else {
            throw TypeError("codes \(codes) have no fixed extents")
        }
        guard (1...TensorType.maximumExtent).contains(group) else { throw TypeError("a group of \(group) is none") }
        let inputs = width * element.count
        try TypeRules.float(scales, "scales")
        try TypeRules.shape(scales, [codes.shape[0], .fixed((inputs + group - 1) / group)], "scales")
        return [TensorType(.f32, [codes.shape[0], .fixed(inputs)])]
    }

    /// Moves data only.
    package func flops(_ operands: [TensorType], _ results: [TensorType], _ count: (Shape) -> Double) -> Double { 0 }
}

extension OpWriter {
    package func quantizedLinearFloats(
        _ x: Operand, _ codes: Operand, _ scales: Operand, bias: Operand? = nil, _ element: CodeElement, group: Int,
        activation: Activation = .none
    ) -> Operand {
        let op = QuantizedLinearFloats(element, group: group, activation: activation, hasBias: bias != nil)
        return write(op, [x, codes, scales] + [bias].compactMap { $0 })[0]
    }
}
