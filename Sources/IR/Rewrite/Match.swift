package import Tensors

/// Why a rule does not fire, with the culprit.
package struct Refusal: Error, Sendable, Hashable {
    package var reason: String
    /// The value that stands in the way.
    package var culprit: ValueID?

    package init(_ reason: String, at culprit: ValueID? = nil) {
        self.reason = reason
        self.culprit = culprit
    }
}

/// A place where a pattern was found.
package struct Match {
    package let graph: Graph
    /// The node that the pattern's outermost op found.
    package let root: Node
    private let captures: [String: ValueID]
    /// The nodes that the pattern's ops found, the root last.
    package let nodes: [Node]

    init(graph: Graph, root: Node, captures: [String: ValueID], nodes: [Node]) {
        self.graph = graph
        self.root = root
        self.captures = captures
        self.nodes = nodes
    }

    /// The value captured under a name that the pattern uses.
    package subscript(name: String) -> ValueID {
        guard let value = captures[name] else { preconditionFailure("the pattern has no capture \(name)") }
        return value
    }

    package func type(_ name: String) -> TensorType { graph.type(of: self[name]) }

    /// The number that a captured literal holds.
    package func number(_ name: String) throws(Refusal) -> Double {
        guard let literal = graph.op(of: self[name], as: Literal.self) else {
            throw Refusal("\(name) is not a literal", at: self[name])
        }
        return literal.value
    }

    /// The op that makes a captured value.
    package func op<O: Op>(_ name: String, as type: O.Type) throws(Refusal) -> O {
        guard let op = graph.op(of: self[name], as: type) else {
            throw Refusal("\(name) is not made by \(type.schema.name)", at: self[name])
        }
        return op
    }

    /// Refuses unless a condition holds.
    package func require(_ condition: Bool, _ reason: @autoclosure () -> String, at name: String? = nil) throws(Refusal) {
        guard condition else { throw Refusal(reason(), at: name.map { self[$0] } ?? root.result) }
    }
}

/// Compares one pattern with one place of a graph.
struct Matcher {
    private let pattern: Pattern
    private let graph: Graph
    private let uses: (ValueID) -> Int
    private var bound: [ValueID?]
    private var found: [Node] = []
    private(set) var matchedOps = 0

    init(_ pattern: Pattern, _ graph: Graph, uses: @escaping (ValueID) -> Int) {
        self.pattern = pattern
        self.graph = graph
        self.uses = uses
        bound = Array(repeating: nil, count: pattern.nodes.count)
    }

    /// Whether the outermost op fits, before the rest is looked at.
    static func mayStart(_ pattern: Pattern, at node: Node, in graph: Graph) -> Bool {
        accepts(pattern.nodes[pattern.root.node].kind, node, graph)
    }

    mutating func match(at root: Node) throws(Refusal) -> Match {
        guard pattern.root.result < root.results.count else { throw Refusal("\(root.op.mnemonic) has fewer results") }
        try match(pattern.root, root.results[pattern.root.result])
        try checkExclusive(root)
        var captures: [String: ValueID] = [:]
        for (node, value) in zip(pattern.nodes, bound) {
            if let name = node.capture, let value { captures[name] = value }
        }
        return Match(graph: graph, root: root, captures: captures, nodes: found)
    }

    private mutating func match(_ place: PatternValue, _ value: ValueID) throws(Refusal) {
        let expected = pattern.nodes[place.node]
        if expected.isOp {
            try matchOp(expected, place, value)
        } else if case .literal(let number) = expected.kind {
            guard let literal = graph.op(of: value, as: Literal.self) else { throw Refusal("expected \(expected.title)", at: value) }
            if let number, !Self.isClose(literal.value, number) {
                throw Refusal("expected \(expected.title), not \(literal.value)", at: value)
            }
        }
        if let earlier = bound[place.node], !expected.isOp, earlier != value {
            throw Refusal("\(expected.capture ?? expected.title) is two different values", at: value)
        }
        if let reason = expected.condition?(graph.type(of: value)) { throw Refusal(reason, at: value) }
        bound[place.node] = value
    }

    private mutating func matchOp(_ expected: PatternNode, _ place: PatternValue, _ value: ValueID) throws(Refusal) {
        guard let node = graph.producer(of: value), Self.accepts(expected.kind, node, graph) else {
            let actual = graph.producer(of: value)?.op.mnemonic ?? "an input"
            let found = actual == expected.title ? "\(actual) with other attributes" : actual
            throw Refusal("expected \(expected.title), found \(found)", at: value)
        }
        guard node.results.firstIndex(of: value) == place.result else {
            throw Refusal("expected another result of \(expected.title)", at: value)
        }
        if found.contains(where: { $0.id == node.id }) {
            guard bound[place.node].flatMap({ graph.producer(of: $0)?.id }) == node.id else {
                throw Refusal("\(expected.title) stands for two parts of the pattern", at: value)
            }
            return
        }
        guard bound[place.node] == nil else { throw Refusal("\(expected.title) is two different values", at: value) }
        guard node.operands.count == expected.operands.count else {
            throw Refusal("\(expected.title) has \(node.operands.count) operands, not \(expected.operands.count)", at: value)
        }
        bound[place.node] = value
        matchedOps += 1
        for (operand, value) in zip(expected.operands, node.operands) { try match(operand, value) }
        found.append(node)
    }

    /// What the rewrite would leave alive defeats it: no other node may read the inside of a match.
    private func checkExclusive(_ root: Node) throws(Refusal) {
        let inside = Set(found.map(\.id))
        for (place, node) in pattern.nodes.enumerated() where node.isOp && !node.mayBeShared && place != pattern.root.node {
            guard let value = bound[place], let producer = graph.producer(of: value), inside.contains(producer.id) else { continue }
            for result in producer.results {
                let readers = found.reduce(0) { $0 + $1.operands.count { $0 == result } }
                guard uses(result) == readers else { throw Refusal("\(producer.op.mnemonic) is read outside of the match", at: result) }
            }
        }
    }

    private static func accepts(_ kind: PatternNode.Kind, _ node: Node, _ graph: Graph) -> Bool {
        switch kind {
        case .anything: true
        case .literal: node.op is Literal
        case .exactly(let op): op.normalized(for: node.operands.map(graph.type(of:))).equals(node.op)
        case .some(_, let accepts): accepts(node.op)
        }
    }

    private static func isClose(_ a: Double, _ b: Double) -> Bool { a == b || Float(a) == Float(b) }
}
