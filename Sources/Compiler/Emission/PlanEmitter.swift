import IR
import Passes
import Plan
import Tensors

/// Writes a planned graph down as steps over an arena.
struct PlanEmitter {
    private let graph: Graph
    private let module: Module
    private let entry: Entry
    private let storage: Storage
    private var steps: [Step] = []
    /// Key rows that wait for the value rows of their layer, by layer.
    private var keys: [Int: ValueID] = [:]

    init(_ graph: Graph, of module: Module, as entry: Entry) throws(CompileError) {
        self.graph = graph
        self.module = module
        self.entry = entry
        do throws(StorageError) { storage = try Storage(graph) } catch { throw .unsupported("\(error)") }
    }

    mutating func emit(into table: inout WeightTable) throws(CompileError) -> ExecutionPlan {
        for node in storage.runningNodes { try emit(node, &table) }
        let lives = LifeTimes(graph, storage).lives
        let bounds = module.bounds
        let sizes = lives.map { graph.type(of: $0.root).byteCount(bounds) ?? 0 }
        let ends = lives.compactMap { graph[$0.root].place.map { $0.offset + $0.byteCount } }
        let outputs = graph.results.enumerated().map { index, value in
            ExecutionPlan.Output(name: index == 0 ? entry.outputName : "\(index)", type: graph.type(of: value))
        }
        return ExecutionPlan(
            entry: entry, outputs: outputs, steps: steps, bounds: bounds, arenaBytes: ends.max() ?? 0,
            unsharedBytes: sizes.reduce(0, +))
    }

    private mutating func emit(_ node: Node, _ table: inout WeightTable) throws(CompileError) {
        if node.op is KVWrite { return try emitCacheWrite(node, &table) }
        guard let kernel = try kernel(for: node) else {
            throw .unsupported("no kernel of the catalog computes \(node.op.schema.name) in \(node.origin)")
        }
        var inputs: [Slot] = []
        for operand in readOperands(of: node, by: kernel) { inputs.append(try slot(operand, of: node, &table)) }
        if let axes = node.op(as: RotaryTable.self)?.axes { inputs.append(try indices(axes, node, &table)) }
        let outputs = try node.results.map { value throws(CompileError) in try slot(value, of: node, &table) }
        steps.append(Step(kernel, inputs: inputs, outputs: outputs, origin: node.origin))
    }

    /// The operands that a step has slots for: masks are part of the kernel, and so is the layer whose cache is read.
    private func readOperands(of node: Node, by kernel: Kernel) -> [ValueID] {
        switch kernel {
        case .pagedAttention: Array(node.operands.prefix(1))
        case .segmentAttention: Array(node.operands.prefix(3))
        default: node.operands
        }
    }

    private mutating func emitCacheWrite(_ node: Node, _ table: inout WeightTable) throws(CompileError) {
        guard let cache = node.operand("cache"), let rows = node.operand("rows"), let slots = node.operand("slots"),
            let state = cacheState(of: cache)
        else { throw .internalInconsistency("a cache write without a state in \(node.origin)") }
        guard state.isValue else { return keys[state.layer] = rows }
        guard let keyRows = keys.removeValue(forKey: state.layer) else {
            throw .internalInconsistency("values are cached before keys in \(node.origin)")
        }
        let inputs = try [keyRows, rows, slots].map { value throws(CompileError) in
            try slot(value, of: node, &table)
        }
        steps.append(Step(.kvWrite(layer: state.layer), inputs: inputs, outputs: [], origin: node.origin))
    }

    /// The layer and half of the cache that a value belongs to; states are named `kv.<layer>.k` and `kv.<layer>.v`.
    private func cacheState(of value: ValueID) -> (layer: Int, isValue: Bool)? {
        guard let root = storage.view(value)?.root, case .state(let index) = graph[root].definition else { return nil }
        let words = graph.states[index].name.split(separator: ".")
        guard words.count == 3, let layer = Int(words[1]) else { return nil }
        return (layer, words[2] == "v")
    }
}

extension PlanEmitter {
    private func kernel(for node: Node) throws(CompileError) -> Kernel? {
        switch node.op {
        case let op as Linear: try linear(node, op)
        case let op as RMSNorm: .rmsNorm(eps: Float(op.eps))
        case let op as LayerNorm: .layerNorm(eps: Float(op.eps))
        case let op as AddRMSNorm: .addRMSNorm(eps: Float(op.eps))
        case let op as AddLayerNorm: .addLayerNorm(eps: Float(op.eps))
        case is RotaryTable: .rotaryTable
        case is Rotary: heads(of: node.operands[0]).map { .rotary(heads: $0.count, headDim: $0.width) }
        case let op as Attention: try attention(node, op)
        case let op as GatedActivation: Plan.Activation(rawValue: op.activation.rawValue).map(Kernel.gatedActivation)
        case is Gather: storage.constants.contains(node.operands[0]) ? .embed : .gatherRows
        case is SelectRows: .selectRows
        case is Add: node.operands.allSatisfy { graph.type(of: $0) == graph.type(of: node.result) } ? .add : nil
        case let op as Cast: op.to == .f32 && graph.type(of: node.operands[0]).element == .u8 ? .widen : nil
        default: nil
        }
    }

    private func linear(_ node: Node, _ op: Linear) throws(CompileError) -> Kernel? {
        guard let row = node.kernel.flatMap(KernelCatalog.linear(named:)), let packing = Packing(of: node.operands[1], in: graph),
            let activation = Plan.Activation(rawValue: op.activation.rawValue)
        else { return nil }
        return .linear(
            Kernel.Linear(
                arithmetic: row.arithmetic, layout: packing.layout, inputs: packing.shape[1], outputs: packing.shape[0],
                activation: activation, hasBias: op.hasBias, hasResidual: op.hasResidual))
    }

    private func attention(_ node: Node, _ op: Attention) throws(CompileError) -> Kernel? {
        let (q, k, v, visible) = (node.operands[0], node.operands[1], node.operands[2], node.operands[3])
        guard let mask = graph.mask(of: visible) else {
            throw .internalInconsistency("nothing says what the mask of attention in \(node.origin) is")
        }
        guard let query = heads(of: q), let key = heads(of: k), let value = heads(of: v) else { return nil }
        guard value.width == query.width else {
            throw .unsupported("no attention kernel reads values of \(value.width) with keys of \(key.width), as in \(node.origin)")
        }
        let (scale, softcap) = (Float(op.scale), Float(op.softcap))
        switch (mask, cacheState(of: k), cacheState(of: v)) {
        case (.causal, let keys?, let values?) where !keys.isValue && values.isValue && keys.layer == values.layer:
            return .pagedAttention(.init(layer: keys.layer, heads: query.count, scale: scale, softcap: softcap, mask: mask))
        case (.segments, nil, nil):
            return .segmentAttention(
                .init(
                    heads: query.count, kvHeads: key.count, headDim: query.width, scale: scale, softcap: softcap, mask: mask))
        default:
            throw .unsupported(
                "no attention kernel does the mask `\(mask)` over these keys and values in \(node.origin): causal ones are for the "
                    + "cache of one layer, segments for what the entry computes")
        }
    }

    private func heads(of value: ValueID) -> (count: Int, width: Int)? {
        let dims = graph.type(of: value).shape.dims
        guard dims.count == 3, let count = dims[1].fixedValue, let width = dims[2].fixedValue else { return nil }
        return (count, width)
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

    private func slot(_ value: ValueID, of node: Node, _ table: inout WeightTable) throws(CompileError) -> Slot {
        let type = graph.type(of: value)
        if storage.constants.contains(value) {
            guard let packing = Packing(of: value, in: graph) else {
                throw .internalInconsistency("\(node.op.mnemonic) in \(node.origin) reads a constant that is not packed")
            }
            let request = WeightRequest(
                recipe: Recipe(of: packing.values, in: graph), layout: packing.layout, shape: packing.shape, origin: node.origin)
            return Slot(.weight(table.index(of: request)), type)
        }
        guard let view = storage.view(value) else {
            throw .internalInconsistency("a value without storage in \(node.origin)")
        }
        if case .input(let index) = graph[view.root].definition {
            guard let role = InputRole(rawValue: graph.inputs[index].name) else {
                throw .internalInconsistency("unknown input \(graph.inputs[index].name)")
            }
            return Slot(.input(role), type)
        }
        if let index = graph.results.firstIndex(where: { storage.view($0)?.root == view.root }) {
            return Slot(.output(index), type)
        }
        guard let place = graph[view.root].place else {
            throw .internalInconsistency("a value without a place in \(node.origin)")
        }
        let offset = place.offset + view.column * type.element.byteCount
        return Slot(.arena(offset: offset, stride: view.stride), type)
    }
}

/// What a `pack` node says of its weight.
private struct Packing {
    let values: [ValueID]
    let layout: WeightLayout
    let shape: [Int]

    init?(of value: ValueID, in graph: Graph) {
        guard let node = graph.producer(of: value), let shape = graph.type(of: value).shape.fixed else { return nil }
        switch node.op {
        case let pack as Pack: layout = WeightLayout(pack.layout)
        case let pack as PackAWQ: layout = .int4Blocks(group: pack.group)
        default: return nil
        }
        values = node.operands
        self.shape = shape
    }
}

extension WeightLayout {
    fileprivate init(_ layout: PackedLayout) {
        switch layout {
        case .plain: self = .plain
        case .f32Panels: self = .f32Panels
        case .bf16Panels: self = .bf16Panels
        }
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

    fileprivate var outputName: String {
        switch self {
        case .vision: "image_embeds"
        case .extend, .decode: "logits"
        }
    }
}
