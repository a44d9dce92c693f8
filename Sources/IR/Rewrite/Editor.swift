package import Plan
package import Tensors

/// The only thing that can change a graph: writes, replaces, erases, and keeps count.
///
/// New nodes go before the node under edit and take its origin. After an edit whose values stand in the wrong order,
/// `finish` sorts the nodes again.
package final class Editor: OpWriter {
    package internal(set) var graph: Graph
    package internal(set) var report: PassReport
    private var budget: Int?
    private let names: ValueNames
    private var readers: [ValueID: [NodeID]] = [:]
    private var outputCounts: [ValueID: Int] = [:]
    private var place: NodeID?
    private var origin = ""
    private var firstError: TypeError?

    /// - Parameter budget: how many rewrites may still happen; nil for any number.
    package init(_ graph: Graph, report: PassReport, budget: Int? = nil) {
        self.graph = graph
        self.report = report
        self.budget = budget
        names = ValueNames(graph)
        indexUses()
    }

    /// How many rewrites may still happen; nil for any number.
    package var remainingBudget: Int? { budget }

    package func type(of value: ValueID) -> TensorType { graph.type(of: value) }

    /// How often a value is read, outputs included.
    package func useCount(_ value: ValueID) -> Int { (readers[value]?.count ?? 0) + (outputCounts[value] ?? 0) }

    /// The nodes that read a value.
    package func readers(of value: ValueID) -> [Node] { Set(readers[value] ?? []).sorted().compactMap { graph[$0] } }

    package func write(_ op: any Op, _ operands: [ValueID]) -> [ValueID] {
        let types = operands.map(graph.type(of:))
        let op = op.normalized(for: types)
        do throws(TypeError) {
            let results = try op.check(types, origin: origin)
            let position = place.flatMap { graph.order.firstIndex(of: $0) }
            let node = graph.addNode(op, operands, types: results, origin: origin, at: position)
            for operand in operands { readers[operand, default: []].append(node.id) }
            return node.results
        } catch {
            if firstError == nil { firstError = error }
            return op.schema.results.map { _ in ValueID(index: 0) }
        }
    }

    /// Lets every reader of `old`, outputs included, read `new`, which must have the same type.
    package func replace(_ old: ValueID, with new: ValueID) {
        guard old != new else { return }
        guard type(of: old) == type(of: new) else {
            return fail("a value of \(type(of: old)) is replaced by one of \(type(of: new))")
        }
        for id in readers[old] ?? [] {
            guard var node = graph[id] else { continue }
            node.operands = node.operands.map { $0 == old ? new : $0 }
            graph.arena[id.index] = node
        }
        let moved = readers.removeValue(forKey: old) ?? []
        readers[new, default: []] += moved
        graph.results = graph.results.map { $0 == old ? new : $0 }
        for index in graph.states.indices where graph.states[index].updated == old { graph.states[index].updated = new }
        if let count = outputCounts.removeValue(forKey: old) { outputCounts[new, default: 0] += count }
    }

    /// Lets one node read `new` where it read its operand at `index`; its results keep their types.
    package func setOperand(_ index: Int, of id: NodeID, to new: ValueID) {
        guard var node = graph[id] else { return }
        let old = node.operands[index]
        node.operands[index] = new
        let results = try? node.op.check(node.operands.map(graph.type(of:)), origin: origin)
        guard results == node.results.map(graph.type(of:)) else {
            return fail("\(node.op.mnemonic) cannot read \(type(of: new)) for \(type(of: old))")
        }
        graph.arena[id.index] = node
        if let place = readers[old]?.firstIndex(of: id) { readers[old]?.remove(at: place) }
        readers[new, default: []].append(id)
    }

    /// Names the kernel that computes a node.
    package func setKernel(_ kernel: KernelName?, of node: NodeID) { graph.arena[node.index]?.kernel = kernel }

    /// Says which part of the model a node belongs to, where that is not the node under edit's.
    package func setOrigin(_ origin: String, of node: NodeID) { graph.arena[node.index]?.origin = origin }

    /// Lets the graph return `new`, of the same type, as its result at `position`.
    package func setResult(_ position: Int, to new: ValueID) {
        let old = graph.results[position]
        guard type(of: old) == type(of: new) else { return fail("a result of \(type(of: old)) becomes one of \(type(of: new))") }
        graph.results[position] = new
        outputCounts[old, default: 1] -= 1
        outputCounts[new, default: 0] += 1
    }

    /// Gives a value its place in the arena.
    package func setPlace(_ place: Place?, of value: ValueID) { graph.values[value.index].place = place }

    /// Puts the nodes in another order, which must hold the same nodes.
    package func reorder(_ order: [NodeID]) {
        guard Set(order) == Set(graph.order), order.count == graph.order.count else { return fail("the new order holds other nodes") }
        graph.order = order
    }

    /// Erases `node` unless something reads its results, and in turn what only it read.
    package func eraseIfDead(_ node: NodeID) {
        var candidates = [node]
        while let id = candidates.popLast() {
            guard let dead = graph[id], dead.results.allSatisfy({ useCount($0) == 0 }) else { continue }
            graph.arena[id.index] = nil
            for operand in dead.operands {
                if let index = readers[operand]?.firstIndex(of: id) { readers[operand]?.remove(at: index) }
                if let producer = graph.producer(of: operand) { candidates.append(producer.id) }
            }
        }
    }

    /// Erases every node whose results nobody reads; returns how many went.
    @discardableResult
    package func eraseDead() -> Int {
        let before = graph.order.count
        for node in graph.nodes.reversed() { eraseIfDead(node.id) }
        dropErased()
        return before - graph.order.count
    }

    /// Reports that the pass went wrong; `finish` throws the first report.
    package func fail(_ reason: String) {
        if firstError == nil { firstError = TypeError(reason, origin: origin) }
    }

    /// Runs one rewrite at a node and counts it; false when the limit allows no more.
    ///
    /// In `body`, new nodes go before `node` and take its origin. Throwing a refusal counts as a miss.
    ///
    /// - Parameter note: what the report is to say of the place.
    @discardableResult
    package func rewrite(_ rule: String, at node: Node, note: String? = nil, _ body: () throws(Refusal) -> Void) -> Bool {
        report.matches[rule, default: 0] += 1
        if let budget, budget <= 0 { return false }
        let described = describe(node)
        let hadFailed = firstError != nil
        (place, origin) = (node.id, node.origin)
        defer { (place, origin) = (nil, "") }
        do throws(Refusal) {
            try body()
        } catch {
            miss(rule, error, at: node)
            return false
        }
        if let error = firstError {
            if !hadFailed { firstError = TypeError("rule \(rule): \(error)") }
            return false
        }
        budget = budget.map { $0 - 1 }
        report.rewrites.append(Rewrite(rule: rule, at: note.map { "\(described): \($0)" } ?? described))
        return true
    }

    /// Counts a place that a rule accepts and leaves as it is.
    package func match(_ rule: String) { report.matches[rule, default: 0] += 1 }

    /// Notes why a rule does not fire.
    package func miss(_ rule: String, _ refusal: Refusal, at node: Node) {
        report.missCount += 1
        guard report.misses.count < PassReport.maximumMisses else { return }
        let culprit = refusal.culprit.flatMap { graph.producer(of: $0) }
        let text = culprit.map(describe) ?? refusal.culprit.map { "@\(graph.name) \(names[$0])" } ?? describe(node)
        report.misses.append(Miss(rule: rule, reason: refusal.reason, at: text))
    }

    /// Ends the edit: sorts if needed and hands the graph out, or says what went wrong.
    package func finish() throws(PassError) -> Graph {
        if let firstError { throw PassError(firstError.description) }
        dropErased()
        try sortIfNeeded()
        return graph
    }

    /// Values are called as in the text of the graph before the edit.
    private func describe(_ node: Node) -> String {
        let origin = node.origin.isEmpty ? "" : " (\(node.origin))"
        return "@\(graph.name) \(names[node.result]) = \(Printer.expression(node, names))\(origin)"
    }

    private func indexUses() {
        for node in graph.nodes {
            for operand in node.operands { readers[operand, default: []].append(node.id) }
        }
        for output in graph.outputs { outputCounts[output, default: 0] += 1 }
    }

    private func dropErased() { graph.order = graph.order.filter { graph.arena[$0.index] != nil } }

    private func sortIfNeeded() throws(PassError) {
        var defined = Set(graph.inputs.map(\.value) + graph.states.map(\.value))
        var pending = graph.nodes
        if pending.allSatisfy({ node in
            defer { defined.formUnion(node.results) }
            return node.operands.allSatisfy(defined.contains)
        }) { return }
        defined = Set(graph.inputs.map(\.value) + graph.states.map(\.value))
        var order: [NodeID] = []
        while !pending.isEmpty {
            var waiting: [Node] = []
            for node in pending {
                if node.operands.allSatisfy(defined.contains) {
                    order.append(node.id)
                    defined.formUnion(node.results)
                } else {
                    waiting.append(node)
                }
            }
            guard waiting.count < pending.count else { throw PassError("the edit made a cycle in graph @\(graph.name)") }
            pending = waiting
        }
        graph.order = order
    }
}
