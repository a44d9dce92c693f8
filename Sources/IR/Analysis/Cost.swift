internal import Tensors

/// What running nodes costs: floating-point operations and bytes moved if every value is read and written once.
package struct Cost: Sendable, Hashable, Codable {
    package var flops: Double
    package var bytesRead: Double
    package var bytesWritten: Double

    package init(flops: Double = 0, bytesRead: Double = 0, bytesWritten: Double = 0) {
        self.flops = flops
        self.bytesRead = bytesRead
        self.bytesWritten = bytesWritten
    }

    package static func + (a: Cost, b: Cost) -> Cost {
        Cost(flops: a.flops + b.flops, bytesRead: a.bytesRead + b.bytesRead, bytesWritten: a.bytesWritten + b.bytesWritten)
    }
}

extension Cost {
    /// The cost of one node with symbols bound; an unbound symbol counts as 1.
    package init(_ node: Node, in graph: Graph, _ bindings: [String: Int]) {
        let operands = node.operands.map(graph.type(of:))
        let results = node.results.map(graph.type(of:))
        self.init(
            flops: node.op.flops(operands, results) { Self.elements($0, bindings) },
            bytesRead: operands.reduce(0) { $0 + Self.bytes($1, bindings) },
            bytesWritten: results.reduce(0) { $0 + Self.bytes($1, bindings) })
    }

    /// The cost of the nodes that run at each call.
    package init(_ graph: Graph, _ bindings: [String: Int]) {
        let constness = Constness(graph)
        self = graph.nodes.filter(constness.runs).reduce(Cost()) { $0 + Cost($1, in: graph, bindings) }
    }

    private static func elements(_ shape: Shape, _ bindings: [String: Int]) -> Double {
        shape.dims.reduce(1) { $0 * Double($1.factor) * Double($1.symbol.map { bindings[$0] ?? 1 } ?? 1) }
    }

    private static func bytes(_ type: TensorType, _ bindings: [String: Int]) -> Double {
        elements(type.shape, bindings) * Double(type.element.byteCount)
    }
}
