internal import Plan
internal import Tensors

/// What is wrong with a module.
package struct VerificationError: Error, Sendable, Hashable, CustomStringConvertible {
    /// Each with its place, in the order found; never empty.
    package var problems: [String]

    package var description: String {
        problems.count == 1 ? problems[0] : problems.joined(separator: "\n")
    }
}

/// Checks that a module is well formed and that it keeps what its stage promises.
package struct Verifier {
    private static let maximumProblems = 20
    private let module: Module
    private let weights: [String: WeightDecl]
    private var problems: [String] = []

    package static func verify(_ module: Module) throws(VerificationError) {
        var verifier = Verifier(module: module)
        verifier.checkNames()
        for graph in module.graphs { verifier.check(graph) }
        guard verifier.problems.isEmpty else {
            throw VerificationError(problems: Array(verifier.problems.prefix(maximumProblems)))
        }
    }

    private init(module: Module) {
        self.module = module
        weights = Dictionary(module.weights.map { ($0.name, $0) }) { first, _ in first }
    }

    private mutating func require(_ condition: Bool, _ problem: @autoclosure () -> String) {
        if !condition { problems.append(problem()) }
    }

    private mutating func checkNames() {
        func repeated(_ names: [String]) -> String? {
            var seen: Set<String> = []
            return names.first { !seen.insert($0).inserted }
        }
        if let name = repeated(module.symbols.map(\.name)) { problems.append("symbol \(name) is declared twice") }
        if let name = repeated(module.weights.map(\.name)) { problems.append("weight @\(name) is declared twice") }
        if let name = repeated(module.graphs.map(\.name)) { problems.append("graph @\(name) stands twice") }
        for symbol in module.symbols {
            require(CharacterClass.isSymbolName(symbol.name), "\"\(symbol.name)\" is not a symbol's name")
            require(symbol.bound >= 1, "symbol \(symbol.name) has the bound \(symbol.bound), which is below 1")
        }
        for weight in module.weights {
            require(weight.type.shape.fixed != nil, "weight @\(weight.name) is \(weight.type), whose extents are not numbers")
        }
    }

    private mutating func check(_ graph: Graph) {
        let names = ValueNames(graph)
        let place = "graph @\(graph.name)"
        var seenNames: Set<String> = []
        for name in graph.inputs.map(\.name) + graph.states.map(\.name) {
            require(CharacterClass.isInputName(name), "\(place): \"\(name)\" is not an input's name")
            require(seenNames.insert(name).inserted, "\(place): %\(name) is defined twice")
        }
        for input in graph.inputs { check(input, graph, place) }
        guard checkStructure(graph, names) else { return }
        for state in graph.states {
            let (old, new) = (graph.type(of: state.value), graph.type(of: state.updated))
            require(old == new, "\(place): state %\(state.name) is \(old), but becomes \(new)")
        }
        for node in graph.nodes { checkTypes(node, graph, names) }
        if module.stage >= .specialized { checkSymbols(graph, names) }
        checkStage(graph, names)
    }

    /// A bool input says by a mask what its matrix is.
    private mutating func check(_ input: Graph.Input, _ graph: Graph, _ place: String) {
        let type = graph.type(of: input.value)
        guard let mask = input.mask else {
            return require(type.element != .bool, "\(place): %\(input.name) is \(type) without a mask")
        }
        require(type.element == .bool && type.shape.rank == 2, "\(place): %\(input.name) is \(type), which is not the matrix of a mask")
        switch mask {
        case .causal(let window, _):
            require(window ?? 1 >= 1, "\(place): the window of %\(input.name) is \(window ?? 0), which is below 1")
        case .segments(let queries, let keys):
            for name in [queries, keys] {
                require(CharacterClass.isSymbolName(name), "\(place): \"\(name)\" of %\(input.name) is not the name of segments")
            }
        }
    }

    /// SSA: ids are in range, every value has one definition and is defined before it is read.
    private mutating func checkStructure(_ graph: Graph, _ names: ValueNames) -> Bool {
        let before = problems.count
        let place = "graph @\(graph.name)"
        var defined = Set(graph.inputs.map(\.value) + graph.states.map(\.value))
        var seen: Set<NodeID> = []
        for id in graph.order {
            guard id.index < graph.arena.count, let node = graph[id], node.id == id else {
                problems.append("\(place): the order names a node that is erased")
                continue
            }
            require(seen.insert(id).inserted, "\(place): a \(node.op.mnemonic) stands twice in the order")
            for operand in node.operands {
                require(defined.contains(operand), "\(place): \(node.op.mnemonic) reads \(names[operand]) before it is defined")
            }
            for (index, result) in node.results.enumerated() {
                require(defined.insert(result).inserted, "\(place): \(names[result]) is defined twice")
                require(
                    result.index < graph.valueCount && graph[result].definition == .node(id, index),
                    "\(place): \(names[result]) does not know the node that makes it")
            }
        }
        for output in graph.outputs { require(defined.contains(output), "\(place): the output \(names[output]) is not defined") }
        return problems.count == before
    }

    private mutating func checkTypes(_ node: Node, _ graph: Graph, _ names: ValueNames) {
        let place = "graph @\(graph.name), \(names[node.result])"
        let operands = node.operands.map(graph.type(of:))
        do throws(TypeError) {
            let inferred = try node.op.check(operands, origin: node.origin)
            let stored = node.results.map(graph.type(of:))
            require(inferred == stored, "\(place): \(node.op.mnemonic) makes \(inferred), the graph says \(stored)")
        } catch {
            problems.append("\(place): \(error)")
            return
        }
        require(node.op.normalized(for: operands).equals(node.op), "\(place): the axis of \(node.op.mnemonic) counts from the end")
        require(CharacterClass.isOrigin(node.origin), "\(place): the origin \"\(node.origin)\" does not fit a comment")
        if node.op is Attention, let visible = node.operand("visible"), graph.mask(of: visible) == nil {
            problems.append("\(place): \(names[visible]), by which attention is masked, is not an input with a mask")
        }
        if let weight = node.op as? Weight {
            guard let declared = weights[weight.name] else {
                problems.append("\(place): weight @\(weight.name) is not declared")
                return
            }
            require(declared.type == weight.type, "\(place): weight @\(weight.name) is declared as \(declared.type), not \(weight.type)")
        }
    }

    private mutating func checkSymbols(_ graph: Graph, _ names: ValueNames) {
        let values = graph.inputs.map(\.value) + graph.states.map(\.value) + graph.nodes.flatMap(\.results)
        var reported: Set<String> = []
        for value in values {
            for symbol in graph.type(of: value).shape.dims.compactMap(\.symbol)
            where module.symbol(symbol) == nil && reported.insert(symbol).inserted {
                problems.append("graph @\(graph.name), \(names[value]): symbol \(symbol) has no bound at stage \(module.stage.rawValue)")
            }
        }
    }

    private mutating func checkStage(_ graph: Graph, _ names: ValueNames) {
        let constness = Constness(graph)
        let uses = Uses(graph)
        let updates = Set(graph.states.map(\.updated))
        let stage = module.stage
        for node in graph.nodes {
            let place = "graph @\(graph.name), \(names[node.result])"
            let op = node.op.mnemonic
            let runs = constness.runs(node)
            let hasPlace = node.results.contains { graph[$0].place != nil }
            let lacksPlace = node.results.contains { graph[$0].place == nil && !updates.contains($0) }
            switch stage {
            case .traced:
                require(!node.op.schema.isFused, "\(place): \(op) is a fused op, which stage traced does not have")
            case .canonical, .fused, .specialized, .selected, .packed, .planned:
                require(node.results.contains { uses.count($0) > 0 }, "\(place): nothing reads the results of \(op)")
            }
            require(stage >= .selected || node.kernel == nil, "\(place): \(op) has a kernel before stage selected")
            require(stage < .selected || !runs || node.kernel != nil, "\(place): \(op) has no kernel at stage \(stage.rawValue)")
            let isPacked = node.operands.allSatisfy { !constness.isConstant($0) || graph.producer(of: $0)?.op.packsWeights == true }
            require(stage < .packed || !runs || isPacked, "\(place): \(op) reads a constant that is not packed at stage \(stage.rawValue)")
            require(stage >= .planned || !hasPlace, "\(place): \(op) has a place before stage planned")
            require(stage < .planned || !runs || !lacksPlace, "\(place): \(op) has no place at stage planned")
            for result in node.results { checkPlace(result, graph, place) }
        }
    }

    private mutating func checkPlace(_ value: ValueID, _ graph: Graph, _ at: String) {
        guard let place = graph[value].place?.region else { return }
        require(place.offset >= 0 && place.byteCount >= 0, "\(at): the place \(place.offset)+\(place.byteCount) is negative")
        let type = graph.storedType(of: value)
        var needed: Int? = type.element.byteCount
        for extent in type.shape.values(module.bounds) ?? [] {
            needed = needed.flatMap { count in
                let (product, overflow) = count.multipliedReportingOverflow(by: extent)
                return overflow ? nil : product
            }
        }
        let fits = needed.map { $0 <= place.byteCount } ?? false
        require(fits, "\(at): \(type) does not fit in \(place.byteCount) bytes")
    }
}
