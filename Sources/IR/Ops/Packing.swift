package import Plan
package import Tensors

/// How the numbers of a packed weight lie in memory.
package enum PackedLayout: String, Sendable, Hashable, CaseIterable {
    /// Row-major f32: norms, biases, frequencies.
    case plain
    /// Row-major i32: numbers of rows, positions.
    case indices
    /// f32 panels of output rows.
    case f32Panels = "f32_panels"
    /// bf16 panels of output rows, pairs of inputs interleaved.
    case bf16Panels = "bf16_panels"
    /// int8 panels of output rows, each with its scale and a bound of its error.
    case int8Panels = "int8_panels"
}

extension PackedLayout: AttributeConvertible {
    package static var attributeKind: AttributeKind { .word(allCases.map(\.rawValue)) }
    package init?(_ value: AttributeValue) {
        guard case .word(let word) = value else { return nil }
        self.init(rawValue: word)
    }
    package var attributeValue: AttributeValue { .word(rawValue) }
}

/// A weight as its kernels read it: the same numbers as f32, rounded where the layout's own type is narrower.
///
/// What computes the operand is the weight's recipe; the packer follows it once, when compiling.
package struct Pack: Op {
    package var layout: PackedLayout

    package init(_ layout: PackedLayout) { self.layout = layout }

    package static let schema = OpSchema(
        "pack", "A weight laid out for its kernels: the same numbers as f32, rounded where the layout's type is narrower.",
        blank: Pack(.plain), operands: ["w"], attributes: [.init("layout", \.layout)])

    package func infer(_ operands: [TensorType]) throws(TypeError) -> [TensorType] {
        let w = operands[0]
        guard w.shape.fixed != nil else { throw TypeError("w \(w) has no fixed extents") }
        switch layout {
        case .indices:
            try TypeRules.element(w, .i32, "w")
            return [w]
        case .plain: try TypeRules.float(w, "w")
        case .f32Panels, .bf16Panels, .int8Panels:
            try TypeRules.float(w, "w")
            try TypeRules.rank(w, 2, "w")
        }
        return [TensorType(.f32, w.shape)]
    }

    /// Moves data only.
    package func flops(_ operands: [TensorType], _ results: [TensorType], _ count: (Shape) -> Double) -> Double { 0 }
}

/// AutoAWQ's int4 weight in the blocks that its kernels read: the numbers of `dequantize_awq`, kept as int4.
package struct PackAWQ: Op {
    package var group: Int

    package init(group: Int) { self.group = group }

    package static let schema = OpSchema(
        "pack_awq", "AutoAWQ's int4 weight laid out for its kernels: the numbers of `dequantize_awq`, kept as int4.",
        blank: PackAWQ(group: 128), operands: ["qweight", "qzeros", "scales"], attributes: [.init("group", \.group)])

    package func infer(_ operands: [TensorType]) throws(TypeError) -> [TensorType] {
        try DequantizeAWQ(group: group).infer(operands)
    }

    /// Moves data only.
    package func flops(_ operands: [TensorType], _ results: [TensorType], _ count: (Shape) -> Double) -> Double { 0 }
}

/// Rows of activations as the kernels of a linear layer read them: the same numbers, rounded as the layout's own type asks.
///
/// The value keeps its type; `Graph.storedType` says which bytes it takes.
package struct PackActivations: Op {
    package var element: ActivationLayout.Element
    /// Numbers that share a scale; 0 where none do.
    package var group: Int

    package init(_ layout: ActivationLayout) {
        element = layout.element
        if case .int8(let size) = layout { group = size } else { group = 0 }
    }

    package var layout: ActivationLayout {
        switch element {
        case .bf16: .bf16
        case .int8: .int8(group: group)
        case .int8Blocks: .int8Blocks
        case .int16Blocks: .int16Blocks
        }
    }

    package static let schema = OpSchema(
        "pack_activations", "Rows of activations as the kernels of a linear layer read them, rounded as `element` asks.",
        blank: PackActivations(.bf16), operands: ["x"],
        attributes: [.init("element", \.element), .init("group", \.group)])

    package func infer(_ operands: [TensorType]) throws(TypeError) -> [TensorType] {
        let x = operands[0]
        try TypeRules.element(x, .f32, "x")
        guard layout.bytes(of: x) != nil else { throw TypeError("x \(x) has no rows for \(layout)") }
        return [x]
    }

    /// Moves and rounds only.
    package func flops(_ operands: [TensorType], _ results: [TensorType], _ count: (Shape) -> Double) -> Double { 0 }
}

extension ActivationLayout.Element: AttributeConvertible {
    package static var attributeKind: AttributeKind { .word(allCases.map(\.rawValue)) }
    package init?(_ value: AttributeValue) {
        guard case .word(let word) = value else { return nil }
        self.init(rawValue: word)
    }
    package var attributeValue: AttributeValue { .word(rawValue) }
}

extension Graph {
    /// What a value takes in memory: the bytes of packed rows, else elements of its type.
    package func storedType(of value: ValueID) -> TensorType {
        let type = type(of: value)
        return producer(of: value)?.op(as: PackActivations.self)?.layout.bytes(of: type) ?? type
    }
}

extension Op {
    /// Whether the result is a weight as kernels read it.
    package var packsWeights: Bool { self is Pack || self is PackAWQ || self is PackFloat8 || self is PackFloat4 || self is PackInt8 }
}

extension OpWriter {
    package func pack(_ w: Operand, _ layout: PackedLayout) -> Operand { one(Pack(layout), w) }
    package func packActivations(_ x: Operand, _ layout: ActivationLayout) -> Operand { one(PackActivations(layout), x) }
}

enum Packing {
    static let ops: [any Op.Type] = [Pack.self, PackAWQ.self, PackFloat8.self, PackFloat4.self, PackInt8.self, PackActivations.self]
}
