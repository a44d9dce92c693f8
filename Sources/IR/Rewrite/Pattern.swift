package import Tensors

/// A piece of graph to look for, written as that graph.
///
/// `Pattern { p in p.mul(p.mul(x, p.rsqrt(…)), w) }`: ops written with attributes must have those attributes; `value` matches
/// anything, and used twice it must be the same value twice. Operands are matched in order: a commutative op that models write
/// both ways needs two rules.
package struct Pattern: Sendable {
    let root: PatternValue
    let nodes: [PatternNode]

    package init(_ build: (PatternBuilder) -> PatternValue) {
        let builder = PatternBuilder()
        root = build(builder)
        nodes = builder.nodes
    }
}

/// A value of a pattern.
package struct PatternValue: Sendable, Hashable {
    let node: Int
    let result: Int
}

/// What one place of a pattern accepts.
struct PatternNode: Sendable {
    enum Kind: Sendable {
        case anything
        case literal(Double?)
        /// An op with these attributes.
        case exactly(any Op)
        /// An op of one type with any attributes.
        case some(name: String, @Sendable (any Op) -> Bool)
    }

    var kind: Kind
    var operands: [PatternValue] = []
    /// The name under which the match hands the value out.
    var capture: String?
    /// Whether values outside the match may read this one.
    var mayBeShared = false
    var condition: (@Sendable (TensorType) -> String?)?

    var isOp: Bool {
        switch kind {
        case .exactly, .some: true
        case .anything, .literal: false
        }
    }

    var title: String {
        switch kind {
        case .anything: "a value"
        case .literal(let value): value.map { "the literal \($0)" } ?? "a literal"
        case .exactly(let op): op.mnemonic
        case .some(let name, _): name
        }
    }
}

/// Writes a pattern with the same methods that build graphs.
package final class PatternBuilder: OpWriter {
    fileprivate(set) var nodes: [PatternNode] = []

    package func write(_ op: any Op, _ operands: [PatternValue]) -> [PatternValue] {
        add(PatternNode(kind: .exactly(op), operands: operands), results: op.schema.results.count)
    }

    /// Any value, handed out under `name`.
    package func value(_ name: String) -> PatternValue { leaf(PatternNode(kind: .anything, capture: name)) }

    /// Any value whose type passes; `refuse` returns the reason against it, or nil.
    package func value(_ name: String, refuse: @escaping @Sendable (TensorType) -> String?) -> PatternValue {
        leaf(PatternNode(kind: .anything, capture: name, condition: refuse))
    }

    /// A literal of any value, handed out under `name`.
    package func literal(named name: String) -> PatternValue { leaf(PatternNode(kind: .literal(nil), capture: name)) }

    /// A literal of this value and any type, equal up to the precision of its element type.
    package func literal(_ value: Double) -> PatternValue { leaf(PatternNode(kind: .literal(value))) }

    /// An op of a type with any attributes; the match hands the op out under `name`.
    package func some<O: Op>(_ type: O.Type, _ operands: PatternValue..., named name: String? = nil) -> PatternValue {
        let node = PatternNode(kind: .some(name: O.schema.name) { $0 is O }, operands: operands, capture: name)
        return add(node, results: O.schema.results.count)[0]
    }

    /// The same value, which others outside the match may read too, and which the match hands out under `name`.
    package func shared(_ value: PatternValue, named name: String? = nil) -> PatternValue {
        nodes[value.node].mayBeShared = true
        return named(value, name)
    }

    /// The same value, handed out under `name`.
    package func named(_ value: PatternValue, _ name: String?) -> PatternValue {
        if let name { nodes[value.node].capture = name }
        return value
    }

    private func leaf(_ node: PatternNode) -> PatternValue { add(node, results: 1)[0] }

    private func add(_ node: PatternNode, results: Int) -> [PatternValue] {
        nodes.append(node)
        return (0..<results).map { PatternValue(node: nodes.count - 1, result: $0) }
    }
}
