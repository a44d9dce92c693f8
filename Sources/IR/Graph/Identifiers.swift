/// Names one value of a graph: an input, a state or a node's result.
package struct ValueID: Sendable, Hashable, Comparable {
    package let index: Int

    package static func < (a: ValueID, b: ValueID) -> Bool { a.index < b.index }
}

/// Names one node of a graph; stays valid while other nodes come and go.
package struct NodeID: Sendable, Hashable, Comparable {
    package let index: Int

    package static func < (a: NodeID, b: NodeID) -> Bool { a.index < b.index }
}

/// A value together with its type, as builders hand it out.
package struct Value: Sendable, Hashable {
    package let id: ValueID
    package let type: TensorType

    /// The extent of one axis; negative axes count from the end, and an axis that is not there is 1.
    package func dim(_ axis: Int) -> Dim {
        let index = axis < 0 ? axis + type.shape.rank : axis
        return type.shape.dims.indices.contains(index) ? type.shape[index] : 1
    }
}

package import Tensors
