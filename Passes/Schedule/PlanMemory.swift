package import IR
import Plan
import Tensors

/// Gives every value that a running node makes its place in the graph's arena.
///
/// Values that live at the same time do not overlap, views lie inside what they view, and what is stored over an operand has the
/// operand's place: what shares memory with what is decided here, and later stages read places alone. Results lie outside,
/// since the engine brings their memory.
///
///     %1 = square %0  via square                  →      %1 = square %0  via square at 0+4096
package let planMemory = Pass("plan-memory", .planned) { module, report throws(PassError) in
    let bounds = module.bounds
    for index in module.graphs.indices {
        let graph = module.graphs[index]
        let storage = Storage(graph)
        for node in graph.nodes where storage.isView(node) != (node.kernel == .view) {
            throw PassError("\(node.op.mnemonic) in @\(graph.name) names \(node.kernel?.text ?? "no kernel") and is \(storage.isView(node) ? "a" : "no") view")
        }
        for (position, value) in graph.results.enumerated() where !storage.isWhole(result: position) {
            throw PassError("result \(position) of @\(graph.name), \(graph.type(of: value)), is not stored by steps")
        }
        let editor = Editor(graph, report: report)
        let lives = LifeTimes(graph, storage).lives
        var values: [MemoryPlan.Value] = []
        for life in lives {
            guard let bytes = graph.storedType(of: life.root).byteCount(bounds) else {
                throw PassError("a value of \(graph.type(of: life.root)) in @\(graph.name) has no size")
            }
            values.append(MemoryPlan.Value(byteCount: bytes, first: life.first, last: life.last))
        }
        let plan = MemoryPlan(values)
        var regions: [ValueID: Place.Region] = [:]
        for (life, (value, offset)) in zip(lives, zip(values, plan.offsets)) {
            regions[life.root] = Place.Region(offset: offset, byteCount: value.byteCount)
        }
        var roots: [ValueID: Int] = [:]
        for (position, value) in graph.results.enumerated() {
            if let root = storage.view(value)?.root { roots[root] = position }
        }
        let constness = Constness(graph)
        for node in graph.nodes where constness.runs(node) {
            for result in node.results {
                if let view = storage.view(result) { editor.setPlace(graph.place(of: result, view, regions, roots), of: result) }
            }
            report.matches["place", default: 0] += node.results.count
        }
        module.graphs[index] = try editor.finish()
    }
}

extension Graph {
    /// The place of a value that a view shows; nil for the new value of a state.
    ///
    /// - Parameters:
    ///   - regions: of the values that own parts of the arena.
    ///   - roots: which result each value is that lies outside.
    fileprivate func place(
        of value: ValueID, _ view: Storage.View, _ regions: [ValueID: Place.Region], _ roots: [ValueID: Int]
    ) -> Place? {
        if let root = regions[view.root] {
            let start = view.column * storedType(of: value).element.byteCount
            return .arena(
                Place.Region(offset: root.offset + start, byteCount: root.byteCount - start, stride: view.isDense ? nil : view.stride))
        }
        switch self[view.root].definition {
        case .input(let position): return .input(inputs[position].name)
        case .state: return nil
        case .node: return roots[view.root].map(Place.result)
        }
    }
}
