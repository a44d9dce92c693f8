package import IR
package import Tensors

/// Which values of a graph need memory of their own, and from which step to which.
package struct LifeTimes {
    package struct Life: Sendable, Hashable {
        package var root: ValueID
        package var first: Int
        package var last: Int
    }

    /// In the order in which the values are made.
    package private(set) var lives: [Life] = []

    /// - Parameter storage: of the same graph.
    package init(_ graph: Graph, _ storage: Storage) {
        let nodes = storage.runningNodes
        let results = Set(graph.results.compactMap { storage.view($0)?.root })
        var index: [ValueID: Int] = [:]
        for (step, node) in nodes.enumerated() {
            for operand in node.operands {
                guard let root = storage.view(operand)?.root, let life = index[root] else { continue }
                lives[life].last = max(lives[life].last, step)
            }
            for result in node.results {
                guard let root = storage.view(result)?.root else { continue }
                if let life = index[root] {
                    lives[life].last = max(lives[life].last, step)
                } else if root == result, !results.contains(root) {
                    index[root] = lives.count
                    lives.append(Life(root: root, first: step, last: step))
                }
            }
        }
    }
}

extension TensorType {
    /// Bytes of the value when symbols have the given values; nil when one has none or the product overflows.
    package func byteCount(_ bounds: [String: Int]) -> Int? {
        guard let extents = shape.values(bounds) else { return nil }
        var count = element.byteCount
        for extent in extents {
            let (product, overflow) = count.multipliedReportingOverflow(by: extent)
            guard !overflow else { return nil }
            count = product
        }
        return count
    }
}
