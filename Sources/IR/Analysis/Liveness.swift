/// When each value of a graph is needed, in positions of the execution order.
package struct Liveness: Sendable {
    private let ranges: [Range<Int>?]

    /// Inputs and states live from 0; outputs live to the end, `graph.nodeCount + 1`.
    package init(_ graph: Graph) {
        var ranges: [Range<Int>?] = Array(repeating: nil, count: graph.valueCount)
        for input in graph.inputs { ranges[input.value.index] = 0..<1 }
        for state in graph.states { ranges[state.value.index] = 0..<1 }
        for (position, node) in graph.nodes.enumerated() {
            for operand in node.operands {
                guard let range = ranges[operand.index] else { continue }
                ranges[operand.index] = range.lowerBound..<Swift.max(range.upperBound, position + 1)
            }
            for result in node.results { ranges[result.index] = position..<(position + 1) }
        }
        for output in graph.outputs {
            guard let range = ranges[output.index] else { continue }
            ranges[output.index] = range.lowerBound..<(graph.nodeCount + 1)
        }
        self.ranges = ranges
    }

    /// From the position that makes the value to behind the last that reads it; nil for erased values.
    ///
    /// Two values may share memory exactly if their ranges do not overlap.
    package func range(of value: ValueID) -> Range<Int>? { value.index < ranges.count ? ranges[value.index] : nil }
}
