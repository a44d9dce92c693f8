package import Plan
package import Tensors

/// One application of an op to values of the same graph.
package struct Node: Sendable {
    package let id: NodeID
    package internal(set) var op: any Op
    /// In the order of the op's schema; optional operands that are absent take no place.
    package internal(set) var operands: [ValueID]
    package internal(set) var results: [ValueID]
    /// The HuggingFace module that this computation belongs to, such as `model.layers.0.input_layernorm`.
    package internal(set) var origin: String
    /// The kernel that computes the node; from stage `selected` on.
    package internal(set) var kernel: KernelName?

    /// The first result, which for most ops is the only one.
    package var result: ValueID { results[0] }

    /// The op when it is of the asked type.
    package func op<O: Op>(as type: O.Type) -> O? { op as? O }

    /// The operand that the schema calls `name`; nil when it is optional and absent, or when there is no such operand.
    package func operand(_ name: String) -> ValueID? {
        guard let position = op.operandNames.firstIndex(of: name), position < operands.count else { return nil }
        return operands[position]
    }
}

extension Node: Hashable {
    package static func == (a: Node, b: Node) -> Bool {
        a.id == b.id && a.op.equals(b.op) && a.operands == b.operands && a.results == b.results
            && a.origin == b.origin && a.kernel == b.kernel
    }

    package func hash(into hasher: inout Hasher) {
        hasher.combine(id)
        op.hash(into: &hasher)
        hasher.combine(operands)
    }
}

/// Where a value of a planned graph lies.
package enum Place: Sendable, Hashable {
    /// In the arena.
    case arena(Region)
    /// In the memory that the caller brings for the result at this position.
    case result(Int)
    /// In the memory of an input, which it shows under another shape.
    case input(String)

    /// Part of the arena. Values whose regions overlap while both live are columns of one another, or stored over one another.
    package struct Region: Sendable, Hashable {
        /// Bytes before the first element.
        package var offset: Int
        /// Bytes from there to the end of what the value lies in.
        package var byteCount: Int
        /// Elements from one row to the next, where something lies between rows.
        package var stride: Int?

        package init(offset: Int, byteCount: Int, stride: Int? = nil) {
            self.offset = offset
            self.byteCount = byteCount
            self.stride = stride
        }
    }

    /// The part of the arena; nil for what lies outside.
    package var region: Region? { if case .arena(let region) = self { region } else { nil } }
}

/// What a graph knows about one value.
package struct ValueInfo: Sendable, Hashable {
    package enum Definition: Sendable, Hashable {
        /// The position among the graph's inputs.
        case input(Int)
        /// The position among the graph's states; the value is the state on entry.
        case state(Int)
        /// A node and the position among its results.
        case node(NodeID, Int)
    }

    package internal(set) var type: TensorType
    package internal(set) var definition: Definition
    /// From stage `planned` on, for values of nodes that run.
    package internal(set) var place: Place?
}
