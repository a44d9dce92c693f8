package import Tensors

extension Dim {
    /// The extent with symbols replaced by other extents; nil when a product overflows.
    func substituting(_ extents: [String: Dim]) -> Dim? {
        guard let symbol, let extent = extents[symbol] else { return self }
        let (factor, overflow) = factor.multipliedReportingOverflow(by: extent.factor)
        return overflow ? nil : Dim(factor, times: extent.symbol)
    }
}

extension TensorType {
    func substituting(_ extents: [String: Dim]) -> TensorType? {
        var dims: [Dim] = []
        for dim in shape.dims {
            guard let extent = dim.substituting(extents) else { return nil }
            dims.append(extent)
        }
        return TensorType(element, Shape(dims))
    }
}

extension AttributeValue {
    fileprivate func substituting(_ extents: [String: Dim]) -> AttributeValue? {
        switch self {
        case .shape(let shape): TensorType(.f32, shape).substituting(extents).map { .shape($0.shape) }
        case .type(let type): type.substituting(extents).map(AttributeValue.type)
        default: self
        }
    }
}

extension Graph {
    /// The graph with symbols replaced by other extents (`["B": 4]` makes a gear), under a new name.
    ///
    /// Every type is inferred again, so a replacement that breaks an op is reported and not stored.
    package func substituting(_ extents: [String: Dim], name: String) throws(TypeError) -> Graph {
        var copy = Graph(name: name)
        var map: [ValueID: ValueID] = [:]
        func replaced(_ value: ValueID) throws(TypeError) -> TensorType {
            guard let type = type(of: value).substituting(extents) else {
                throw TypeError("extent of \(type(of: value)) overflows")
            }
            return type
        }
        for input in inputs { map[input.value] = copy.addInput(input.name, try replaced(input.value), mask: input.mask) }
        for state in states { map[state.value] = copy.addState(state.name, try replaced(state.value), role: state.role) }
        for node in nodes {
            var attributes: [String: AttributeValue] = [:]
            for (name, value) in node.op.attributeValues { attributes[name] = value.substituting(extents) ?? value }
            let op = try node.op.schema.changing(node.op, attributes)
            let operands = node.operands.compactMap { map[$0] }
            let types = try op.check(operands.map(copy.type(of:)), origin: node.origin)
            let made = copy.addNode(op, operands, types: types, origin: node.origin, kernel: node.kernel)
            for (old, new) in zip(node.results, made.results) { map[old] = new }
        }
        copy.results = results.compactMap { map[$0] }
        for (index, state) in states.enumerated() { copy.states[index].updated = map[state.updated] ?? state.updated }
        return copy
    }
}
