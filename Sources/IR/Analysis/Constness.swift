/// Which values depend on nothing but weights and literals: the recipes that the packer evaluates once.
package struct Constness: Sendable {
    private let isConstantValue: [Bool]
    /// The constant values that running nodes read or the graph returns, each once, in execution order.
    package let roots: [ValueID]

    package init(_ graph: Graph) {
        var isConstant = Array(repeating: false, count: graph.valueCount)
        for node in graph.nodes where node.operands.allSatisfy({ isConstant[$0.index] }) {
            for result in node.results { isConstant[result.index] = true }
        }
        var read = Set(graph.outputs.filter { isConstant[$0.index] })
        for node in graph.nodes where !isConstant[node.result.index] {
            for operand in node.operands where isConstant[operand.index] { read.insert(operand) }
        }
        roots = graph.nodes.flatMap(\.results).filter(read.contains)
        isConstantValue = isConstant
    }

    package func isConstant(_ value: ValueID) -> Bool { value.index < isConstantValue.count && isConstantValue[value.index] }

    /// Whether a node runs at each call and not once when packing.
    package func runs(_ node: Node) -> Bool { !isConstant(node.result) }
}

extension Graph {
    /// Whether a value depends on nothing but weights and literals; for single questions, where `Constness` would look at all.
    package func isConstant(_ value: ValueID) -> Bool {
        var seen: Set<ValueID> = [value]
        var pending = [value]
        while let value = pending.popLast() {
            guard let node = producer(of: value) else { return false }
            for operand in node.operands where seen.insert(operand).inserted { pending.append(operand) }
        }
        return true
    }

    /// The part of the graph that makes `roots`, as a graph of its own with the same inputs and states that it reads.
    ///
    /// For a constant value this is its recipe; two recipes do the same exactly if the results are equal graphs.
    package func extracting(_ roots: [ValueID], name: String = "recipe") -> Graph {
        var needed: Set<NodeID> = []
        var read = Set(roots)
        var pending = roots
        while let value = pending.popLast() {
            guard let node = producer(of: value), needed.insert(node.id).inserted else { continue }
            for operand in node.operands where read.insert(operand).inserted { pending.append(operand) }
        }
        var part = Graph(name: name)
        var map: [ValueID: ValueID] = [:]
        for input in inputs where read.contains(input.value) {
            map[input.value] = part.addInput(input.name, type(of: input.value), mask: input.mask)
        }
        for state in states where read.contains(state.value) { map[state.value] = part.addState(state.name, type(of: state.value), role: state.role) }
        for node in order.filter(needed.contains).compactMap({ self[$0] }) {
            let operands = node.operands.compactMap { map[$0] }
            let made = part.addNode(node.op, operands, types: node.results.map(type(of:)), origin: node.origin)
            for (old, new) in zip(node.results, made.results) { map[old] = new }
        }
        part.results = roots.compactMap { map[$0] }
        return part
    }

    /// The part that makes `roots` without origins: equal, also as text, for values that are computed alike anywhere.
    package func recipe(_ roots: [ValueID]) -> Graph {
        var part = extracting(roots)
        for id in part.order { part.arena[id.index]?.origin = "" }
        return part
    }
}
