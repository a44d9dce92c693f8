package import IR
import Plan
import Tensors

/// Where the values of a graph are stored: which ones own memory, and which are some columns of another.
///
/// A value is read through its `View`. Reshapes and column slices move data only where no view shows the result; ops that may write
/// over an operand do so when nothing reads the old elements afterwards.
package struct Storage {
    /// Columns of the rows of a stored value.
    package struct View: Sendable, Hashable {
        /// The value that owns the memory.
        package var root: ValueID
        /// First column.
        package var column: Int
        /// Elements between rows; nil where a symbol says how long rows are, and nothing lies between them.
        package var stride: Int?
        /// Elements of a row of the view; nil as for `stride`.
        package var width: Int?
        /// Whether row `i` of the view lies in row `i` of the root.
        package var keepsRows: Bool

        /// Whether rows follow each other without gaps.
        package var isDense: Bool { stride == width }

        fileprivate func overlaps(_ other: View) -> Bool {
            guard root == other.root else { return false }
            guard keepsRows, other.keepsRows, let width, let otherWidth = other.width else { return true }
            return column < other.column + otherWidth && other.column < column + width
        }
    }

    /// Values that a result is, or is a view of: they lie in the caller's memory, which is read from its first element on.
    private let resultRoots: Set<ValueID>
    /// Nodes that give another view of their operand and move nothing.
    private var viewNodes: Set<NodeID> = []

    package func isView(_ node: Node) -> Bool { viewNodes.contains(node.id) }

    /// Whether a node is of each call, not of what is packed once.
    package func runs(_ node: Node) -> Bool { !constants.contains(node.result) }

    /// Results that a kernel may store over an operand, as (result, operand).
    package static func inPlaceCandidates(_ node: Node) -> [(result: Int, operand: Int)] {
        if node.kernel?.isFallback == true { return [] }
        switch node.op {
        case is Rotary, is Add, is SelectRows, is Adapt: return [(0, 0)]
        case is AddRMSNorm, is AddLayerNorm: return [(0, 1), (0, 0)]
        default: return []
        }
    }

    private let graph: Graph
    private var views: [ValueID: View] = [:]
    /// Roots that turned out to be columns of another root.
    private var aliases: [ValueID: View] = [:]
    /// Values made of weights and constants alone; they are packed when compiling and take no step.
    package private(set) var constants: Set<ValueID> = []

    package init(_ graph: Graph) {
        self.graph = graph
        resultRoots = Set(graph.results.map { Self.root(of: $0, in: graph) })
        for input in graph.inputs { own(input.value) }
        for state in graph.states { own(state.value) }
        for node in graph.nodes { addViews(of: node) }
        let nodes = graph.nodes
        for (index, node) in nodes.enumerated() { shareInPlace(node, later: nodes[(index + 1)...]) }
    }

    /// What a value would be a view of if every reshape and slice were one.
    private static func root(of value: ValueID, in graph: Graph) -> ValueID {
        guard let node = graph.producer(of: value), node.op is Reshape || node.op is Slice else { return value }
        return root(of: node.operands[0], in: graph)
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
        graph.nodes.filter { !isView($0) && runs($0) }
    }

    private mutating func own(_ value: ValueID) {
        let width = graph.storedType(of: value).rowWidth
        views[value] = View(root: value, column: 0, stride: width, width: width, keepsRows: true)
    }

    private mutating func addViews(of node: Node) {
        // What is as long as a symbol says cannot be packed.
        let isFixed = node.operands.isEmpty || node.results.allSatisfy { graph.type(of: $0).shape.fixed != nil }
        if isFixed, node.operands.allSatisfy(constants.contains) {
            constants.formUnion(node.results)
            return
        }
        if node.op.storesState {
            for (position, result) in node.results.enumerated() {
                if let state = node.op.updatedOperand(ofResult: position) { views[result] = views[node.operands[state]] } else { own(result) }
            }
            return
        }
        if node.kernel?.isFallback != true, let view = views[node.operands[0]].flatMap({ derived(node, from: $0) }) {
            views[node.result] = view
            viewNodes.insert(node.id)
        } else {
            for result in node.results { own(result) }
        }
    }

    /// The operand's view under the result's shape; nil where elements would have to move.
    private func derived(_ node: Node, from view: View) -> View? {
        guard node.op is Slice || node.op is Reshape else { return nil }
        // The caller's memory has no slots for columns.
        if node.op is Slice {
            if case .input = graph[view.root].definition { return nil }
            if resultRoots.contains(view.root) { return nil }
        }
        let old = graph.type(of: node.operands[0]), new = graph.type(of: node.result)
        if let slice = node.op(as: Slice.self) {
            let between = old.shape.dims.dropFirst().prefix(max(slice.axis - 1, 0))
            guard slice.axis >= 1, between.allSatisfy({ $0.fixedValue == 1 }), old.rowWidth != nil else { return nil }
            let inner = old.shape.dims.dropFirst(slice.axis + 1).reduce(1) { $0 * $1.factor }
            var result = view
            result.column += slice.start * inner
            result.width = new.rowWidth
            return result
        }
        if let width = new.rowWidth, old.shape.dims.first == new.shape.dims.first, old.rowWidth == width { return view }
        guard view.column == 0, view.isDense else { return nil }
        return View(
            root: view.root, column: 0, stride: new.rowWidth, width: new.rowWidth, keepsRows: false)
    }

    private mutating func shareInPlace(_ node: Node, later: ArraySlice<Node>) {
        for (result, operand) in Self.inPlaceCandidates(node) where !constants.contains(node.results[result]) {
            let own = node.results[result], old = node.operands[operand]
            guard aliases[own] == nil, let target = view(old), owned(target.root), !graph.outputs.contains(where: { views[$0]?.root == own }),
                graph.type(of: old).element == graph.type(of: own).element, target.width != nil, views[own]?.width == target.width,
                target.keepsRows, graph.type(of: old).shape.dims.first == graph.type(of: own).shape.dims.first,
                viewsKeepRows(of: own) || target.isDense
            else { continue }
            let others = node.operands.enumerated().filter { $0.offset != operand }.map(\.element)
            let readers = others + later.filter { !isView($0) }.flatMap(\.operands) + graph.outputs
            guard !readers.contains(where: { view($0)?.overlaps(target) ?? false }) else { continue }
            aliases[own] = target
            return
        }
    }

    /// Whether a result is stored from end to end by steps, apart from every result before it: the engine brings its memory.
    package func isWhole(result position: Int) -> Bool {
        guard let view = view(graph.results[position]), owned(view.root), view.column == 0, view.isDense else { return false }
        return !graph.results[..<position].contains { self.view($0)?.root == view.root }
    }

    /// Whether memory belongs to a running node: the engine's inputs are never written.
    private func owned(_ root: ValueID) -> Bool { graph.producer(of: root) != nil }

    private func viewsKeepRows(of root: ValueID) -> Bool {
        views.values.allSatisfy { $0.root != root || $0.keepsRows }
    }
}

extension TensorType {
    /// Elements of one row: the product of all extents but the first; nil where one of them is a symbol's.
    package var rowWidth: Int? {
        let inner = shape.dims.dropFirst()
        return inner.contains { $0.symbol != nil } ? nil : inner.reduce(1) { $0 * $1.factor }
    }
}
