/// Who reads each value of a graph.
package struct Uses: Sendable {
    private var readers: [[NodeID]]
    private var outputCount: [Int]

    package init(_ graph: Graph) {
        readers = Array(repeating: [], count: graph.valueCount)
        outputCount = Array(repeating: 0, count: graph.valueCount)
        for node in graph.nodes {
            for operand in node.operands { readers[operand.index].append(node.id) }
        }
        for output in graph.outputs { outputCount[output.index] += 1 }
    }

    /// The nodes that read a value, in execution order; one that reads it twice stands twice.
    package func nodes(reading value: ValueID) -> [NodeID] {
        value.index < readers.count ? readers[value.index] : []
    }

    /// Whether a value leaves the graph as a result or a state.
    package func isOutput(_ value: ValueID) -> Bool { value.index < outputCount.count && outputCount[value.index] > 0 }

    /// How often a value is read, outputs included.
    package func count(_ value: ValueID) -> Int {
        value.index < readers.count ? readers[value.index].count + outputCount[value.index] : 0
    }
}
