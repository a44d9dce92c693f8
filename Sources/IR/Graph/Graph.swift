internal import Plan
package import Tensors

/// A pure function over tensors: one entry of a model, as an arena of nodes in SSA form.
///
/// A graph is a value: it copies, compares and crosses threads. Only builders, the parser and the `Editor` change one.
package struct Graph: Sendable, Hashable {
    /// A named value that comes from outside.
    package struct Input: Sendable, Hashable {
        package let name: String
        package let value: ValueID
        /// What the matrix of a bool input is; nil for every other input.
        package let mask: Mask?
    }

    /// A named value that outlives a call, such as a layer's key cache; calls read `value` and leave `updated`.
    package struct State: Sendable, Hashable {
        package let name: String
        package let value: ValueID
        package internal(set) var updated: ValueID
        /// What the runtime keeps it as; nil for a state that no backend has.
        package let role: StateRole?
    }

    /// The entry: `vision`, `extend`, `decode`, or with its gear `decode.4`.
    package internal(set) var name: String
    package internal(set) var inputs: [Input] = []
    package internal(set) var states: [State] = []
    package internal(set) var results: [ValueID] = []

    var values: [ValueInfo] = []
    var arena: [Node?] = []
    var order: [NodeID] = []

    init(name: String) { self.name = name }

    /// The nodes in execution order: every node follows those that it reads.
    package var nodes: [Node] { order.compactMap { arena[$0.index] } }

    package var nodeCount: Int { order.count }

    /// One more than the largest value index; ids of erased values are not used again.
    package var valueCount: Int { values.count }

    package subscript(id: ValueID) -> ValueInfo { values[id.index] }

    /// The node with this id; nil once it is erased.
    package subscript(id: NodeID) -> Node? { arena[id.index] }

    package func type(of value: ValueID) -> TensorType { values[value.index].type }

    /// The node that makes a value; nil for inputs and states.
    package func producer(of value: ValueID) -> Node? {
        guard case .node(let id, _) = values[value.index].definition else { return nil }
        return arena[id.index]
    }

    /// The op that makes a value, when it is of the asked type.
    package func op<O: Op>(of value: ValueID, as type: O.Type) -> O? { producer(of: value)?.op as? O }

    package func input(named name: String) -> Input? { inputs.first { $0.name == name } }

    /// What the state is that a value has come from, through the ops that store into it; nil for any other value.
    package func stateRole(of value: ValueID) -> StateRole? {
        if case .state(let index) = values[value.index].definition { return states[index].role }
        guard let node = producer(of: value), let position = node.results.firstIndex(of: value) else { return nil }
        return node.op.updatedOperand(ofResult: position).flatMap { stateRole(of: node.operands[$0]) }
    }

    /// The mask of an input; nil for any other value.
    package func mask(of value: ValueID) -> Mask? {
        guard case .input(let index) = values[value.index].definition else { return nil }
        return inputs[index].mask
    }

    /// Every value that leaves the graph: the results, then the states' new values.
    package var outputs: [ValueID] { results + states.map(\.updated) }
}

extension Graph {
    mutating func addInput(_ name: String, _ type: TensorType, mask: Mask? = nil) -> ValueID {
        let id = addValue(type, .input(inputs.count))
        inputs.append(Input(name: name, value: id, mask: mask))
        return id
    }

    mutating func addState(_ name: String, _ type: TensorType, role: StateRole? = nil) -> ValueID {
        let id = addValue(type, .state(states.count))
        states.append(State(name: name, value: id, updated: id, role: role))
        return id
    }

    /// Adds a node at a position of the order (at the end when nil); its types must already be checked.
    @discardableResult
    mutating func addNode(
        _ op: any Op, _ operands: [ValueID], types: [TensorType], origin: String, kernel: KernelName? = nil, at position: Int? = nil
    ) -> Node {
        let id = NodeID(index: arena.count)
        let results = types.enumerated().map { addValue($0.element, .node(id, $0.offset)) }
        let node = Node(id: id, op: op, operands: operands, results: results, origin: origin, kernel: kernel)
        arena.append(node)
        order.insert(id, at: position ?? order.count)
        return node
    }

    private mutating func addValue(_ type: TensorType, _ definition: ValueInfo.Definition) -> ValueID {
        values.append(ValueInfo(type: type, definition: definition, place: nil))
        return ValueID(index: values.count - 1)
    }

    /// The same graph with ids renumbered in execution order and nothing erased left in the arena.
    ///
    /// Two graphs print the same text exactly if their compacted forms are equal.
    package func compacted() -> Graph {
        var copy = Graph(name: name)
        var map: [ValueID: ValueID] = [:]
        for input in inputs { map[input.value] = copy.addInput(input.name, type(of: input.value), mask: input.mask) }
        for state in states { map[state.value] = copy.addState(state.name, type(of: state.value), role: state.role) }
        for node in nodes {
            let made = copy.addNode(
                node.op, node.operands.compactMap { map[$0] }, types: node.results.map(type(of:)),
                origin: node.origin, kernel: node.kernel)
            for (old, new) in zip(node.results, made.results) {
                map[old] = new
                copy.values[new.index].place = self[old].place
            }
        }
        copy.results = results.compactMap { map[$0] }
        for (index, state) in states.enumerated() { copy.states[index].updated = map[state.updated] ?? state.updated }
        return copy
    }
}
