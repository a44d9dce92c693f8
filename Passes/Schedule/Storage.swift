package import IR
package import Tensors

/// Where the values of a graph are stored: which ones own memory, and which are some columns of another.
///
/// A value is read through its `View`. Reshapes and column slices never move data; ops that may write over an operand do
/// so when nothing reads the old elements afterwards.
package struct Storage {
    /// Columns of the rows of a stored value.
    package struct View: Sendable, Hashable {
        /// The value that owns the memory.
        package var root: ValueID
        /// First column.
        package var column: Int
        /// Elements between rows.
        package var stride: Int
        /// Elements of a row of the view.
        package var width: Int
        /// Whether row `i` of the view lies in row `i` of the root.
        package var keepsRows: Bool

        fileprivate func overlaps(_ other: View) -> Bool {
            guard root == other.root else { return false }
            guard keepsRows, other.keepsRows else { return true }
            return column < other.column + other.width && other.column < column + width
        }
    }

    /// Nodes that only give another view of their operand.
    package static func isView(_ node: Node) -> Bool { node.op is Reshape || node.op is Slice }

    /// Results that a kernel may store over an operand, as (result, operand).
    package static func inPlaceCandidates(_ op: any Op) -> [(result: Int, operand: Int)] {
        switch op {
        case is Rotary, is Add, is SelectRows: [(0, 0)]
        case is AddRMSNorm, is AddLayerNorm: [(0, 1), (0, 0)]
        default: []
        }
    }

    private let graph: Graph
    private var views: [ValueID: View] = [:]
    /// Roots that turned out to be columns of another root.
    private var aliases: [ValueID: View] = [:]
    /// Values made of weights and constants alone; they are packed when compiling and take no step.
    package private(set) var constants: Set<ValueID> = []

    package init(_ graph: Graph) throws(StorageError) {
        self.graph = graph
        for input in graph.inputs { own(input.value) }
        for state in graph.states { own(state.value) }
        for node in graph.nodes { try addViews(of: node) }
        let nodes = graph.nodes
        for (index, node) in nodes.enumerated() { shareInPlace(node, later: nodes[(index + 1)...]) }
        try checkResults()
    }

    /// How to read a value; constants have none.
    package func view(_ value: ValueID) -> View? {
        guard var view = views[value] else { return nil }
        while let alias = aliases[view.root] {
            view.root = alias.root
            view.column += alias.column
            if view.keepsRows { view.stride = alias.stride }
        }
        return view
    }

    /// The nodes that a plan has a step for, in order.
    package var runningNodes: [Node] {
        graph.nodes.filter { !Self.isView($0) && !constants.contains($0.result) }
    }

    private mutating func own(_ value: ValueID) {
        let width = graph.type(of: value).rowWidth
        views[value] = View(root: value, column: 0, stride: width, width: width, keepsRows: true)
    }

    private mutating func addViews(of node: Node) throws(StorageError) {
        if node.operands.allSatisfy(constants.contains) {
            constants.formUnion(node.results)
            return
        }
        if node.op is KVWrite, let cache = node.operand("cache") {
            views[node.result] = views[cache]
            return
        }
        guard Self.isView(node) else {
            for result in node.results { own(result) }
            return
        }
        guard let view = views[node.operands[0]].flatMap({ derived(node, from: $0) }) else {
            throw StorageError(of: node.operands[0], by: node, in: graph)
        }
        views[node.result] = view
    }

    private func derived(_ node: Node, from view: View) -> View? {
        let old = graph.type(of: node.operands[0]), new = graph.type(of: node.result)
        if let slice = node.op(as: Slice.self) {
            let between = old.shape.dims.dropFirst().prefix(max(slice.axis - 1, 0))
            guard slice.axis >= 1, between.allSatisfy({ $0.fixedValue == 1 }) else { return nil }
            let inner = old.shape.dims.dropFirst(slice.axis + 1).reduce(1) { $0 * $1.factor }
            var result = view
            result.column += slice.start * inner
            result.width = new.rowWidth
            return result
        }
        if old.shape.dims.first == new.shape.dims.first, old.rowWidth == new.rowWidth { return view }
        guard view.column == 0, view.stride == view.width else { return nil }
        return View(
            root: view.root, column: 0, stride: new.rowWidth, width: new.rowWidth, keepsRows: false)
    }

    private mutating func shareInPlace(_ node: Node, later: ArraySlice<Node>) {
        for (result, operand) in Self.inPlaceCandidates(node.op) where !constants.contains(node.results[result]) {
            let own = node.results[result], old = node.operands[operand]
            guard aliases[own] == nil, let target = view(old), owned(target.root), !graph.outputs.contains(own),
                graph.type(of: old).element == graph.type(of: own).element, views[own]?.width == target.width,
                target.keepsRows, graph.type(of: old).shape.dims.first == graph.type(of: own).shape.dims.first,
                viewsKeepRows(of: own) || target.stride == target.width
            else { continue }
            let others = node.operands.enumerated().filter { $0.offset != operand }.map(\.element)
            let readers = others + later.filter { !Self.isView($0) }.flatMap(\.operands) + graph.outputs
            guard !readers.contains(where: { view($0)?.overlaps(target) ?? false }) else { continue }
            aliases[own] = target
            return
        }
    }

    /// The engine brings memory for each result, which a step must fill from end to end.
    private func checkResults() throws(StorageError) {
        var roots: Set<ValueID> = []
        for result in graph.results {
            guard let view = view(result), owned(view.root), view.column == 0, view.stride == view.width,
                roots.insert(view.root).inserted
            else { throw StorageError(of: result, by: graph.producer(of: result), in: graph) }
        }
    }

    /// Whether memory belongs to a running node: the engine's inputs are never written.
    private func owned(_ root: ValueID) -> Bool { graph.producer(of: root) != nil }

    private func viewsKeepRows(of root: ValueID) -> Bool {
        views.values.allSatisfy { $0.root != root || $0.keepsRows }
    }
}

/// A value that is left at the end, is not computed where it is needed and cannot be a view of what is.
package struct StorageError: Error, Sendable, CustomStringConvertible {
    package let op: String
    package let type: TensorType
    package let origin: String

    fileprivate init(of value: ValueID, by node: Node?, in graph: Graph) {
        op = node?.op.mnemonic ?? "the return"
        type = graph.type(of: value)
        origin = node.map(\.origin).flatMap { $0.isEmpty ? nil : $0 } ?? "@\(graph.name)"
    }

    package var description: String { "\(op) of \(type) in \(origin) would have to copy; no kernel of the catalog does" }
}

extension TensorType {
    /// Elements of one row: the product of all extents but the first.
    var rowWidth: Int { shape.dims.dropFirst().reduce(1) { $0 * $1.factor } }
}
