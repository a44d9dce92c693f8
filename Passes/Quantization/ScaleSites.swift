package import IR
import Tensors

/// Linear layers that read one value, and what makes that value smaller by a factor for each of its channels.
package struct ScaleSite: Sendable {
    /// What can be divided by the factors, so that weights are multiplied by them.
    package enum Producer: Sendable {
        /// A norm: its parameters' places among the operands.
        case norm(NodeID, parameters: [Int])
        /// Outputs of a linear layer, which pass through nothing that mixes or bends them.
        case layer(NodeID, rows: Range<Int>)
    }

    /// Of one layer the outputs that become neither queries nor keys.
    package struct Layer: Sendable {
        package let id: NodeID
        /// Outputs whose groups may be cut by what they do to outputs; none where some are queries or keys and the others no values.
        package let clipped: Range<Int>
    }

    package let input: ValueID
    package let layers: [Layer]
    /// Why there is none where nothing can be divided.
    package let producer: Result<Producer, Refusal>
    /// Equal for the same layers, made from the same weights, in other graphs of a model.
    package let key: String
}

/// The sites of a graph that makes logits, in the order of their inputs.
package func scaleSites(_ graph: Graph) -> [ScaleSite] { SiteFinder(graph).sites }

private struct SiteFinder {
    private let graph: Graph
    private let constness: Constness
    private let uses: Uses
    private var outputs: [NodeID: (queriesOrKeys: Bool, values: Range<Int>?)] = [:]

    init(_ graph: Graph) {
        (self.graph, constness, uses) = (graph, Constness(graph), Uses(graph))
        for node in graph.nodes where node.op is Attention {
            for place in 0..<2 {
                guard let part = rows(behind: node.operands[place]) else { continue }
                outputs[part.layer.id, default: (false, nil)].queriesOrKeys = true
            }
            guard let part = rows(behind: node.operands[2]) else { continue }
            outputs[part.layer.id, default: (false, nil)].values = part.rows
        }
    }

    var sites: [ScaleSite] {
        let head = graph.makesLogits ? graph.head : nil
        var order: [ValueID] = []
        var layers: [ValueID: [Node]] = [:]
        for node in graph.nodes where node.op is Linear && node.id != head && constness.runs(node) {
            guard constness.isConstant(node.operands[1]), int4(graph.type(of: node.operands[1]).shape) != nil else { continue }
            if layers[node.operands[0]] == nil { order.append(node.operands[0]) }
            layers[node.operands[0], default: []].append(node)
        }
        return order.map { site($0, layers[$0] ?? []) }
    }

    private func site(_ input: ValueID, _ layers: [Node]) -> ScaleSite {
        let found: Result<ScaleSite.Producer, Refusal>
        do throws(Refusal) { found = .success(try producer(of: input, readBy: layers)) } catch { found = .failure(error) }
        var recipes = layers.map { $0.operands[1] }
        if case .success(.norm(let id, let parameters)) = found, let norm = graph[id] { recipes += parameters.map { norm.operands[$0] } }
        if case .success(.layer(let id, _)) = found, let layer = graph[id] { recipes.append(layer.operands[1]) }
        let kind = switch found {
        case .success(.norm): "norm"
        case .success(.layer(_, let rows)): "rows \(rows)"
        case .failure: "none"
        }
        let parts = layers.map { node in
            let all = 0..<(graph.type(of: node.operands[1]).shape[0].fixedValue ?? 0)
            let own = outputs[node.id]
            return ScaleSite.Layer(id: node.id, clipped: own?.queriesOrKeys == true ? own?.values ?? 0..<0 : all)
        }
        return ScaleSite(input: input, layers: parts, producer: found, key: "\(kind)\n\(Printer.print(graph.recipe(recipes)))")
    }

    private func producer(of input: ValueID, readBy layers: [Node]) throws(Refusal) -> ScaleSite.Producer {
        guard uses.count(input) == layers.count else {
            let ids = Set(layers.map(\.id))
            let other = uses.nodes(reading: input).compactMap { graph[$0] }.first { !ids.contains($0.id) }
            throw Refusal("what it reads is read by \(other?.op.mnemonic ?? "the caller") as well", at: input)
        }
        guard let node = graph.producer(of: input) else { throw Refusal("what it reads comes from outside", at: input) }
        switch node.op {
        case is RMSNorm: return try norm(node, [1])
        case is LayerNorm: return try norm(node, [1, 2])
        case is AddRMSNorm: return try norm(node, [2], of: input)
        case is AddLayerNorm: return try norm(node, [2, 3], of: input)
        case is GatedActivation: return try gated(node)
        case is Reshape:
            guard let attention = graph.producer(of: node.operands[0]), attention.op is Attention, uses.count(attention.result) == 1 else { break }
            return try values(attention)
        default: break
        }
        throw Refusal("what it reads is made by \(node.op.mnemonic)", at: input)
    }

    private func norm(_ node: Node, _ parameters: [Int], of input: ValueID? = nil) throws(Refusal) -> ScaleSite.Producer {
        if let input, node.results[1] != input { throw Refusal("what it reads is a sum", at: input) }
        for place in parameters {
            let type = graph.type(of: node.operands[place])
            guard constness.isConstant(node.operands[place]), type.element == .f32, type.shape.rank == 1 else {
                throw Refusal("the norm's parameter is no f32 vector of the checkpoint", at: node.operands[place])
            }
        }
        return .norm(node.id, parameters: parameters)
    }

    /// The way up of a gated MLP.
    private func gated(_ node: Node) throws(Refusal) -> ScaleSite.Producer {
        guard let layer = graph.producer(of: node.operands[0]), isPlain(layer) else {
            throw Refusal("what is gated is no linear layer", at: node.operands[0])
        }
        guard uses.count(layer.result) == 1, let width = graph.type(of: layer.operands[1]).shape[0].fixedValue else {
            throw Refusal("what is gated is read elsewhere", at: layer.result)
        }
        return .layer(layer.id, rows: width / 2..<width)
    }

    /// The values of an attention with a head of values for each head of queries.
    private func values(_ attention: Node) throws(Refusal) -> ScaleSite.Producer {
        let heads = graph.type(of: attention.operands[0]).shape[1], own = graph.type(of: attention.operands[2]).shape[1]
        guard heads == own else { throw Refusal("several heads share the values of one", at: attention.result) }
        guard let part = rows(behind: attention.operands[2]), isPlain(part.layer) else {
            throw Refusal("the values are not outputs of a linear layer", at: attention.operands[2])
        }
        guard part.areThemselves, uses.nodes(reading: attention.operands[2]).count == 1 else {
            throw Refusal("the values are read elsewhere", at: attention.operands[2])
        }
        return .layer(part.layer.id, rows: part.rows)
    }

    private func isPlain(_ node: Node) -> Bool {
        guard let op = node.op(as: Linear.self), op.activation == .none, constness.isConstant(node.operands[1]) else { return false }
        return node.operand("bias").map(constness.isConstant) ?? true
    }

    /// The layer and those of its outputs that a value is made of, through heads, rotation, norms of heads and the cache.
    ///
    /// They are themselves where nothing turns or bends them on the way, and nothing else reads them.
    private func rows(behind value: ValueID) -> (layer: Node, rows: Range<Int>, areThemselves: Bool)? {
        var (value, columns, areThemselves) = (value, Range<Int>?.none, true)
        for _ in 0..<Self.stepsMax {
            guard let node = graph.producer(of: value) else { return nil }
            switch node.op {
            case is Linear:
                let rows = columns ?? 0..<(graph.type(of: node.operands[1]).shape[0].fixedValue ?? 0)
                return (node, rows, areThemselves && isReadOnce(rows, of: node))
            case is Reshape: value = node.operands[0]
            case is Rotary, is RMSNorm, is Cast: (value, areThemselves) = (node.operands[0], false)
            case let slice as Slice:
                let isOfOutputs = slice.axis == 1 && graph.type(of: node.operands[0]).shape.rank == 2
                if isOfOutputs { columns = slice.start..<slice.end } else { areThemselves = false }
                value = node.operands[0]
            case is KVWrite: value = node.operands[1]
            case is StoreKV: value = node.operands[node.results[0] == value ? 2 : 3]
            default: return nil
            }
            if !(graph.producer(of: value)?.op is Linear), uses.count(value) > 1 { areThemselves = false }
        }
        return nil
    }

    private static let stepsMax = 12

    /// Whether one slice reads those outputs of a layer, and others read others.
    private func isReadOnce(_ rows: Range<Int>, of layer: Node) -> Bool {
        guard !uses.isOutput(layer.result) else { return false }
        let readers = uses.nodes(reading: layer.result).compactMap { graph[$0] }
        if readers.count == 1, readers[0].op is Reshape { return true }
        var found = 0
        for reader in readers {
            guard let slice = reader.op(as: Slice.self), slice.axis == 1 else { return false }
            if (slice.start..<slice.end).overlaps(rows) { found += 1 }
        }
        return found == 1
    }
}

/// The sites of the entry `extend` that every graph with logits has alike: what one of them divides all do, and caches hold the same in all.
package func sharedSites(_ module: Module) -> [ScaleSite] {
    let graphs = module.graphs.filter(\.makesLogits)
    guard let extend = graphs.first(where: { $0.name == "extend" }) else { return [] }
    let others = graphs.filter { $0.name != extend.name }.map { Set(scaleSites($0).map(\.key)) }
    return scaleSites(extend).filter { site in others.allSatisfy { $0.contains(site.key) } }
}
