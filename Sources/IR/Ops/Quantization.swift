package import Tensors

/// Unpacks AutoAWQ's GEMM layout: `w[o, i] = (q[i, o] − z[i / group, o]) · scales[i / group, o]`.
///
/// `qweight` is i32 `[in, out/8]`, `qzeros` i32 `[in/group, out/8]`, `scales` `[in/group, out]`; each i32 holds eight 4-bit
/// numbers whose columns lie in the nibbles 0 4 1 5 2 6 3 7, lowest first. Zeros of a real type `[in/group, out]` are the whole numbers
/// 0 … 16 themselves. The result is f32 `[out, in]`.
package struct DequantizeAWQ: Op {
    package var group: Int

    package init(group: Int) { self.group = group }

    package static let schema = OpSchema(
        "dequantize_awq", "`w[o, i] = (q[i, o] − z[i / group, o]) · scales[i / group, o]` from AutoAWQ's packed int4.",
        blank: DequantizeAWQ(group: 128), operands: ["qweight", "qzeros", "scales"], attributes: [.init("group", \.group)])

    package func infer(_ operands: [TensorType]) throws(TypeError) -> [TensorType] {
        let (inputs, outputs) = try AWQRules.check(operands[0], operands[1], operands[2], group: group)
        return [TensorType(.f32, [.fixed(outputs), .fixed(inputs)])]
    }
}

/// A linear layer whose weight stays quantized: its operands are x, the parts of the weight, and perhaps a bias.
package protocol QuantizedLayer: Op {
    var activation: Activation { get set }
    var hasBias: Bool { get }
    /// The axis of each part along which the outputs lie.
    static var outputAxis: Int { get }
    /// The weight `[outputs, inputs]` of such parts, written as what it means.
    func dequantized<Writer: OpWriter>(_ parts: [Writer.Operand], _ writer: Writer) -> Writer.Operand
    /// The weight of such parts, laid out for its kernels.
    func packed<Writer: OpWriter>(_ parts: [Writer.Operand], _ writer: Writer) -> Writer.Operand
}

extension QuantizedLayer {
    /// Of a layer's operands those that are its weight.
    package func parts<Operand>(of operands: [Operand]) -> [Operand] { Array(operands.dropFirst().dropLast(hasBias ? 1 : 0)) }
}

/// A linear layer over AutoAWQ's int4 weights: `y = activation(x · dequantize_awq(qweight, qzeros, scales)ᵀ + bias)`.
package struct QuantizedLinearAWQ: QuantizedLayer {
    package var group: Int
    package var activation: Activation
    package var hasBias: Bool

    package init(group: Int, activation: Activation = .none, hasBias: Bool = false) {
        self.group = group
        self.activation = activation
        self.hasBias = hasBias
    }

    package static let schema = OpSchema(
        "quantized_linear_awq", "`y = activation(x · dequantize_awq(qweight, qzeros, scales)ᵀ + bias)`.",
        blank: QuantizedLinearAWQ(group: 128), operands: ["x", "qweight", "qzeros", "scales", .optional("bias", \.hasBias)],
        attributes: [.init("group", \.group), .init("activation", \.activation)], isFused: true)

    package static let outputAxis = 1

    package func infer(_ operands: [TensorType]) throws(TypeError) -> [TensorType] {
        let (inputs, outputs) = try AWQRules.check(operands[1], operands[2], operands[3], group: group)
        return try QuantizedLayerRules.result(operands[0], [.fixed(outputs), .fixed(inputs)], bias: hasBias ? operands[4] : nil)
    }

    package func dequantized<Writer: OpWriter>(_ parts: [Writer.Operand], _ writer: Writer) -> Writer.Operand {
        writer.dequantizeAWQ(parts[0], parts[1], parts[2], group: group)
    }

    package func packed<Writer: OpWriter>(_ parts: [Writer.Operand], _ writer: Writer) -> Writer.Operand {
        writer.one(PackAWQ(group: group), parts[0], parts[1], parts[2])
    }

    package func flops(_ operands: [TensorType], _ results: [TensorType], _ count: (Shape) -> Double) -> Double {
        2 * count(results[0].shape) * count([operands[1].shape[0]])
    }
}

enum QuantizedLayerRules {
    /// The result of a layer over `x` whose weight is of that shape.
    static func result(_ x: TensorType, _ weight: Shape, bias: TensorType?) throws(TypeError) -> [TensorType] {
        try TypeRules.float(x, "x")
        try TypeRules.minimumRank(x, 1, "x")
        try TypeRules.same(x.shape[x.shape.rank - 1], weight[1], "inner extents of x and the weight differ")
        if let bias {
            try TypeRules.float(bias, "bias")
            try TypeRules.shape(bias, [weight[0]], "bias")
        }
        return [TensorType(x.element, x.shape.replacing(x.shape.rank - 1, with: weight[0]))]
    }
}

private enum AWQRules {
    static func check(
        _ weight: TensorType, _ zeros: TensorType, _ scales: TensorType, group: Int
    ) throws(TypeError) -> (inputs: Int, outputs: Int) {
        try TypeRules.element(weight, .i32, "qweight")
        try TypeRules.rank(weight, 2, "qweight")
        guard let inputs = weight.shape[0].fixedValue, let packed = weight.shape[1].fixedValue, packed <= TensorType.maximumExtent else {
            throw TypeError("qweight \(weight) has no fixed extents")
        }
        guard group > 0, inputs % group == 0 else { throw TypeError("group \(group) does not divide the \(inputs) inputs") }
        guard zeros.element == .i32 || zeros.element.isFloat else { throw TypeError("qzeros hold \(zeros.element.rawValue)") }
        try TypeRules.shape(zeros, [.fixed(inputs / group), .fixed(zeros.element == .i32 ? packed : packed * 8)], "qzeros")
        try TypeRules.float(scales, "scales")
        try TypeRules.shape(scales, [.fixed(inputs / group), .fixed(packed * 8)], "scales")
        return (inputs, packed * 8)
    }
}

extension OpWriter {
    package func dequantizeAWQ(_ qweight: Operand, _ qzeros: Operand, _ scales: Operand, group: Int) -> Operand {
        one(DequantizeAWQ(group: group), qweight, qzeros, scales)
    }
    package func quantizedLinearAWQ(
        _ x: Operand, _ qweight: Operand, _ qzeros: Operand, _ scales: Operand, bias: Operand? = nil, group: Int,
        activation: Activation = .none
    ) -> Operand {
        let op = QuantizedLinearAWQ(group: group, activation: activation, hasBias: bias != nil)
        return write(op, [x, qweight, qzeros, scales] + [bias].compactMap { $0 })[0]
    }
}

enum Quantization {
    static let ops: [any Op.Type] = [
        Unpack.self, Dequantize.self, Int4Words.self, GroupOrder.self, DequantizeAWQ.self, QuantizedLinearAWQ.self, QuantizedLinearFloat8.self,
        QuantizedLinearFloat4.self, QuantizedLinearInt8.self, RowScales.self, RowCodes.self, GroupZeros.self,
        GroupScales.self, GroupCodes.self,
    ]
}
