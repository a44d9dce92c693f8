/// How an op is written, from which parser, printer, checks and documents derive.
package struct OpSchema: Sendable {
    /// The op's name in text.
    package let name: String
    /// One sentence with the mathematics, for the generated documentation.
    package let summary: String
    package let operands: [OperandSpec]
    package let attributes: [AnyAttribute]
    /// The names of the results, at least one.
    package let results: [String]
    /// Whether passes make the op out of plain ones; models never trace it.
    package let isFused: Bool
    private let blank: any Op

    /// - Parameter blank: an op whose attributes and optional operands are the defaults of the text form.
    package init<O: Op>(
        _ name: String, _ summary: String, blank: O, operands: [OperandSlot<O>] = [],
        attributes: [Attribute<O>] = [], results: [String] = ["y"],
        isFused: Bool = false
    ) {
        self.name = name
        self.summary = summary
        self.operands = operands.map(\.erased)
        self.attributes = attributes.map(\.erased)
        self.results = results
        self.isFused = isFused
        self.blank = blank
    }

    /// The op with these attributes; those that are missing keep their default, and names of optional operands
    /// (`bias`) are given as `true` when present.
    package func make(_ values: [String: AttributeValue]) throws(TypeError) -> any Op {
        try changing(blank, values)
    }

    /// The op with some attributes changed.
    package func changing(_ op: any Op, _ values: [String: AttributeValue]) throws(TypeError) -> any Op {
        var op = op
        for (key, value) in values.sorted(by: { $0.key < $1.key }) {
            if let attribute = attributes.first(where: { $0.name == key }) {
                guard attribute.write(&op, value) else {
                    throw TypeError("attribute \(key) is not \(attribute.kind.title)", op: name)
                }
            } else if let operand = operands.first(where: { $0.name == key && $0.kind == .optional }), case .bool(let isPresent) = value {
                operand.setPresent(&op, isPresent)
            } else {
                throw TypeError("has no attribute \(key); it has \(attributes.map(\.name).joined(separator: ", "))", op: name)
            }
        }
        return op
    }

    /// What an attribute is when the text does not say.
    package func defaultValue(_ attribute: AnyAttribute) -> AttributeValue { attribute.read(blank) }

    func checkCount(_ count: Int, _ op: any Op) throws(TypeError) {
        if operands.contains(where: { $0.kind == .variadic }) {
            guard count >= 1 else { throw TypeError("takes at least one operand") }
            return
        }
        let names = op.operandNames
        guard count == names.count else {
            throw TypeError("takes \(names.count) operands (\(names.joined(separator: ", "))), not \(count)")
        }
    }
}

/// One operand of the op type `O`.
package struct OperandSlot<O: Op>: Sendable, ExpressibleByStringLiteral {
    let erased: OperandSpec

    /// An operand that is always there.
    package init(stringLiteral name: String) {
        erased = OperandSpec(name: name, kind: .required, isPresent: { _ in true }, setPresent: { _, _ in })
    }

    private init(_ spec: OperandSpec) { erased = spec }

    /// An operand that is there when the op's flag says so; text shows it as `bias: %b`.
    package static func optional(_ name: String, _ flag: any WritableKeyPath<O, Bool> & Sendable) -> OperandSlot {
        OperandSlot(
            OperandSpec(
                name: name, kind: .optional, isPresent: { ($0 as? O)?[keyPath: flag] ?? false },
                setPresent: { op, isPresent in
                    guard var typed = op as? O else { return }
                    typed[keyPath: flag] = isPresent
                    op = typed
                }))
    }

    /// One or more operands; the op's only one.
    package static func variadic(_ name: String) -> OperandSlot {
        OperandSlot(OperandSpec(name: name, kind: .variadic, isPresent: { _ in true }, setPresent: { _, _ in }))
    }
}

/// One operand of some op.
package struct OperandSpec: Sendable {
    package enum Kind: Sendable, Hashable { case required, optional, variadic }

    package let name: String
    package let kind: Kind
    let isPresent: @Sendable (any Op) -> Bool
    let setPresent: @Sendable (inout any Op, Bool) -> Void
}
