internal import Plan
internal import Tensors

/// Reads one graph.
struct GraphParser {
    private var cursor: TokenCursor
    private var graph: Graph
    private var values: [String: ValueID] = [:]

    init(cursor: TokenCursor, name: String) {
        self.cursor = cursor
        graph = Graph(name: name)
    }

    /// Reads from the parameter list to the closing brace and leaves `outer` behind it.
    mutating func parse(_ outer: inout TokenCursor) throws(ParseError) -> Graph {
        try parseParameters()
        let resultToken = cursor.current
        let declared = try parseResultTypes()
        try cursor.expect("{")
        while !cursor.accept("}") {
            if cursor.acceptWord("return") {
                try parseReturn()
            } else if cursor.acceptWord("update") {
                try parseUpdate()
            } else {
                try parseNode()
            }
        }
        let returned = graph.results.map(graph.type(of:))
        guard declared == returned else {
            let list = returned.map(\.description).joined(separator: ", ")
            throw cursor.error("the graph returns \(list.isEmpty ? "nothing" : list)", at: resultToken)
        }
        outer = cursor
        return graph
    }

    private mutating func parseParameters() throws(ParseError) {
        try cursor.expect("(")
        if cursor.accept(")") { return }
        repeat {
            let isState = cursor.acceptWord("state")
            let token = cursor.current
            let name = try cursor.valueName()
            try cursor.expect(":")
            let type = try cursor.type()
            let value: ValueID
            if isState {
                value = graph.addState(name, type, role: try parseRole())
            } else {
                value = graph.addInput(name, type, mask: try cursor.mask())
            }
            try define(name, value, at: token)
        } while cursor.accept(",")
        try cursor.expect(")")
    }

    private mutating func parseResultTypes() throws(ParseError) -> [TensorType] {
        try cursor.expect("->")
        if cursor.accept("(") {
            try cursor.expect(")")
            return []
        }
        return try types()
    }

    private mutating func types() throws(ParseError) -> [TensorType] {
        var types: [TensorType] = []
        repeat { types.append(try cursor.type()) } while cursor.accept(",")
        return types
    }

    private mutating func parseReturn() throws(ParseError) {
        guard graph.results.isEmpty else { throw cursor.error("the graph returns twice", at: cursor.previous) }
        repeat { graph.results.append(try use()) } while cursor.accept(",")
    }

    private mutating func parseUpdate() throws(ParseError) {
        let token = cursor.current
        let name = try cursor.valueName()
        guard let index = graph.states.firstIndex(where: { $0.name == name }) else {
            throw cursor.error("%\(name) is not a state of the graph", at: token)
        }
        try cursor.expect("=")
        graph.states[index].updated = try use()
    }

    private mutating func define(_ name: String, _ value: ValueID, at token: Token) throws(ParseError) {
        guard values.updateValue(value, forKey: name) == nil else { throw cursor.error("%\(name) is defined twice", at: token) }
    }

    private mutating func use() throws(ParseError) -> ValueID {
        let token = cursor.current
        let name = try cursor.valueName()
        guard let value = values[name] else { throw cursor.error("%\(name) is not defined above", at: token) }
        return value
    }

    private mutating func parseNode() throws(ParseError) {
        let resultTokens = try parseResultNames()
        let opToken = cursor.current
        let name = try cursor.word("an op")
        guard let schema = OpTable.schema(name) else { throw cursor.error("there is no op `\(name)`", at: opToken) }
        var attributes = try parseSubject(schema)
        let operands = try parseOperands(schema, &attributes)
        try parseAttributes(schema, &attributes)
        try cursor.expect(":")
        let typeToken = cursor.current
        let types = try types()
        if let attribute = schema.attributes.first(where: { $0.placement == .resultType }), let type = types.first {
            attributes[attribute.name] = .type(type)
        }
        let op: any Op
        let inferred: [TensorType]
        do throws(TypeError) {
            let operandTypes = operands.map(graph.type(of:))
            op = try schema.make(attributes).normalized(for: operandTypes)
            inferred = try op.check(operandTypes)
        } catch {
            throw cursor.error(error.description, at: opToken)
        }
        guard inferred == types else {
            let list = inferred.map(\.description).joined(separator: ", ")
            throw cursor.error("\(name) makes \(list) here", at: typeToken)
        }
        guard resultTokens.count == types.count else {
            throw cursor.error("\(name) has \(types.count) results, not \(resultTokens.count)", at: resultTokens[0].token)
        }
        let kernel = try parseKernel()
        let places = try parsePlaces(count: types.count)
        let node = graph.addNode(op, operands, types: types, origin: cursor.previous.comment ?? "", kernel: kernel)
        for (place, value) in zip(places, node.results) { graph.values[value.index].place = place }
        for (result, value) in zip(resultTokens, node.results) { try define(result.name, value, at: result.token) }
    }

    /// `via "rms_norm"`
    private mutating func parseKernel() throws(ParseError) -> KernelName? {
        guard cursor.acceptWord("via") else { return nil }
        let token = cursor.current
        let text = try cursor.string()
        guard let kernel = KernelName(text: text) else { throw cursor.error("there is no kernel \(text)", at: token) }
        return kernel
    }

    /// `keys(3)` behind a state's type.
    private mutating func parseRole() throws(ParseError) -> StateRole? {
        guard case .word(let word) = cursor.current.kind, StateRole(word: word, layer: 0) != nil else { return nil }
        cursor.advance()
        try cursor.expect("(")
        let layer = try cursor.int()
        try cursor.expect(")")
        return StateRole(word: word, layer: layer)
    }

    private mutating func parseResultNames() throws(ParseError) -> [(name: String, token: Token)] {
        var names: [(name: String, token: Token)] = []
        repeat {
            let token = cursor.current
            guard case .value = token.kind else { throw cursor.error("expected a statement, not \(token.text)") }
            names.append((try cursor.valueName(), token))
        } while cursor.accept(",")
        try cursor.expect("=")
        return names
    }

    private mutating func parseSubject(_ schema: OpSchema) throws(ParseError) -> [String: AttributeValue] {
        guard let subject = schema.attributes.first(where: { $0.placement == .subject }) else { return [:] }
        return [subject.name: try cursor.attributeValue(subject.kind)]
    }

    /// Required operands by position, optional ones as `name: %value` in the order of the schema.
    private mutating func parseOperands(
        _ schema: OpSchema, _ attributes: inout [String: AttributeValue]
    ) throws(ParseError) -> [ValueID] {
        var operands: [ValueID] = []
        var remaining = schema.operands.filter { $0.kind == .optional }[...]
        while true {
            if case .word(let label) = cursor.current.kind {
                let token = cursor.current
                guard let index = remaining.firstIndex(where: { $0.name == label }) else {
                    throw cursor.error("`\(label)` is not an operand that can stand here", at: token)
                }
                remaining = remaining[(index + 1)...]
                cursor.advance()
                try cursor.expect(":")
                attributes[label] = .bool(true)
            } else if operands.isEmpty, !cursor.isAtValue {
                return operands
            }
            operands.append(try use())
            guard cursor.accept(",") else { return operands }
        }
    }

    private mutating func parseAttributes(
        _ schema: OpSchema, _ attributes: inout [String: AttributeValue]
    ) throws(ParseError) {
        let start = cursor.current
        if cursor.accept("{") { try parseAttributeList(schema, &attributes) }
        for attribute in schema.attributes where attribute.placement == .braces && !attribute.mayBeOmitted {
            guard attributes[attribute.name] != nil else {
                throw cursor.error("\(schema.name) needs its attribute `\(attribute.name)`", at: start)
            }
        }
    }

    private mutating func parseAttributeList(
        _ schema: OpSchema, _ attributes: inout [String: AttributeValue]
    ) throws(ParseError) {
        repeat {
            let token = cursor.current
            let name = try cursor.word("an attribute")
            guard let attribute = schema.attributes.first(where: { $0.name == name && $0.placement == .braces }) else {
                throw cursor.error("\(schema.name) has no attribute `\(name)`", at: token)
            }
            try cursor.expect("=")
            guard attributes.updateValue(try cursor.attributeValue(attribute.kind), forKey: name) == nil else {
                throw cursor.error("attribute `\(name)` stands twice", at: token)
            }
        } while cursor.accept(",")
        try cursor.expect("}")
    }

    private mutating func parsePlace() throws(ParseError) -> Place {
        if cursor.acceptWord("result") { return .result(try cursor.int()) }
        if cursor.acceptWord("input") { return .input(try cursor.word("an input")) }
        let offset = try cursor.int()
        try cursor.expect("+")
        let byteCount = try cursor.int()
        return .arena(Place.Region(offset: offset, byteCount: byteCount, stride: cursor.acceptWord("by") ? try cursor.int() : nil))
    }

    private mutating func parsePlaces(count: Int) throws(ParseError) -> [Place] {
        guard cursor.acceptWord("at") else { return [] }
        var places: [Place] = []
        let token = cursor.current
        repeat { places.append(try parsePlace()) } while cursor.accept(",")
        guard places.count == count else { throw cursor.error("expected \(count) places, not \(places.count)", at: token) }
        return places
    }
}
