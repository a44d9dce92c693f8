import IR
import Passes
import Plan
import Tensors

/// Writes a planned graph down as steps over an arena.
struct PlanEmitter {
    private let graph: Graph
    private let module: Module
    private let entry: Entry
    private let constness: Constness
    private let inputPlace: (String, TensorType) -> Slot.Place?
    private var steps: [Step] = []

    /// - Parameter inputPlace: where an input lies by its name and type; nil for one that nobody hands in.
    init(
        _ graph: Graph, of module: Module, as entry: Entry,
        inputPlace: @escaping (String, TensorType) -> Slot.Place? = { name, _ in InputRole(rawValue: name).map(Slot.Place.input) }
    ) {
        self.inputPlace = inputPlace
        self.graph = graph
        self.module = module
        self.entry = entry
        constness = Constness(graph)
    }

    mutating func emit(into table: inout WeightTable) throws(CompileError) -> ExecutionPlan {
        let nodes = graph.nodes.filter { constness.runs($0) && $0.kernel != .view }
        for node in nodes { try emit(node, &table) }
        let bounds = module.bounds
        let stored = nodes.flatMap(\.results).filter { graph[$0].place?.region != nil }
        let sizes = stored.map { graph.storedType(of: $0).byteCount(bounds) ?? 0 }
        let ends = stored.compactMap { graph[$0].place?.region.map { $0.offset + $0.byteCount } }
        let outputs = graph.results.enumerated().map { index, value in
            ExecutionPlan.Output(name: index < outputNames.count ? outputNames[index] : "\(index)", type: graph.type(of: value))
        }
        return ExecutionPlan(
            entry: entry, tensors: tensors, outputs: outputs, steps: steps, bounds: bounds, arenaBytes: ends.max() ?? 0,
            unsharedBytes: sizes.reduce(0, +))
    }

    /// What the node's kernel reads and writes, as its row of the registry says.
    private mutating func emit(_ node: Node, _ table: inout WeightTable) throws(CompileError) {
        guard let kernel = graph.kernel(of: node), let row = kernel.row else {
            throw .internalInconsistency("\(node.op.mnemonic) in \(node.origin) is bound to no kernel that computes it")
        }
        var inputs: [Slot] = []
        for rule in row.operands {
            if rule.isRepeated {
                for operand in node.operands { inputs.append(try slot(operand, of: node, &table)) }
            } else if let operand = node.operand(rule.name) {
                inputs.append(try slot(operand, of: node, &table))
            } else if let axes = node.op(as: RotaryTable.self)?.axes, rule.elements == .i32 {
                inputs.append(try indices(axes, node, &table))
            }
        }
        var outputs: [Slot] = []
        for (_, value) in zip(row.results, node.results) { outputs.append(try slot(value, of: node, &table)) }
        steps.append(Step(kernel, inputs: inputs, outputs: outputs, origin: node.origin))
    }
}

extension PlanEmitter {
    /// The results of a head have what it reads of itself in its next step, those of other models what a head reads of them.
    private var outputNames: [String] {
        let isHead = graph.inputs.contains { $0.name == InputRole.innerStates.rawValue }
        return switch entry {
        case .vision: ["image_embeds"]
        case .extend: ["logits", "hidden", ExecutionPlan.innerStatesName]
        case .decode: ["logits", isHead ? "hidden" : ExecutionPlan.innerStatesName]
        }
    }

    private func indices(_ axes: [Int], _ node: Node, _ table: inout WeightTable) throws(CompileError) -> Slot {
        let module = ModuleBuilder()
        let type = TensorType(.i32, [.fixed(axes.count)])
        do throws(TypeError) {
            try module.graph("recipe") { [$0.one(Constant(axes.map(Double.init), type))] }
        } catch { throw .internalInconsistency("rotary axes: \(error)") }
        let graph = module.finish().graphs[0]
        let recipe = Recipe(of: graph.results, in: graph)
        let request = WeightRequest(recipe: recipe, layout: .indices, shape: [axes.count], origin: node.origin)
        return Slot(.weight(table.index(of: request)), type)
    }

    /// What a vision entry reads of images.
    private var tensors: [ExecutionPlan.NamedTensor] {
        guard entry == .vision else { return [] }
        return graph.inputs.filter { $0.mask == nil }.map { ExecutionPlan.NamedTensor(name: $0.name, type: graph.type(of: $0.value)) }
    }

    /// The place among the tensors of an input of the graph.
    private func tensor(_ input: Int, _ node: Node) throws(CompileError) -> Int {
        let name = graph.inputs[input].name
        guard let index = tensors.firstIndex(where: { $0.name == name }) else { throw .internalInconsistency("unknown input \(name) in \(node.origin)") }
        return index
    }

    private func slot(_ value: ValueID, of node: Node, _ table: inout WeightTable) throws(CompileError) -> Slot {
        let type = graph.storedType(of: value)
        if constness.isConstant(value) {
            guard let packing = PackedWeight(value, in: graph) else {
                throw .internalInconsistency("\(node.op.mnemonic) in \(node.origin) reads a constant that is not packed")
            }
            let request = WeightRequest(
                recipe: Recipe(of: packing.values, in: graph), layout: packing.layout, shape: packing.shape, origin: node.origin)
            return Slot(.weight(table.index(of: request)), type)
        }
        switch place(of: value) {
        case .arena(let region): return Slot(.arena(offset: region.offset, stride: region.stride ?? type.rowWidth), type)
        case .result(let position): return Slot(.output(position), type)
        case .input(let name):
            guard let place = try slotPlace(ofInput: name, node) else { throw .internalInconsistency("unknown input \(name)") }
            guard case .arena(let offset, _) = place else { return Slot(place, type) }
            return Slot(.arena(offset: offset, stride: type.rowWidth), type)
        case nil: throw .internalInconsistency("a value without a place in \(node.origin)")
        }
    }

    private func place(of value: ValueID) -> Place? {
        if case .input(let position) = graph[value].definition { return .input(graph.inputs[position].name) }
        return graph[value].place
    }

    private func slotPlace(ofInput name: String, _ node: Node) throws(CompileError) -> Slot.Place? {
        guard let index = graph.inputs.firstIndex(where: { $0.name == name }) else { return nil }
        let input = graph.inputs[index]
        if let place = inputPlace(name, graph.type(of: input.value)) { return place }
        return entry == .vision && input.mask == nil ? .tensor(try tensor(index, node)) : nil
    }
}

extension Entry {
    /// The entry that a graph's name stands for; nil for another name.
    init?(graphName: String) {
        switch graphName {
        case "vision": self = .vision
        case "extend": self = .extend
        default:
            guard graphName.hasPrefix("decode."), let gear = Int(graphName.dropFirst(7)), gear > 0 else { return nil }
            self = .decode(gear: gear)
        }
    }

}
